"""Every kernel of ragged attention, compiled or not, gives the outputs and gradients of the padded model."""

import os
import shutil
from typing import Any

import pytest
import torch
from tiny import HEADS_OF_LABELS, KINDS, model, padded, ragged, without_dropout
from transformers import PreTrainedModel

from babelfit.changes.checkpointing import Checkpointing
from babelfit.encoder import agreement, attention
from babelfit.encoder.encoder import (
    TARGETS_ALONE,
    compile_layers,
    encode,
    encode_targets,
    layers,
    leave_targets_alone,
    use_kernel,
)
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

HEAD = "sequence_classification"
RAGGED = [kind for kind in KINDS if kind != "deberta-v2"]


def ready(kind: str, kernel: str = "auto", **changes: float) -> PreTrainedModel:
    made = model(kind, **without_dropout(kind) | changes)
    HEADS[HEAD].ready(made, max_length=60)
    use_kernel(made, kernel)
    return made.train()


def gradients(made: PreTrainedModel, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    made.zero_grad()
    summed_loss(logits, labels).backward()
    return {name: value.grad.clone() for name, value in made.named_parameters() if value.grad is not None}


@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
@pytest.mark.parametrize("lengths", [[60, 58, 40, 17, 16, 3, 1], [7, 7, 7], [3, 60, 1], [1]])
@pytest.mark.parametrize("kernel", ["padded", "nested"])
@pytest.mark.parametrize("kind", RAGGED)
def test_outputs_and_gradients_equal_the_padded_model(kind: str, kernel: str, lengths: list[int]) -> None:
    reference, ours = model(kind, **without_dropout(kind)).train(), ready(kind, kernel)
    assert ours.config._attn_implementation == attention.name(kernel)
    batch = ragged(lengths)
    theirs = reference(**padded(reference, batch)).logits
    logits = HEADS[HEAD].logits(ours, encode(ours, batch)[batch.targets])

    torch.testing.assert_close(logits, theirs, atol=1e-5, rtol=1e-5)
    expected = gradients(reference, theirs, batch.gold)
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in gradients(ours, logits, batch.gold).items():
        torch.testing.assert_close(gradient, expected[name], atol=2e-6 * largest, rtol=1e-4, msg=name)


def test_sequences_of_similar_length_share_a_rectangle_and_no_other_token_is_padded() -> None:
    batch = ragged([60, 50, 45, 44, 20, 18, 5])
    borders = attention.Borders(lengths=batch.lengths, cu_seqlens=batch.cu_seqlens)
    assert [tuple(one.mask.shape) for one in borders.rectangles] == [(3, 60), (1, 44), (2, 20), (1, 5)]
    states = torch.arange(batch.num_tokens)
    parts = states.split([len(one.slots) for one in borders.rectangles])
    back = torch.cat([one.ragged(one.padded(part)) for one, part in zip(borders.rectangles, parts, strict=True)])
    assert torch.equal(back, states)


@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
@pytest.mark.parametrize("kernel", ["padded", "nested"])
def test_attention_dropout_has_its_rate(kernel: str) -> None:
    torch.manual_seed(0)
    batch = ragged([40] * 50)
    borders = attention.Borders(lengths=batch.lengths, cu_seqlens=batch.cu_seqlens)
    # Equal keys share equally, and a value of one in each place tells what is left of the shares.
    query = key = torch.zeros(1, 2, batch.num_tokens, 4)
    value = torch.ones(1, 2, batch.num_tokens, 4)
    attend = attention.ragged_attention
    outputs, _ = attend(torch.nn.Module(), query, key, value, None, kernel=kernel, borders=borders, dropout=0.25)
    # Of 40 tokens so many are left, each of them 1 / 40 / 0.75.
    left = outputs * 40 * 0.75
    torch.testing.assert_close(left, left.round(), atol=1e-3, rtol=0)
    assert float(left.mean()) == pytest.approx(30, abs=0.2)
    assert float(left[..., 0].var()) == pytest.approx(40 * 0.25 * 0.75, rel=0.1)


def compilable() -> None:
    if not shutil.which(os.environ.get("CXX", "g++")):
        pytest.skip("compiling for the CPU needs g++")


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns about its own workings
def test_compiled_layers_give_the_same_losses_and_are_not_compiled_again_for_other_lengths() -> None:
    compilable()
    eager, compiled = ready("xlm-roberta"), ready("xlm-roberta")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compile_layers(compiled)
    batches = [ragged(lengths) for lengths in ([9, 5], [33], [60, 2, 1], [50, 49, 20, 3], [7] * 9, [12, 11, 10])]
    counted = []
    for batch in batches:
        losses = [
            summed_loss(HEADS[HEAD].logits(made, encode_targets(made, batch)), batch.gold) for made in (eager, compiled)
        ]
        torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=1e-5)
        for loss in losses:
            loss.backward()
        counted.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    for (name, ours), theirs in zip(compiled.named_parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-3, rtol=1e-3, msg=name)
    assert counted[0] > 0
    # Once more for a single sequence: torch takes sizes of one apart.
    assert set(counted[1:]) == {counted[1]}


