"""Documents are typed: names are words, counts are counts, numbers can be drawn, and what is not so is said where."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from babelfit.files import documents
from babelfit.files.documents import Count, Number, Part, Word


@dataclass(frozen=True, kw_only=True)
class Made:
    """A document with one field of each type."""

    split: Word = "test"
    languages: dict[Word, Number] = field(default_factory=dict)
    rows: Count = 0
    share: Part = 0.5


@pytest.mark.parametrize("name", ["en", "zh-TW", "eng_Latn", "en-sw", "x" * 100])
def test_words_name_splits_and_languages(name: str) -> None:
    made = documents.parsed(Made, {"split": name, "languages": {name: 0.5}}, where="it")

    assert (made.split, made.languages) == (name, {name: 0.5})


ODD = ["", ".", "..", "a/b", "../x", "a b", "a\n", "\x1b[2J", "<b>", "é", "=1", "a\\b", "x" * 101]


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_word_names_nothing(name: str) -> None:
    for document in ({"split": name}, {"languages": {name: 1}}):
        with pytest.raises(ValueError, match="should be a word of letters, digits, - and _; found ") as error:
            documents.parsed(Made, document, where="it")
        assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"rows": -1}, "it.rows: Input should be greater than or equal to 0; found '-1'"),
        ({"rows": 10**16}, "it.rows: Input should be less than or equal to 1000000000000000"),
        ({"rows": 1.5}, "it.rows: "),
        ({"rows": True}, "it.rows: "),
        ({"share": 1.5}, "it.share: "),
        ({"share": -0.5}, "it.share: "),
        ({"languages": {"en": 1e200}}, "it.languages.en: Input should be no farther from zero than 1e+100"),
        ({"languages": {"en": float("nan")}}, "it.languages.en: Input should be a finite number"),
        ({"languages": {"en": float("-inf")}}, "it.languages.en: Input should be a finite number"),
        ({"rows": {1, 2}}, "it: Object of type set is not JSON serializable"),
        ({"split": "\ud800"}, "it: "),
        (["split"], "it: Input should be an object"),
    ],
)
def test_what_has_another_type_is_told_where(document: Any, told: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (its text is looked at)
        documents.parsed(Made, document, where="it")
    assert told in str(error.value)


def test_a_share_may_be_off_by_what_arithmetic_loses() -> None:
    assert documents.parsed(Made, {"share": 1 + 1e-12}, where="it").share > 1
