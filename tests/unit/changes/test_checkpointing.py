"""Activations that are run again give the same gradients, and ask none of what is frozen."""

from typing import Any

import pytest
import torch
from tiny import KINDS, model, ragged, without_dropout

from babelfit.changes.checkpointing import Checkpointing
from babelfit.changes.freezing import Freezing
from babelfit.encoder.encoder import encode
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

HEAD = "sequence_classification"


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_activations_run_again_give_the_same_gradients(kind: str) -> None:
    rates = without_dropout(kind) if kind in KINDS else {}
    plain, again = model(kind, **rates), model(kind, **rates)
    batch = ragged([3, 60, 1])
    Checkpointing().apply(again)
    runs: dict[str, int] = {}
    for name, made in (("plain", plain), ("again", again)):
        HEADS[HEAD].ready(made, max_length=60)
        made.train()
        runs[name] = 0

        def count(*_: Any, name: str = name) -> None:
            runs[name] += 1

        first_layer = next(part for place, part in made.named_modules() if place.endswith(("layer.0", "layers.0")))
        next(part for part in first_layer.modules() if isinstance(part, torch.nn.Linear)).register_forward_hook(count)
        summed_loss(HEADS[HEAD].logits(made, encode(made, batch)[batch.targets]), batch.gold).backward()

    assert runs["again"] == 2 * runs["plain"] > 0
    expected = {name: value.grad for name, value in plain.named_parameters()}
    for name, value in again.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], atol=1e-6, rtol=1e-5)


def test_activations_run_again_above_frozen_embeddings_and_layers() -> None:
    made = model("xlm-roberta")
    Freezing(embeddings=True, layers=1).apply(made)
    Checkpointing().apply(made)
    HEADS[HEAD].ready(made, max_length=60)
    batch = ragged([3, 20])
    made.train()
    asked: list[bool] = []
    made.get_submodule("roberta.encoder.layer.0").register_forward_hook(
        lambda _, __, states: asked.append((states[0] if isinstance(states, tuple) else states).requires_grad)
    )
    summed_loss(HEADS[HEAD].logits(made, encode(made, batch)[batch.targets]), batch.gold).backward()

    assert [name for name, value in made.named_parameters() if (value.grad is None) == value.requires_grad] == []
    assert asked == [False], "nothing below the trained layers is asked for a gradient"


def test_what_cannot_run_activations_again_says_so() -> None:
    made = model("bert")
    made.supports_gradient_checkpointing = False
    with pytest.raises(UserError, match=r"encoder\.gradient_checkpointing=true: bert does not support it"):
        Checkpointing().apply(made)
