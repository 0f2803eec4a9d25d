"""Loss, gradients and logits of masked language modeling are those of XLMRobertaForMaskedLM with the same masks."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Sequence, Value
from tiny import model, without_dropout
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForMaskedLM, PreTrainedModel

from babelfit.batches.masking import Masking
from babelfit.batches.ragged import NO_LABEL, Examples, RaggedBatch, StepBatch
from babelfit.batches.steps import TrainingSteps
from babelfit.encoder.encoder import encode_targets, freeze
from babelfit.encoder.vocabulary import take_active, whole_again
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss
from babelfit.heads.masked import summed_loss_in_place

KIND, HEAD = "xlm-roberta", "masked_language_modeling"
BEGIN, PAD, END, MASK = 0, 1, 2, 199
FEATURES = Features(
    {
        "input_ids": Sequence(Value("int32")),
        "windows": Sequence(Value("int32")),
        "index": Value("int64"),
        "maskable": Value("int32"),
        "second": Value("int32"),
    }
)


def made(*, ragged: bool = True) -> PreTrainedModel:
    of_kind = model(KIND, head=HEAD, **without_dropout(KIND)).train()
    if ragged:
        HEADS[HEAD].ready(of_kind, max_length=60)
    return of_kind


def examples(*, reset_positions: bool = False) -> Examples:
    """Pairs and single sentences, in two languages."""
    generator = np.random.default_rng(5)
    splits = []
    for language in range(2):
        rows, seconds = [], []
        for row in range(20):
            first, second = (generator.integers(3, 199, generator.integers(2, 25)).tolist() for _ in range(2))
            rows.append([BEGIN, *first, END, *([END, *second, END] if row % 2 else [])])
            seconds.append(len(first) + 2 if row % 2 else 0)
        columns = {
            "input_ids": rows,
            "windows": [[len(row)] for row in rows],
            "index": list(range(20)),
            "maskable": [sum(token > END for token in row) for row in rows],
            "second": seconds,
        }
        splits.append((language, Dataset.from_dict(columns, features=FEATURES)))
    return Examples(splits, reset_positions=reset_positions)


def step(*, tokens_per_device: int, reset_positions: bool = False, **share: int) -> StepBatch:
    rows = examples(reset_positions=reset_positions)
    special = np.array([BEGIN, PAD, END, MASK])
    masking = Masking(mask_id=MASK, special_ids=special, others=np.setdiff1d(np.arange(200), special))
    return TrainingSteps(rows, batch_size=16, tokens_per_device=tokens_per_device, seed=3, draw=masking, **share)[0, 0]


def our_loss(ours: PreTrainedModel, batches: list[RaggedBatch]) -> torch.Tensor:
    """What the finetuner adds up over micro-batches, before it divides."""
    return torch.stack([HEADS[HEAD].loss(ours, batch) for batch in batches]).sum()


def their_loss(theirs: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
    """The model's own loss on a padded batch, positions given."""
    labels = torch.full_like(batch.input_ids, -100)
    labels[batch.targets] = batch.gold
    sizes = batch.cu_seqlens.diff().tolist()
    ids, positions, labels = (
        pad_sequence(rows.split(sizes), batch_first=True, padding_value=filler)
        for rows, filler in ((batch.input_ids, PAD), (batch.position_ids + PAD + 1, PAD), (labels, -100))
    )
    loss: torch.Tensor = theirs(
        input_ids=ids, attention_mask=(ids != PAD).long(), position_ids=positions, labels=labels
    ).loss
    return loss


@pytest.mark.parametrize("reset_positions", [False, True])
@pytest.mark.parametrize("tokens_per_device", [60, 200, 100_000])
def test_loss_and_gradients_are_those_of_the_hugging_face_model(tokens_per_device: int, reset_positions: bool) -> None:
    whole = step(tokens_per_device=100_000, reset_positions=reset_positions)
    (batch,) = whole.to("cpu").micro_batches
    theirs, ours = made(ragged=False), made()
    expected = their_loss(theirs, batch)
    expected.backward()
    parts = step(tokens_per_device=tokens_per_device, reset_positions=reset_positions).to("cpu")
    loss = our_loss(ours, list(parts.micro_batches)) / parts.weight
    loss.backward()

    assert (len(parts.micro_batches) > 1) == (tokens_per_device < 1000)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    gradients = {name: value.grad for name, value in theirs.named_parameters()}
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value.grad, gradients[name], atol=1e-6, rtol=1e-4, msg=name)


