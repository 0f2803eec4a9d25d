"""Names of outputs are read in every honest form that config.json has for them, and refused in the others."""

from typing import Any

import pytest

from babelfit.encoder.label_tables import with_label_tables
from babelfit.errors import UserError

BY_ID = {0: "yes", 1: "no", 2: "maybe"}
BY_NAME = {"yes": 0, "no": 1, "maybe": 2}
UNNAMED = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


def tables(**fields: Any) -> tuple[Any, Any]:
    """Return both tables of a config.json that has these fields."""
    found = with_label_tables({"model_type": "bert", **fields}, path="theirs")
    assert found["model_type"] == "bert"
    return found.get("id2label"), found.get("label2id")


@pytest.mark.parametrize(
    "fields",
    [
        {"id2label": ["yes", "no", "maybe"]},
        {"id2label": ["yes", "no", "maybe"], "label2id": BY_NAME},
        {"id2label": {"0": "yes", "1": "no", "2": "maybe"}},
        {"id2label": {"2": "maybe", "0": "yes", "1": "no"}, "label2id": {}},
        {"id2label": {"0": "yes", "1": "no", "2": "maybe"}, "label2id": UNNAMED},
        {"id2label": {str(number): name for name, number in UNNAMED.items()}, "label2id": BY_NAME},
        {"label2id": {"yes": "0", "no": "1", "maybe": "2"}},
        {"label2id": ["yes", "no", "maybe"]},
    ],
)
def test_one_side_or_a_list_names_both(fields: dict[str, Any]) -> None:
    assert tables(**fields) == (BY_ID, BY_NAME)


def test_numbers_are_names() -> None:
    assert tables(id2label={"0": 0, "1": 1}) == ({0: "0", 1: "1"}, {"0": 0, "1": 1})
    assert tables(id2label=[1, 2]) == ({0: "1", 1: "2"}, {"1": 0, "2": 1})
    assert tables(id2label={"0": 0.5, "1": 1}) == ({0: "0.5", 1: "1"}, {"0.5": 0, "1": 1})


def test_two_whole_tables_are_left_as_they_are_though_they_contradict_each_other() -> None:
    assert tables(id2label=BY_ID, label2id={"no": 0, "yes": 1, "maybe": 2})[1] == {"no": 0, "yes": 1, "maybe": 2}


@pytest.mark.parametrize("fields", [{}, {"id2label": None}, {"id2label": {}, "label2id": {}}, {"id2label": []}])
def test_no_names_stay_none(fields: dict[str, Any]) -> None:
    assert tables(**fields) == (None, None)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id2label": "yes"}, "id2label in its config.json is 'yes'"),
        ({"id2label": {"a": "yes"}}, "'a' as the id of a label"),
        ({"id2label": {"0": "yes", "2": "no"}}, r"has the ids \[0, 2\]"),
        ({"id2label": {"0": ["yes"]}}, "as a name"),
        ({"id2label": {"0": None}}, "as a name"),
        ({"id2label": {"9" * 5000: "yes"}}, "as the id of a label"),
        ({"label2id": "yes"}, "label2id in its config.json is 'yes'"),
        ({"label2id": {"yes": 1.5}}, "1.5 as the id of a label"),
        ({"label2id": {"yes": True}}, "True as the id of a label"),
        ({"label2id": {"yes": 0, "no": 0}}, r"has the ids \[0, 0\]"),
    ],
)
def test_what_names_no_outputs_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=f"^theirs: .*{told}.*(must be|ids are)") as refused:
        tables(**fields)
    assert "\n" not in str(refused.value)
