"""Texts that are given one by one become rows, or are refused with what the model reads."""

import math
from typing import Any

import pytest

from babelfit.batches.ragged import NO_LABEL
from babelfit.errors import UserError
from babelfit.rows.given import rows_of_texts, rows_of_words
from babelfit.tasks import Classification, MaskedTokens, Regression, Tagging


def test_texts_and_pairs_become_columns() -> None:
    single = rows_of_texts(["a", "b"], columns=("text",))
    pairs = rows_of_texts([("a", "b"), ["c", "d"]], columns=("one", "other"))

    assert single["text"].to_pylist() == ["a", "b"]
    assert (pairs["one"].to_pylist(), pairs["other"].to_pylist()) == (["a", "c"], ["b", "d"])


@pytest.mark.parametrize(
    ("given", "columns", "told"),
    [
        (["a", 3], ("text",), "number 1 of the texts is 3; this model reads a text"),
        ([("a", "b")], ("text",), "reads a text"),
        (["a"], ("one", "other"), "number 0 of the texts is 'a'; this model reads a pair of texts, a tuple of two"),
        ([("a", None)], ("one", "other"), "a pair of texts"),
        (["x" * 200], ("one", "other"), "xxx…;"),
    ],
)
def test_other_shapes_are_refused(given: list[Any], columns: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        rows_of_texts(given, columns=columns)


@pytest.mark.parametrize("given", ["a sentence", [], ["a", 3], None])
def test_sentences_are_lists_of_words(given: Any) -> None:
    with pytest.raises(UserError, match=r"number 1 of the texts is .*as a list of them"):
        rows_of_words([["a"], given])


def test_rows_that_are_given_have_no_gold() -> None:
    classification = Classification(labels=["no", "yes"], texts=("text",))
    assert classification.read_gold(classification.rows_of(["a"])) == [[NO_LABEL]]
    tagging = Tagging(labels=["O", "B-LOC"])
    assert tagging.read_gold(tagging.rows_of([["a", "b"]])) == [[NO_LABEL, NO_LABEL]]
    regression = Regression(texts=("one", "other"))
    [[number]] = regression.read_gold(regression.rows_of([("a", "b")]))
    assert math.isnan(number)


def test_running_text_is_not_asked_one_by_one() -> None:
    with pytest.raises(UserError, match="fill-mask"):
        MaskedTokens().rows_of(["a"])
