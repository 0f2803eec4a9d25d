"""Training on the embeddings that are read alone is the same training: losses, rows, and the rows nobody read."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import HEADS_OF_LABELS, KINDS, model, ragged, without_dropout
from transformers import PreTrainedModel

from babelfit.changes.vocabulary import ActiveEmbedding, take_active, whole_again
from babelfit.encoder.encoder import encode_targets
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

LENGTHS = [3, 40, 1, 17]
NONE = np.zeros(0, dtype=np.int64)


def ready(kind: str, head: str, ids: np.ndarray[Any, Any] | None = None) -> PreTrainedModel:
    made = model(kind, head=head, **without_dropout(kind)).train()
    HEADS[head].ready(made, max_length=60)
    if ids is not None:
        take_active(made, ids, only_validated=NONE)
    return made


def trained(made: PreTrainedModel, head: str, *, among: torch.Tensor | None = None, steps: int = 4) -> list[float]:
    """Train a model, and of its logits take those of some ids alone."""
    batch = ragged(LENGTHS, per_token=head != "sequence_classification")
    if head == "masked_language_modeling":
        batch.gold = batch.input_ids.flip(0)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        made.zero_grad()
        if among is None:
            loss = HEADS[head].loss(made, batch)
        else:
            logits = HEADS[head].logits(made, encode_targets(made, batch))
            loss = summed_loss(logits[:, among], torch.searchsorted(among, batch.gold))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_rows_are_those_of_the_whole_table_and_the_others_stay_bit_for_bit(kind: str, head: str) -> None:
    ids = np.unique(ragged(LENGTHS).input_ids.numpy())
    # In 64 bits, where no rounding can hide a mistake.
    before, whole, active = (ready(kind, head, theirs).double() for theirs in (None, None, ids))
    untouched = before.get_input_embeddings().weight.detach().clone()

    losses = trained(active, head)
    # A masked language model's softmax is over the active ids: that is what makes it another objective.
    among = active.get_input_embeddings().active_ids if head == "masked_language_modeling" else None
    assert losses == pytest.approx(trained(whole, head, among=among), abs=1e-6)
    assert len(set(losses)) == len(losses)
    assert active.num_parameters() < whole.num_parameters()
    # On top come the padding's row and that of id 0.
    assert len(ids) < active.get_input_embeddings().num_embeddings <= len(ids) + 2 < 200
    state = whole_again(active.state_dict(), before=before)
    assert state.keys() == whole.state_dict().keys()
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(state[name], value, atol=1e-5, rtol=0, msg=name)
    (table,) = (name for name in state if name.endswith("word_embeddings.weight") or name.endswith("tok_embeddings"))
    # The logits of padding and id 0 are among those of a masked language model, which learns that they are never right.
    read = ids if among is None else among.numpy()
    unread = np.setdiff1d(np.arange(200), read)
    assert torch.equal(state[table][unread], untouched[unread])
    assert not torch.equal(state[table][ids], untouched[ids])


def test_a_frozen_table_stays_frozen_and_the_padding_keeps_its_row() -> None:
    whole = torch.nn.Embedding(10, 4, padding_idx=1)
    whole.weight.requires_grad_(False)
    active = ActiveEmbedding(whole, torch.tensor([0, 1, 7]), untrained=torch.from_numpy(NONE))
    assert not active.weight.requires_grad
    assert active.padding_idx == 1
    assert torch.equal(active(torch.tensor([[7, 0], [1, 7]])), whole(torch.tensor([[7, 0], [1, 7]])))


def test_an_id_that_was_not_collected_is_an_error_and_never_another_row() -> None:
    active = ActiveEmbedding(torch.nn.Embedding(10, 4), torch.tensor([0, 1, 7]), untrained=torch.tensor([2, 9]))
    for mode in (True, False):
        with pytest.raises(IndexError):
            active.train(mode)(torch.tensor([3]))


def test_rows_that_only_validations_read_are_there_outside_of_training_and_no_parameter() -> None:
    whole = torch.nn.Embedding(10, 4, padding_idx=1)
    active = ActiveEmbedding(whole, torch.tensor([0, 1, 7]), untrained=torch.tensor([2, 9]))
    ids = torch.tensor([[7, 2, 0], [9, 1, 9]])

    assert torch.equal(active.eval()(ids), whole(ids))
    assert [name for name, _ in active.named_parameters()] == ["weight"]
    assert active.state_dict().keys() == {"weight", "active_ids"}
    assert len(active.weight) == 3
    with pytest.raises(IndexError):
        active.train()(torch.tensor([2]))


def test_a_tokenizer_with_more_ids_than_embeddings_is_told() -> None:
    for ids, only_validated in (([3, 205], []), ([3], [205])):
        with pytest.raises(UserError, match="gives ids up to 205, and the encoder has embeddings for 200"):
            take_active(model("xlm-roberta"), np.array(ids), only_validated=np.array(only_validated, dtype=np.int64))


def test_what_fills_up_rectangles_has_a_row() -> None:
    made = model("deberta-v2")
    made.config.pad_token_id = 7
    made.get_input_embeddings().padding_idx = None
    HEADS["sequence_classification"].ready(made, max_length=60)
    ids = np.unique(ragged(LENGTHS).input_ids.numpy())
    take_active(made, ids[ids != 7], only_validated=NONE)
    batch = ragged(LENGTHS)
    batch.input_ids[batch.input_ids == 7] = int(ids[-1])
    assert encode_targets(made, batch).isfinite().all()


def test_embeddings_in_two_places_come_back_in_both() -> None:
    before = model("xlm-roberta")
    whole = before.get_input_embeddings().weight.detach().clone()
    rows = torch.full((3, whole.shape[1]), 9.0)
    ids = torch.tensor([0, 1, 7])
    state = {"a.weight": rows, "a.active_ids": ids, "b.weight": rows, "b.active_ids": ids, "head": rows}
    again = whole_again(state, before=before)
    assert again.keys() == {"a.weight", "b.weight", "head"}
    for name in ("a.weight", "b.weight"):
        assert torch.equal(again[name][ids], rows)
        assert torch.equal(again[name][2:7], whole[2:7])
