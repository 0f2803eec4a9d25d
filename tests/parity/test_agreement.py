"""Every model is asked, when it is loaded, whether it gives its own numbers: without padding, else padded, else not."""

import logging
from typing import Any

import numpy as np
import pytest
import torch
from tiny import HEADS_OF_LABELS, KINDS, model, padded, ragged
from transformers import PreTrainedModel
from transformers.models.bert import modeling_bert

from babelfit.encoder import agreement, attention
from babelfit.encoder.encoder import encode, encode_targets, is_ragged, takes_token_types
from babelfit.errors import UserError
from babelfit.heads import HEADS

HEAD = "sequence_classification"


def chosen(made: PreTrainedModel, *, head: str = HEAD, max_length: int = 60) -> bool:
    """Choose, and tell whether there is no padding."""
    HEADS[head].ready(made, max_length=max_length)
    return is_ragged(made)


@pytest.mark.parametrize("head", HEADS_OF_LABELS)
@pytest.mark.parametrize(
    ("kind", "without_padding", "told"),
    [
        ("xlm-roberta", True, "xlm-roberta runs without padding"),
        ("xlm-roberta-xl", True, "xlm-roberta-xl runs without padding"),
        ("bert", True, "bert runs without padding"),
        ("roberta", True, "roberta runs without padding"),
        ("distilbert", True, "distilbert runs without padding"),
        ("deberta-v2", False, "deberta-v2 runs with padding, inside the encoder alone: transformers lets no other"),
        ("modernbert", False, "modernbert runs with padding, inside the encoder alone: it has sliding_window"),
    ],
)
def test_a_model_runs_without_padding_where_it_can_and_says_so(
    kind: str, head: str, without_padding: bool, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert chosen(model(kind, head=head), head=head) == without_padding
    assert [told in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("kind", ["distilbert", "modernbert"])
def test_a_model_of_another_kind_gives_its_own_numbers(kind: str) -> None:
    reference, ours = model(kind), model(kind)
    chosen(ours)
    batch = ragged([3, 50, 1, 17])
    with torch.no_grad():
        logits = HEADS[HEAD].logits(ours, encode(ours, batch)[batch.targets])
        torch.testing.assert_close(logits, reference(**padded(reference, batch)).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [*KINDS, "roberta", "distilbert", "modernbert"])
@pytest.mark.parametrize("places", [[2], [3, 4, 5], [52, 53], [0, 1, 2, 60]])
def test_text_that_reads_like_padding_gets_the_model_s_own_numbers(kind: str, places: list[int]) -> None:
    reference, ours = model(kind), model(kind)
    chosen(ours)
    batch = ragged([3, 50, 1, 17])
    batch.input_ids[places] = reference.config.pad_token_id
    with torch.no_grad():
        hidden = encode(ours, batch)
        own = [
            reference.base_model(
                input_ids=ids.unsqueeze(0),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                **({"token_type_ids": types.unsqueeze(0)} if takes_token_types(reference) else {}),
            )[0][0]
            for ids, types in zip(
                batch.input_ids.split([3, 50, 1, 17]), batch.token_type_ids.split([3, 50, 1, 17]), strict=True
            )
        ]
    torch.testing.assert_close(hidden, torch.cat(own), atol=1e-5, rtol=1e-5)


def test_padding_in_text_is_not_counted_where_counting_begins_again_within_a_sequence() -> None:
    made = model("xlm-roberta")
    chosen(made)
    batch = ragged([8])
    batch.position_ids[:] = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    batch.input_ids[[1, 6]] = 1
    rows: list[torch.Tensor] = []
    table = made.base_model.embeddings.position_embeddings
    table.register_forward_pre_hook(lambda _, given: rows.append(given[0].flatten()))
    with torch.no_grad():
        encode(made, batch)

    assert rows[0].tolist() == [2, 1, 3, 4, 2, 3, 1, 4]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_asking_changes_nothing_else(kind: str, training: bool) -> None:
    made = model(kind).train(training)
    made.register_forward_hook(lambda *_: torch.rand(1) and None)  # as models do that draw in evaluation too
    weights = {name: value.clone() for name, value in made.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    chosen(made)

    assert torch.equal(torch.rand(4), expected)
    assert {module.training for module in made.modules()} == {training}
    assert all(torch.equal(value, weights[name]) for name, value in made.state_dict().items())
    assert all(value.grad is None for value in made.parameters())
    assert not made.base_model._forward_hooks


def test_other_positions_are_seen_and_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = modeling_bert.BertEmbeddings.forward

    def counting_by_itself(self: Any, *, position_ids: Any = None, **inputs: Any) -> torch.Tensor:
        return forward(self, **inputs)

    monkeypatch.setattr(modeling_bert.BertEmbeddings, "forward", counting_by_itself)
    made = model("bert")
    assert not chosen(made)
    batch = ragged([3, 50, 1])
    with torch.no_grad():
        logits = HEADS[HEAD].logits(made, encode(made, batch)[batch.targets])
        torch.testing.assert_close(logits, made(**padded(made, batch)).logits, atol=1e-5, rtol=1e-5)


def test_a_window_shorter_than_the_longest_sequence_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "WITHOUT_EFFECT", ("position_ids", "deterministic", "sliding_window"))
    assert not chosen(model("modernbert"), max_length=60), "it would be wrong to leave the window out"
    assert chosen(model("modernbert"), max_length=5), "all of it lies in the window"


def test_another_pooling_is_refused() -> None:
    with pytest.raises(UserError, match=r"modernbert \(ModernBertForSequenceClassification\).*its logits differ by"):
        chosen(model("modernbert", classifier_pooling="mean"))


def test_a_broken_model_is_refused_with_its_type_and_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    pooler = modeling_bert.BertPooler.forward
    monkeypatch.setattr(
        modeling_bert.BertPooler, "forward", lambda self, states: pooler(self, states.mean(1, keepdim=True))
    )
    with pytest.raises(UserError, match=r"encoder\.path: bert \(BertForSequenceClassification\).*logits differ by"):
        chosen(model("bert"))


def test_a_model_whose_outputs_depend_on_the_padding_is_refused() -> None:
    with pytest.raises(UserError, match=r"fnet \(FNetForSequenceClassification\).*hidden states differ by"):
        chosen(model("fnet"))


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_diverged_weights_are_not_taken_for_a_strange_model(kind: str) -> None:
    made = model(kind)
    with torch.no_grad():
        next(made.get_submodule("classifier").parameters()).fill_(float("nan"))
    chosen(made)


def test_no_numbers_where_the_model_has_some_are_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "encode", lambda *arguments: encode(*arguments) * float("nan"))
    with pytest.raises(UserError, match=r"hidden states differ by 1 of their size"):
        chosen(model("bert"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, None),
        ({"position_ids": torch.arange(3), "sliding_window": None, "softcap": None, "output_attentions": False}, None),
        ({"sliding_window": 4}, "sliding_window"),
        ({"softcap": 50.0}, "softcap"),
        ({"s_aux": torch.ones(1)}, "s_aux"),
        ({"borders": None}, "borders"),
        ({"attention_mask": torch.zeros(1, 1, 3, 3)}, "a mask or a bias to the attention scores"),
        ({"is_causal": True}, "causal"),
    ],
)
def test_attention_refuses_what_it_would_leave_out(options: dict[str, Any], told: str | None) -> None:
    states = torch.randn(1, 2, 3, 4)
    module = torch.nn.Module()
    module.is_causal = options.pop("is_causal", False)
    borders = attention.Borders(lengths=np.array([3]), cu_seqlens=torch.tensor([0, 3]))
    arguments = {"kernel": "auto", "attention_mask": None, "scaling": 0.5, "borders": borders} | options

    if told is None:
        attention.ragged_attention(module, states, states, states, **arguments)
    else:
        with pytest.raises(attention.NotRaggedError, match=told):
            attention.ragged_attention(module, states, states, states, **arguments)


@pytest.mark.parametrize("kind", [*KINDS, "distilbert"])
def test_without_weights_a_model_runs_as_it_will_with_them(kind: str) -> None:
    with torch.device("meta"):
        made = model(kind)
    agreement.assume_attention(made, max_length=60)
    batch = ragged([20, 7]).to("meta")
    assert encode_targets(made, batch).shape == (2, 32)
    assert encode(made, batch).shape == (27, 32)


def test_without_weights_too_a_model_that_is_not_ragged_keeps_its_own_attention() -> None:
    with torch.device("meta"):
        made = model("modernbert")
    agreement.assume_attention(made, max_length=60)
    assert not is_ragged(made)
