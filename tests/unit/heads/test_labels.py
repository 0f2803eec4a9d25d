"""Outputs of a model are matched with the data's labels by name alone."""

from typing import Any

import pytest
from transformers import PreTrainedConfig, XLMRobertaConfig

from babelfit.errors import UserError
from babelfit.heads.labels import has_own_labels, label_order

NAMES = ("entailment", "neutral", "contradiction")


def config(*names: str, **changes: Any) -> PreTrainedConfig:
    """Describe a model whose outputs are named so, in this order."""
    fields = {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}
    return XLMRobertaConfig(**(fields | changes))


def order(model: PreTrainedConfig) -> list[int]:
    return label_order(model, label_names=NAMES, aliases={"contradictory": "contradiction"})


def refusal(model: PreTrainedConfig) -> str:
    with pytest.raises(UserError) as caught:
        order(model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NAMES, [0, 1, 2]),
        (("contradiction", "neutral", "entailment"), [2, 1, 0]),
        (("contradiction", "entailment", "neutral"), [1, 2, 0]),
        (("neutral", "contradiction", "entailment"), [2, 0, 1]),
        (("ENTAILMENT", "Neutral", "cOntradiction"), [0, 1, 2]),
        (("Contradictory", "entailment", "neutral"), [1, 2, 0]),
    ],
)
def test_each_label_finds_its_output_by_name(names: tuple[str, ...], expected: list[int]) -> None:
    assert order(config(*names)) == expected
    meant = [names[place].casefold().replace("contradictory", "contradiction") for place in order(config(*names))]
    assert tuple(meant) == NAMES


def test_names_that_stand_for_none_are_refused_with_both_sets() -> None:
    message = refusal(config("LABEL_0", "LABEL_1", "LABEL_2"))

    assert "the model has 0 = LABEL_0, 1 = LABEL_1, 2 = LABEL_2" in message
    assert "the data have 0 = entailment, 1 = neutral, 2 = contradiction" in message
    assert "id2label" in message


@pytest.mark.parametrize(
    "names",
    [
        ("entailment", "neutral"),
        ("entailment", "not_entailment"),
        (*NAMES, "other"),
        ("entailment", "neutral", "opposition"),
    ],
)
def test_other_sets_of_names_are_refused(names: tuple[str, ...]) -> None:
    assert f"the model has {', '.join(f'{place} = {name}' for place, name in enumerate(names))};" in refusal(
        config(*names)
    )


@pytest.mark.parametrize(
    "names",
    [
        ("entailment", "contradictory", "contradiction"),
        ("Neutral", "neutral", "contradiction"),
        (*NAMES, "contradictory"),
    ],
)
def test_a_meaning_that_stands_twice_is_refused(names: tuple[str, ...]) -> None:
    assert "label names do not match" in refusal(config(*names))


@pytest.mark.parametrize(
    "label2id",
    [
        {"contradiction": 0, "neutral": 1, "entailment": 2},
        {"entailment": 0, "neutral": 1},
        {"Entailment": 0, "neutral": 1, "contradiction": 2},
        {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2},
    ],
)
def test_two_tables_that_contradict_each_other_are_refused(label2id: dict[str, int]) -> None:
    message = refusal(config(*NAMES, label2id=label2id))

    assert "id2label and label2id contradict each other" in message
    assert str(label2id) in message


def test_ids_may_be_text_as_json_keeps_them() -> None:
    model = config("neutral", "contradiction", "entailment")
    model.id2label = {"0": "neutral", "1": "contradiction", "2": "entailment"}

    assert order(model) == [2, 0, 1]


def test_only_numbered_names_count_as_none() -> None:
    assert has_own_labels(config(*NAMES))
    assert not has_own_labels(XLMRobertaConfig(num_labels=3))
