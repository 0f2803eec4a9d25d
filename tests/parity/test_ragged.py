"""Without padding the outputs are those of the padded Hugging Face model, however a batch is cut."""

import numpy as np
import pytest
import torch
from tiny import HEADS_OF_LABELS, KINDS, model, padded, ragged, without_dropout
from transformers import PreTrainedModel

from babelfit.batches.ragged import RaggedBatch
from babelfit.batches.steps import micro_batches
from babelfit.encoder.encoder import encode, encode_targets
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

LENGTHS = [3, 60, 1, 17, 2]
CLASSIFIERS = [head for head in HEADS if head != "masked_language_modeling"]  # whose heads have dropout


def ready(kind: str, head: str, **changes: float) -> PreTrainedModel:
    made = model(kind, head=head, **changes)
    HEADS[head].ready(made, max_length=60)
    return made


def logits_of(ours: PreTrainedModel, head: str, batch: RaggedBatch) -> torch.Tensor:
    return HEADS[head].logits(ours, encode_targets(ours, batch))


def per_target(logits: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Take the rows of tokens from padded logits, or one a sequence as they are."""
    return logits[inputs["attention_mask"].bool()] if logits.ndim == 3 else logits


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[1], [60], LENGTHS, [5, 5, 5], list(range(1, 40))])
def test_hidden_states_and_logits_equal_the_padded_model(kind: str, head: str, lengths: list[int]) -> None:
    reference, ours = model(kind, head=head), ready(kind, head)
    batch = ragged(lengths, per_token=head != "sequence_classification")
    inputs = padded(reference, batch)
    with torch.no_grad():
        outputs = reference(**inputs, output_hidden_states=True)
        hidden = encode(ours, batch)
        logits = logits_of(ours, head, batch)

    expected = outputs.hidden_states[-1][inputs["attention_mask"].bool()]
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, per_target(outputs.logits, inputs), atol=1e-5, rtol=1e-5)
    assert logits.std() > 0.01


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_the_padded_model_and_reach_every_parameter(kind: str, head: str) -> None:
    rates = without_dropout(kind)
    reference, ours = model(kind, head=head, **rates).train(), ready(kind, head, **rates).train()
    batch = ragged(LENGTHS, per_token=head != "sequence_classification")
    inputs = padded(reference, batch)
    summed_loss(per_target(reference(**inputs).logits, inputs), batch.gold).backward()
    summed_loss(logits_of(ours, head, batch), batch.gold).backward()

    expected = {name: value.grad for name, value in reference.named_parameters()}
    largest = max(float(gradient.abs().max()) for gradient in expected.values() if gradient is not None)
    for name, value in ours.named_parameters():
        assert value.grad is not None, f"{name} is not used"
        torch.testing.assert_close(value.grad, expected[name], atol=1e-6 * largest, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "head"),
    # DeBERTa's tagger has no rate of its own for its head.
    [(kind, head) for kind in KINDS for head in CLASSIFIERS if (kind, head) != ("deberta-v2", "token_classification")],
)
def test_dropout_in_the_head_is_the_models_own_and_in_training_alone(kind: str, head: str) -> None:
    rates = without_dropout(kind) | {"classifier_dropout": 0.5}
    if kind == "deberta-v2":
        rates |= {"cls_dropout": 0.5, "pooler_dropout": 0.5}
    reference, ours = model(kind, head=head, **rates), ready(kind, head, **rates)
    # Of one length: the same numbers are drawn for the same places.
    batch = ragged([7, 7, 7], per_token=head == "token_classification")
    inputs = padded(reference, batch)

    def drawn() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            torch.manual_seed(5)
            theirs = per_target(reference(**inputs).logits, inputs)
            torch.manual_seed(5)
            return theirs, logits_of(ours, head, batch)

    still, _ = drawn()
    reference.train()
    ours.train()
    theirs, mine = drawn()
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(theirs, still, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_dropout_is_applied_in_training_alone(kind: str) -> None:
    rates = without_dropout(kind) | {"attention_probs_dropout_prob": 0.5}
    dropping = ready(kind, "sequence_classification", **rates)
    batch = ragged([10, 20])
    with torch.no_grad():
        assert torch.equal(encode(dropping, batch), encode(dropping, batch))
        dropping.train()
        assert not torch.equal(encode(dropping, batch), encode(dropping, batch))


def test_token_types_reach_the_models_that_have_them_and_no_others() -> None:
    batch = ragged(LENGTHS)
    first = ragged(LENGTHS, num_types=1)
    assert batch.token_type_ids.any()
    with torch.no_grad():
        for kind in KINDS:
            made = ready(kind, "sequence_classification")
            assert torch.equal(encode(made, batch), encode(made, first)) == (kind != "bert")


@pytest.mark.parametrize("lengths", [[4, 4], [1, 50], [50, 1], [2, 3, 4, 5, 6], [1, 1, 1]])
def test_halves_hold_all_sequences_in_order(lengths: list[int]) -> None:
    whole = ragged(lengths)
    first, second = whole.halves()

    assert first.num_sequences + second.num_sequences == len(lengths)
    assert first.num_sequences
    assert second.num_sequences
    for name in ("input_ids", "position_ids", "gold", "indices"):
        joined = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(joined, getattr(whole, name))
    assert first.cu_seqlens.diff().tolist() + second.cu_seqlens.diff().tolist() == lengths
    assert [*first.lengths, *second.lengths] == lengths


def test_micro_batches_hold_every_example_once_under_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 500)
    parts = micro_batches(lengths, tokens_per_device=120)

    assert sorted(np.concatenate(parts)) == list(range(500))
    assert all(lengths[part].sum() <= 120 for part in parts)
    flat = lengths[np.concatenate(parts)]
    assert (np.diff(flat) <= 0).all(), "longest first"


def test_an_example_above_the_budget_stands_alone() -> None:
    parts = micro_batches(np.array([5, 200, 5]), tokens_per_device=100)
    assert [part.tolist() for part in parts] == [[1], [0, 2]]
