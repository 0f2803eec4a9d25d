"""Every head runs a batch by itself: its loss, what is read of it, and what it writes into a model's config."""

import numpy as np
import pytest
import torch
from tiny import HEADS_OF_LABELS, config, model, ragged, without_dropout
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from babelfit.batches.ragged import NO_LABEL, RaggedBatch
from babelfit.changes.vocabulary import take_active
from babelfit.encoder.encoder import encode_targets
from babelfit.heads import HEADS

KIND, LENGTHS = "xlm-roberta", [9, 4, 1]
CLASSIFIERS = ("sequence_classification", "token_classification")
MASKED = "masked_language_modeling"


def ready(head: str) -> PreTrainedModel:
    made = model(KIND, head=head, **without_dropout(KIND)).train()
    HEADS[head].ready(made, max_length=60)
    return made


def batch_of(head: str) -> RaggedBatch:
    """A batch whose second target has no gold."""
    batch = ragged(LENGTHS, per_token=head != "sequence_classification")
    if head == MASKED:
        batch.gold = batch.input_ids.flip(0)
    batch.gold[1] = NO_LABEL
    return batch


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
def test_the_loss_is_summed_over_targets_with_gold(head: str) -> None:
    made, batch = ready(head), batch_of(head)
    logits = HEADS[head].logits(made, encode_targets(made, batch))
    assert logits.shape == (len(batch.targets), 200 if head == MASKED else 3)
    expected = cross_entropy(logits, batch.gold, ignore_index=NO_LABEL, reduction="sum")
    torch.testing.assert_close(HEADS[head].loss(made, batch), expected)


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
def test_without_gold_there_is_no_loss_and_a_gradient_of_zero_everywhere(head: str) -> None:
    made, batch = ready(head), batch_of(head)
    batch.gold[:] = NO_LABEL
    loss = HEADS[head].loss(made, batch)
    loss.backward()
    assert float(loss.detach()) == 0
    for name, value in made.named_parameters():
        assert value.grad is not None, name
        assert not value.grad.any(), name


@pytest.mark.parametrize("head", CLASSIFIERS)
def test_of_labels_the_logits_are_read(head: str) -> None:
    made, batch = ready(head), batch_of(head)
    with torch.no_grad():
        outputs = HEADS[head].outputs(made, batch)
        assert outputs.keys() == {"logits"}
        assert torch.equal(outputs["logits"], HEADS[head].logits(made, encode_targets(made, batch)))


def test_of_masked_tokens_it_is_read_what_became_of_each_and_whether_it_could_be_guessed() -> None:
    head, made, batch = HEADS[MASKED], ready(MASKED), batch_of(MASKED)
    beyond = int(batch.gold[3])
    kept = np.setdiff1d(np.arange(200), [beyond])
    whole = {name: value.clone() for name, value in head.outputs(made, batch).items()}
    batch.input_ids[batch.input_ids == beyond] = int(kept[-1])
    take_active(made, kept, only_validated=np.zeros(0, dtype=np.int64))
    with torch.no_grad():
        active = head.outputs(made, batch)
        likeliest = head.logits(made, encode_targets(made, batch)).argmax(-1)

    assert whole.keys() == active.keys() == {"nll", "right", "active"}
    assert torch.equal(whole["active"], batch.gold != NO_LABEL)
    could_be = (batch.gold != NO_LABEL) & (batch.gold != beyond)
    assert torch.equal(active["active"], could_be)
    assert not could_be[3]
    assert not active["nll"][~could_be].any()
    assert torch.equal(active["right"], could_be & (torch.from_numpy(kept)[likeliest] == batch.gold))
    assert float(active["nll"].sum()) == pytest.approx(float(head.loss(made, batch).detach()), rel=1e-5)


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
def test_a_head_writes_into_the_config_what_its_outputs_are(head: str) -> None:
    written = config(KIND, id2label={0: "other", 1: "names"}, label2id={"other": 0, "names": 1})
    names = () if head == MASKED else ("yes", "no", "maybe")
    HEADS[head].configure(written, label_names=names)
    expected = ["LABEL_0", "LABEL_1"] if head == MASKED else list(names)
    assert written.id2label == dict(enumerate(expected))
    assert written.label2id == {name: number for number, name in enumerate(expected)}
    assert written.num_labels == len(expected)
