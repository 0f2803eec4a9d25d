"""Without padding the outputs are those of the padded Hugging Face model, however a batch is cut."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, XLMRobertaConfig

from babelfit import attention
from babelfit.data.batching import RaggedBatch, cut
from babelfit.encoder import encode
from babelfit.heads import SequenceClassification, summed_loss

PADDING = 1


def model(**changes: float) -> PreTrainedModel:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=66,
        type_vocab_size=1,
        num_labels=3,
        initializer_range=0.2,
        **changes,
    )
    return AutoModelForSequenceClassification.from_config(config).eval()


def ragged(lengths: list[int]) -> RaggedBatch:
    generator = np.random.default_rng(1)
    borders = np.cumsum([0, *lengths])
    batch = RaggedBatch(
        input_ids=generator.integers(5, 200, borders[-1]),
        token_type_ids=np.zeros(borders[-1], dtype=np.int64),
        position_ids=np.concatenate([np.arange(length) for length in lengths]),
        cu_seqlens=borders,
        targets=borders[:-1],
        labels=generator.integers(0, 3, len(lengths)),
        indices=np.arange(len(lengths)),
        languages=np.zeros(len(lengths), dtype=np.int64),
        longest=max(lengths),
    )
    return batch.to("cpu")


def padded(batch: RaggedBatch) -> dict[str, torch.Tensor]:
    sequences = batch.input_ids.split(batch.cu_seqlens.diff().tolist())
    ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=PADDING)
    return {"input_ids": ids, "attention_mask": (ids != PADDING).long()}


@pytest.mark.parametrize("lengths", [[1], [64], [3, 64, 1, 17, 2], [5, 5, 5], list(range(1, 40))])
def test_hidden_states_and_logits_equal_the_padded_model(lengths: list[int]) -> None:
    reference, batch = model(), ragged(lengths)
    with torch.no_grad():
        outputs = reference(**padded(batch), output_hidden_states=True)
        reference.set_attn_implementation(attention.NAME)
        hidden = encode(reference, batch)
        logits = SequenceClassification.logits(reference, hidden[batch.targets])

    is_token = padded(batch)["attention_mask"].bool()
    torch.testing.assert_close(hidden, outputs.hidden_states[-1][is_token], atol=1e-5, rtol=0)
    torch.testing.assert_close(logits, outputs.logits, atol=1e-5, rtol=0)
    assert logits.std() > 0.01


def test_gradients_equal_the_padded_model() -> None:
    batch = ragged([3, 60, 1, 17])
    reference, ours = model(), model()
    reference(**padded(batch), labels=batch.labels).loss.backward()
    ours.set_attn_implementation(attention.NAME)
    logits = SequenceClassification.logits(ours, encode(ours, batch)[batch.targets])
    (summed_loss(logits, batch.labels) / batch.num_sequences).backward()

    expected = {name: value.grad for name, value in reference.named_parameters()}
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], atol=1e-5, rtol=1e-4)


def test_attention_dropout_is_applied_in_training_alone() -> None:
    dropping = model(attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.0)
    dropping.set_attn_implementation(attention.NAME)
    batch = ragged([10, 20])
    with torch.no_grad():
        assert torch.equal(encode(dropping, batch), encode(dropping, batch))
        dropping.train()
        assert not torch.equal(encode(dropping, batch), encode(dropping, batch))


@pytest.mark.parametrize("lengths", [[4, 4], [1, 50], [50, 1], [2, 3, 4, 5, 6], [1, 1, 1]])
def test_halves_hold_all_sequences_in_order(lengths: list[int]) -> None:
    whole = ragged(lengths)
    first, second = whole.halves()

    assert first.num_sequences + second.num_sequences == len(lengths)
    assert first.num_sequences
    assert second.num_sequences
    for name in ("input_ids", "position_ids", "labels", "indices"):
        joined = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(joined, getattr(whole, name))
    assert first.cu_seqlens.diff().tolist() + second.cu_seqlens.diff().tolist() == lengths
    assert max(first.longest, second.longest) == whole.longest


def test_micro_batches_hold_every_example_once_under_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 500)
    parts = cut(lengths, tokens_per_device=120)

    assert sorted(np.concatenate(parts)) == list(range(500))
    assert all(lengths[part].sum() <= 120 for part in parts)
    flat = lengths[np.concatenate(parts)]
    assert (np.diff(flat) <= 0).all(), "longest first"


def test_an_example_above_the_budget_stands_alone() -> None:
    parts = cut(np.array([5, 200, 5]), tokens_per_device=100)
    assert [part.tolist() for part in parts] == [[1], [0, 2]]
