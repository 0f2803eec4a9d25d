"""Which parameters lie how deep, what stays as it is, how long a sequence may be, activations run again."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import KINDS, model, ragged, without_dropout

from babelfit.encoder.encoder import checkpoint_activations, depths, encode, freeze, max_tokens
from babelfit.encoder.loading import files_read
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

HEAD = "sequence_classification"
NUM_LAYERS = 3


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_parameters_lie_as_deep_as_their_layer(kind: str) -> None:
    made = model(kind)
    for name, depth in depths(made).items():
        if "layer." in name or "layers." in name:
            assert f".{depth - 1}." in name
        elif "embeddings." in name:
            assert depth == 0
        else:
            assert depth == NUM_LAYERS + 1
    assert set(depths(made).values()) == set(range(NUM_LAYERS + 2))


def test_what_has_no_stack_of_layers_has_no_depths() -> None:
    with pytest.raises(UserError, match=r"albert has no stack of 3 layers.*encoder\.freeze_layers at 0"):
        depths(model("albert", head="token_classification", embedding_size=32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("layers", [0, 2, NUM_LAYERS])
def test_embeddings_and_the_lowest_layers_are_frozen_and_nothing_else(kind: str, embeddings: bool, layers: int) -> None:
    made = model(kind)
    freeze(made, embeddings=embeddings, layers=layers)
    HEADS[HEAD].ready(made, max_length=60)
    batch = ragged([3, 20])
    made.train()
    summed_loss(HEADS[HEAD].logits(made, encode(made, batch)[batch.targets]), batch.gold).backward()

    frozen = {depth for depth in range(NUM_LAYERS + 2) if (depth == 0 and embeddings) or 1 <= depth <= layers}
    of_parameter = depths(made)
    for name, value in made.named_parameters():
        assert value.requires_grad == (of_parameter[name] not in frozen), name
        if of_parameter[name] in frozen:
            assert value.grad is None, name
        else:
            assert value.grad is not None, name


def test_more_layers_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(UserError, match=r"encoder\.freeze_layers=4: bert has 3 layers"):
        freeze(model("bert"), embeddings=False, layers=4)


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("xlm-roberta", 64), ("xlm-roberta-xl", 64), ("bert", 66), ("deberta-v2", 66), ("modernbert", 66)],
)
def test_a_sequence_may_be_as_long_as_the_positions_reach(kind: str, longest: int) -> None:
    assert max_tokens(model(kind)) == longest


def test_a_model_without_positions_sets_no_bound() -> None:
    made = model("deberta-v2")
    made.config = SimpleNamespace(model_type="endless")
    assert max_tokens(made) is None


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_activations_run_again_give_the_same_gradients(kind: str) -> None:
    rates = without_dropout(kind) if kind in KINDS else {}
    plain, again = model(kind, **rates), model(kind, **rates)
    batch = ragged([3, 60, 1])
    checkpoint_activations(again)
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
    freeze(made, embeddings=True, layers=1)
    checkpoint_activations(made)
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
    with pytest.raises(UserError, match=r"encoder\.gradient_checkpointing=true: bert cannot do it"):
        checkpoint_activations(made)


def test_only_files_are_read_for_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.json").mkdir()
    os.mkfifo(tmp_path / "b.json")  # who reads it waits for ever
    assert list(files_read(str(tmp_path))["files"]) == ["config.json"]
