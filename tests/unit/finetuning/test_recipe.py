"""The optimizer's groups: the Trainer's without layer decay, a rate for every layer with it, nothing frozen."""

from dataclasses import replace

import pytest
import torch
from tiny import KINDS, model
from transformers import PreTrainedModel, Trainer

from babelfit.changes.freezing import Freezing
from babelfit.encoder.encoder import depths
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.recipe import Recipe
from babelfit.tasks import of_head

RECIPE = Recipe(
    seed=0,
    total_steps=10,
    learning_rate=1e-3,
    warmup=2,
    weight_decay=0.1,
    schedule="linear",
    clip=None,
)


def optimizer(made: PreTrainedModel, *, layer_decay: float) -> torch.optim.Optimizer:
    finetuner = Finetuner(
        made,
        task=of_head("sequence_classification"),
        languages=["en"],
        source_languages=[],
        tokens_per_device=64,
        recipe=replace(RECIPE, layer_decay=layer_decay),
    )
    built: torch.optim.Optimizer = finetuner.configure_optimizers()["optimizer"]
    return built


@pytest.mark.parametrize("kind", [*KINDS, "modernbert", "distilbert"])
def test_without_layer_decay_the_groups_are_the_trainers(kind: str) -> None:
    made = model(kind)
    names = {id(value): name for name, value in made.named_parameters()}
    decayed, rest = optimizer(made, layer_decay=1.0).param_groups

    assert [decayed["weight_decay"], rest["weight_decay"]] == [0.1, 0.0]
    assert decayed["initial_lr"] == rest["initial_lr"] == RECIPE.learning_rate
    expected = Trainer.get_decay_parameter_names(object.__new__(Trainer), made)
    assert {names[id(value)] for value in decayed["params"]} == set(expected)
    assert len(decayed["params"]) + len(rest["params"]) == len(names)


@pytest.mark.parametrize("kind", KINDS)
def test_with_layer_decay_every_layer_learns_slower_than_the_one_above_it(kind: str) -> None:
    made = model(kind)
    groups = optimizer(made, layer_decay=0.5).param_groups
    group_of = {id(value): group for group in groups for value in group["params"]}
    # Head and pooler 1, three layers 1/2, 1/4 and 1/8, embeddings 1/16.
    rate_at = {4: 1e-3, 3: 5e-4, 2: 2.5e-4, 1: 1.25e-4, 0: 6.25e-5}

    assert groups[0]["initial_lr"] == RECIPE.learning_rate, "the logged rate is the head's"
    assert sum(len(group["params"]) for group in groups) == len(list(made.parameters()))
    of_parameter = depths(made)
    for name, value in made.named_parameters():
        group = group_of[id(value)]
        assert group["initial_lr"] == pytest.approx(rate_at[of_parameter[name]]), name
        assert group["weight_decay"] == (0.1 if value.ndim >= 2 else 0.0), name


@pytest.mark.parametrize("layer_decay", [1.0, 0.9])
def test_what_is_frozen_is_not_in_the_optimizer(layer_decay: float) -> None:
    made = model("bert")
    Freezing(embeddings=True, layers=1).apply(made)
    held = {id(value) for group in optimizer(made, layer_decay=layer_decay).param_groups for value in group["params"]}

    assert held == {id(value) for name, value in made.named_parameters() if depths(made)[name] > 1}