def test_positions_that_begin_again_are_another_loss() -> None:
    batches = [step(tokens_per_device=10_000, reset_positions=resets).to("cpu") for resets in (False, True)]
    losses = [our_loss(made(), list(batch.micro_batches)).item() for batch in batches]
    assert losses[0] != pytest.approx(losses[1], abs=1e-2)


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_the_shares_of_all_ranks_add_up_to_the_loss_of_one(num_ranks: int) -> None:
    ours = made().double()
    whole = step(tokens_per_device=100).to("cpu")
    shares = [step(tokens_per_device=100, rank=rank, num_ranks=num_ranks).to("cpu") for rank in range(num_ranks)]
    with torch.no_grad():
        expected = our_loss(ours, list(whole.micro_batches))
        found = sum(float(our_loss(ours, list(share.micro_batches))) for share in shares)
    assert {share.weight for share in shares} == {whole.weight}
    assert found == pytest.approx(float(expected), abs=1e-9)


def test_logits_are_computed_where_tokens_are_masked_and_nowhere_else() -> None:
    ours = made()
    seen: list[torch.Size] = []
    ours.lm_head.decoder.register_forward_hook(lambda _, __, logits: seen.append(logits.shape))
    (batch,) = step(tokens_per_device=10_000).to("cpu").micro_batches
    our_loss(ours, [batch])
    assert [shape.numel() for shape in seen] == [len(batch.targets) * 200]
    assert 0 < len(batch.targets) < batch.num_tokens / 3


def test_a_micro_batch_without_masks_has_no_loss_and_a_gradient_of_zero_everywhere() -> None:
    ours = made()
    (batch,) = step(tokens_per_device=10_000).to("cpu").micro_batches
    for name in ("targets", "gold", "indices", "languages"):
        setattr(batch, name, getattr(batch, name)[:0])
    loss = our_loss(ours, [batch])
    loss.backward()
    assert float(loss.detach()) == 0
    for name, value in ours.named_parameters():
        assert value.grad is not None, name
        assert not value.grad.any(), name


def test_an_export_of_active_rows_is_read_by_transformers_with_equal_logits(tmp_path: Path) -> None:
    (batch,) = step(tokens_per_device=10_000).to("cpu").micro_batches
    ids = np.unique(np.concatenate([batch.input_ids, batch.gold]))
    before, ours = made(), made()
    take_active(ours, ids, only_validated=np.zeros(0, dtype=np.int64))
    optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        our_loss(ours, [batch]).backward()
        optimizer.step()
    decoder, embeddings = ours.get_output_embeddings(), ours.get_input_embeddings()
    assert decoder.weight is embeddings.weight
    assert decoder.bias is ours.lm_head.bias
    assert decoder.weight.shape == (len(embeddings.active_ids), 32)

    untouched = before.get_output_embeddings().bias.detach().clone()
    before.load_state_dict(whole_again(ours.state_dict(), before=before), assign=True)
    before.tie_weights()
    before.save_pretrained(tmp_path)
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    ours.eval()
    with torch.no_grad():
        logits = HEADS[HEAD].logits(ours, encode_targets(ours, batch))
        borders = batch.cu_seqlens.tolist()
        rows = [theirs(batch.input_ids[None, a:b]).logits[0] for a, b in itertools.pairwise(borders)]
    active = embeddings.active_ids
    torch.testing.assert_close(logits, torch.cat(rows)[batch.targets][:, active], atol=1e-5, rtol=1e-5)
    assert type(theirs).__name__ == "XLMRobertaForMaskedLM"
    rest = np.setdiff1d(np.arange(200), active.numpy())
    assert torch.equal(theirs.lm_head.bias[rest], untouched[rest])
    assert not torch.equal(theirs.lm_head.bias[active], untouched[active])


def test_embeddings_that_are_frozen_are_so_in_the_head_as_well() -> None:
    ours = made()
    freeze(ours, embeddings=True, layers=0)
    assert not ours.lm_head.decoder.weight.requires_grad
    assert ours.lm_head.dense.weight.requires_grad
    take_active(ours, np.arange(50), only_validated=np.zeros(0, dtype=np.int64))
    assert not ours.lm_head.decoder.weight.requires_grad


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_the_loss_in_place_is_that_of_torch_and_so_is_its_gradient(kind: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(50, 16, generator=generator).to(kind)
    table = (3 * torch.randn(300, 16, generator=generator)).to(kind)
    labels = torch.randint(300, (50,), generator=generator)
    labels[::7] = NO_LABEL
    found = []
    for loss_of in (summed_loss, summed_loss_in_place):
        rows = table.clone().requires_grad_()
        loss = loss_of(states @ rows.T, labels)
        (loss * 0.25).backward()
        assert rows.grad is not None
        found.append((loss.detach(), rows.grad))
    (expected, gradient), (loss, ours) = found
    assert loss.dtype == expected.dtype
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours, gradient)