def test_what_has_no_layers_is_not_compiled() -> None:
    with pytest.raises(UserError, match=r"trainer\.compile=true: distilbert has no layers"):
        compile_layers(model("distilbert", num_hidden_layers=0, n_layers=0))


def rows_of(outputs: Any) -> int:
    """Count the rows of a layer's hidden states; DeBERTa's layers return more than these."""
    states = outputs[0] if isinstance(outputs, tuple) else outputs
    return int(states.shape[-2])


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("head", HEADS_OF_LABELS)
@pytest.mark.parametrize("kind", KINDS)
def test_targets_computed_alone_are_as_with_all_tokens_and_so_are_gradients(
    kind: str, head: str, checkpointing: bool
) -> None:
    # Every third token is read, as in words of several subwords.
    batch = ragged([20, 18, 7, 1], per_token=head == "token_classification")
    if head == "token_classification":
        batch.targets, batch.gold = batch.targets[::3], batch.gold[::3]
    made = model(kind, head=head, **without_dropout(kind))
    HEADS[head].ready(made, max_length=60)
    if checkpointing:
        Checkpointing().apply(made)
    made.train()
    num_rows: list[int] = []
    layers(made)[-1].register_forward_hook(lambda _, __, outputs: num_rows.append(rows_of(outputs)))

    every = encode(made, batch)[batch.targets]
    expected = gradients(made, HEADS[head].logits(made, every), batch.gold)
    alone = encode_targets(made, batch)
    assert num_rows[-1] == (len(batch.targets) if kind in RAGGED else max(batch.lengths))
    torch.testing.assert_close(alone, every, atol=1e-5, rtol=1e-5)
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, gradient in gradients(made, HEADS[head].logits(made, alone), batch.gold).items():
        torch.testing.assert_close(gradient, expected[name], atol=2e-6 * largest, rtol=1e-4, msg=name)


def test_a_model_that_would_give_other_numbers_computes_all_tokens() -> None:
    class Mixing(torch.nn.Module):
        """What no encoder in conf/ does behind its attention: look at the other tokens."""

        def __init__(self, dense: torch.nn.Module) -> None:
            super().__init__()
            self.dense = dense

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            mixed: torch.Tensor = self.dense(states + states.mean(1, keepdim=True))
            return mixed

    made = model("xlm-roberta")
    HEADS[HEAD].ready(made, max_length=60)
    assert hasattr(made, TARGETS_ALONE)
    # One sequence at a time, so that without padding it is no other encoder but for this.
    last = layers(made)[-1]
    last.intermediate.dense = Mixing(last.intermediate.dense)
    leave_targets_alone(made)
    batch = ragged([20])
    with torch.no_grad():
        agreement._try_targets_alone(made, batch, expected={"hidden states": encode(made, batch)})
    assert not hasattr(made, TARGETS_ALONE)
    with torch.no_grad():
        assert torch.equal(encode_targets(made, batch), encode(made, batch)[batch.targets])
