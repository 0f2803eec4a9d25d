"""Rows are known again by their text, and measured; files are known by their scripts."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelfit.datasets.pawsx import LANGUAGES as PAWSX
from babelfit.datasets.wikiann import ROWS as WIKIANN
from babelfit.datasets.xnli import LANGUAGES as XNLI
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.rows import measuring
from babelfit.rows.scripts import expected_scripts, look_alike


def pairs(*rows: tuple[str, str]) -> pa.Table:
    first, second = zip(*rows, strict=True)
    return pa.table({"premise": list(first), "hypothesis": list(second), "label": ["neutral"] * len(rows)})


def test_the_same_text_has_the_same_hash_whatever_its_label() -> None:
    table = pairs(("A cat.", "It sits."), ("A cat.", "It sits."), ("A cat.", "It runs."), ("A cat. It", "sits."))
    hashed = measuring.of_rows(table)
    other_labels = measuring.of_rows(table.set_column(2, "label", [["contradiction"] * 4]))

    assert hashed == other_labels
    for kind in ("exact", "folded"):
        assert hashed[kind][0] == hashed[kind][1]
        assert len(set(hashed[kind])) == 3


@pytest.mark.parametrize("written", ["a CAT  sat", " a cat\u00a0sat ", "ａ cat sat", "A cat sat"])
def test_case_spaces_and_forms_of_a_character_are_folded(written: str) -> None:
    hashed = measuring.of_rows(pairs(("a cat sat", "b"), (written, "b")))

    assert hashed["folded"][0] == hashed["folded"][1]
    assert hashed["exact"][0] != hashed["exact"][1]


@given(st.text(), st.text())
def test_only_what_is_alike_when_folded_is_taken_for_the_same(one: str, other: str) -> None:
    def folded(text: str) -> list[str]:
        return unicodedata.normalize("NFKC", text).casefold().split()

    hashes = measuring.of_rows(pairs((one, ""), (other, "")))["folded"]
    assert (hashes[0] == hashes[1]) == (folded(one) == folded(other))


def test_rows_are_measured_in_words_and_characters_and_sentences_in_their_words() -> None:
    measured = measuring.of_rows(pairs(("a cat  sat", "ok"), ("猫", "ok")))
    tagged = measuring.of_rows(pa.table({"words": [["New York", "is", "big"]], "tags": [["B-LOC", "O", "O"]]}))

    assert (measured["words"], measured["characters"]) == ([4, 2], [12, 3])
    assert (tagged["words"], tagged["characters"]) == ([3], [15])


def test_subwords_are_counted_without_special_tokens_and_with_the_unknown() -> None:
    ids = pa.array([[0, 7, 3, 2], [0, 3, 2], [0, 2]], pa.list_(pa.int32()))
    for part in (ids, ids.slice(1)):
        counted = measuring.of_tokens(part, special=[0, 2, 3], unknown=3)
        assert counted["subwords"].tolist() == [2, 1, 0][-len(part) :]
        assert counted["unknown"].tolist() == [1, 1, 0][-len(part) :]
    assert measuring.of_tokens(ids, special=[0, 2], unknown=None)["unknown"].tolist() == [0, 0, 0]


def test_scripts_are_shares_of_the_letters() -> None:
    found = measuring.scripts(pairs(("Кот сел", "123!"), ("cat", "Ａ")))
    assert found == {"CYRILLIC": 0.6, "LATIN": 0.4}
    assert measuring.scripts(pairs(("123", "!?"))) == {}


def test_scripts_are_looked_for_all_over_a_long_file() -> None:
    rows = [("cat", "dog")] * 5_000 + [("кот", "пёс")] * 5_000
    assert measuring.scripts(pairs(*rows)) == {"CYRILLIC": 0.5, "LATIN": 0.5}


@pytest.mark.parametrize("language", sorted({*XNLI, *PAWSX, *WIKIANN, *LANGUAGE_NAMES}))
def test_each_language_of_the_datasets_has_a_script(language: str) -> None:
    assert expected_scripts(language)


def test_a_file_in_the_script_of_another_language_is_doubted() -> None:
    assert look_alike("ar", shares={"LATIN": 0.97, "ARABIC": 0.03}) == (
        "97 % of the letters are Latin, where 'ar' is written in Arabic; is it another language's file?"
    )
    assert "written in CJK;" in str(look_alike("zh", shares={"LATIN": 1.0}))


@pytest.mark.parametrize(
    ("language", "shares"),
    [
        ("ar", {"ARABIC": 0.6, "LATIN": 0.4}),
        ("ja", {"CJK": 0.4, "KATAKANA": 0.3, "HIRAGANA": 0.2, "LATIN": 0.1}),
        ("sr", {"LATIN": 1.0}),
        ("de", {}),
        ("tlh", {"LATIN": 1.0}),
    ],
)
def test_names_in_another_script_and_languages_in_two_are_not_doubted(language: str, shares: dict[str, float]) -> None:
    assert look_alike(language, shares=shares) is None


def test_hashes_fit_the_columns_of_the_cache() -> None:
    hashed = measuring.of_rows(pairs(*((f"row {number}", "x") for number in range(1_000))))
    assert len(np.unique(np.array(hashed["exact"], np.int64))) == 1_000
