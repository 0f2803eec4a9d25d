"""A prepared configuration counts its steps and names its languages; its models are those that it asks for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from babelfit.commands.compose import compose_config
from babelfit.config.schema import TrainConfig, checked
from babelfit.finetuning.prepared import Prepared, prepare

SMALL = (
    "encoder=mini_random",
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "data.limit={train: 64, validation: 16, test: 16}",
)


def configured(*overrides: str) -> TrainConfig:
    return checked(compose_config("train", [*SMALL, *overrides]), TrainConfig)


@pytest.mark.parametrize(
    ("overrides", "steps", "every", "validations"),
    [
        (("optimization.epochs=3", "validation.every=epoch"), 30, 10, 3),
        (("optimization.epochs=3", "validation.every=4"), 30, 4, 8),
        (("optimization.epochs=3", "validation.every=4", "optimization.max_steps=12"), 12, 4, 3),
        (("optimization.epochs=3", "validation.every=40", "optimization.max_steps=7"), 7, 7, 1),
        (("optimization.epochs=1", "validation.every=40", "optimization.max_steps=99"), 10, 10, 1),
    ],
)
def test_steps_and_validations_are_counted(
    overrides: tuple[str, ...], steps: int, every: int, validations: int
) -> None:
    data: Any = SimpleNamespace(steps_per_epoch=10)
    prepared = Prepared(config=configured(*overrides), data=data, scored={})

    counted = (prepared.num_steps, prepared.steps_between_validations, prepared.num_validations)
    assert counted == (steps, every, validations)


def test_languages_that_null_stood_for_are_named_and_the_reported_split_comes_last() -> None:
    prepared = prepare(configured("objective=mean_dev", "data.train_languages=[en]"))

    assert prepared.data.languages
    assert prepared.config.data.languages == prepared.config.objective_languages == prepared.data.languages
    assert list(prepared.scored) == ["validation", "test"]
    assert prepared.num_tokens("test", ["en", "de"]) == sum(
        len(ids) for language in ("en", "de") for ids in prepared.data.open("test", language)["input_ids"]
    )


def test_the_model_to_train_is_the_whole_one_changed_and_the_changes_undone_give_the_whole_one_back() -> None:
    prepared = prepare(configured("data.languages=[en]", "encoder.freeze_layers=1", "encoder.embedding_dropout=0.1"))
    whole, model = prepared.whole_model(), prepared.model()

    assert model.get_input_embeddings().num_embeddings < whole.get_input_embeddings().num_embeddings
    assert {parameter.requires_grad for parameter in whole.parameters()} == {True}
    assert {parameter.requires_grad for parameter in model.parameters()} == {True, False}
    state = model.state_dict()
    for change in reversed(prepared.changes):
        state = change.undo(state, before=whole)
    expected = whole.state_dict()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(state[name], value), name


def test_embeddings_that_stay_random_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    prepared = prepare(configured("data.languages=[en]", "encoder.freeze_embeddings=true"))
    prepared.model()
    prepared.model(without_weights=True)

    assert caplog.text.count("embeddings are random and stay so") == 1


def test_nothing_is_written_but_the_cache_of_tokens(in_folder: Path) -> None:
    prepare(configured("data.languages=[en]")).model()
    assert not list(in_folder.iterdir())
