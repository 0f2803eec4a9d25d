"""WikiANN's files are read word by word in each layout; what is wrong with one is said with its place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Sequence, Value

from babelfit.datasets import wikiann
from babelfit.errors import UserError
from babelfit.rows import sources
from babelfit.rows.readers import TAGS, WORDS

SENTENCES = [(["Maria", "'s", "''"], ["B-PER", "O", "O"]), (["北", "京"], ["I-LOC", "I-LOC"])]


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def lines(*, prefix: str = "", tagged: bool = True) -> str:
    return "".join(
        "".join(f"{prefix}{word}\t{tag}\n" if tagged else f"{prefix}{word}\n" for word, tag in zip(*one, strict=True))
        + "\n"
        for one in SENTENCES
    )


def rows(folder: Path, split: str = "validation", language: str = "en") -> list[tuple[list[str], list[str] | None]]:
    source = sources.find(folder, layouts=wikiann.LAYOUTS, dataset="wikiann", split=split, language=language)
    return [(row[WORDS], row[TAGS]) for row in source.read().to_pylist()]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("panx/dev-en.tsv", ""), ("dev-en.tsv", ""), ("en/dev", "en:")],
)
def test_text_is_read_in_both_layouts(tmp_path: Path, path: str, prefix: str) -> None:
    write(tmp_path / path, lines(prefix=prefix))

    assert rows(tmp_path) == SENTENCES


def test_a_word_may_hold_a_colon_behind_its_language(tmp_path: Path) -> None:
    write(tmp_path / "en" / "dev", "en::\tO\nen:a:b\tO\n")
    assert rows(tmp_path) == [([":", "a:b"], ["O", "O"])]


def test_the_last_sentence_needs_no_empty_line(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", lines().removesuffix("\n"))
    assert rows(tmp_path) == SENTENCES


def test_a_file_without_tags_is_read_without_gold(tmp_path: Path) -> None:
    write(tmp_path / "test-en.tsv", lines(tagged=False))
    assert rows(tmp_path, "test") == [(words, None) for words, _ in SENTENCES]


def test_a_word_of_spaces_or_quotes_is_a_word(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", '\u00a0\tO\n"\tO\n\u200b\tB-PER\n\n')
    assert rows(tmp_path) == [(["\u00a0", '"', "\u200b"], ["O", "O", "B-PER"])]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("a\tO\nb\n\n", 2, "found 1 tab-separated fields; expected 2, as every word has one tag or none has"),
        ("a\nb\tO\n\n", 2, "found 2 tab-separated fields; expected 1"),
        ("a\tO\tO\n", 1, "found 3 tab-separated fields; expected word TAB tag"),
        ("a\tB-MISC\n", 1, "unknown tag 'B-MISC'; expected O, B-PER"),
        ("a\t\n", 1, "unknown tag ''"),
        ("\tO\n", 1, "empty word"),
        ("a\tO\n\n\nb\tO\n", 3, "a sentence of no words"),
        ("\na\tO\n", 1, "a sentence of no words"),
    ],
)
def test_malformed_text_is_refused_with_its_line(tmp_path: Path, content: str, line: int, what: str) -> None:
    path = write(tmp_path / "dev-en.tsv", content)

    message = refusal(lambda: rows(tmp_path))

    assert message.startswith(f"{path}, line {line}: {what}")


def test_a_word_without_its_language_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "en" / "dev", "word\tO\n")
    assert "line 1: no language before the word, as in 'en:word'" in refusal(lambda: rows(tmp_path))


def test_undecodable_bytes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", "a\tO\n").write_bytes(b"a\tO\nb\xff\tO\n")
    assert "line 2: byte 0xff" in refusal(lambda: rows(tmp_path))


def test_a_file_of_no_sentence_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", "")
    assert "no rows for language 'en'" in refusal(lambda: rows(tmp_path))


# The Hub's parquet


def parquet(folder: Path, **changes: Any) -> Path:
    columns = {
        "tokens": pa.array([words for words, _ in SENTENCES]),
        "ner_tags": pa.array([[wikiann.LABELS.index(tag) for tag in tags] for _, tags in SENTENCES]),
        "langs": pa.array([["en"] * len(words) for words, _ in SENTENCES]),
        "spans": pa.array([[], []], pa.list_(pa.string())),
    } | changes
    path = folder / "en" / "validation-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), path)
    return path


def test_parquet_is_read_as_text_is(tmp_path: Path) -> None:
    parquet(tmp_path)
    assert rows(tmp_path) == SENTENCES


def test_parquet_without_gold_is_read_without_gold(tmp_path: Path) -> None:
    parquet(tmp_path, ner_tags=pa.array([[-1, -1, -1], [-1, -1]]))
    assert rows(tmp_path) == [(words, None) for words, _ in SENTENCES]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ner_tags": None}, "expected tokens as list of string, ner_tags as list of integer"),
        ({"tokens": pa.array(["a", "b"])}, "found columns tokens: string"),
        ({"ner_tags": pa.array([[1, 0, 0], [5]])}, "row 1 (the first is 0): as many ner_tags as tokens are expected"),
        (
            {"ner_tags": pa.array([[1, 0, 0], [5, 7]])},
            "row 1 (the first is 0): unknown label 7; expected 0 (O), 1 (B-PER)",
        ),
        ({"ner_tags": pa.array([[1, -1, 0], [5, 6]])}, "row 0 (the first is 0): unknown label -1"),
        ({"tokens": pa.array([["Maria", "", "''"], ["a", "b"]])}, "row 0 (the first is 0): empty word"),
        (
            {"tokens": pa.array([["a", "b", "c"], []]), "ner_tags": pa.array([[0, 0, 0], []])},
            "row 1 (the first is 0): a sentence of no words",
        ),
        ({"ner_tags": pa.array([[1, 0, 0], [None, 6]])}, "row 1 (the first is 0): a word without ner_tag"),
        ({"ner_tags": pa.array([[1, 0, 0], None])}, "row 1 (the first is 0): as many ner_tags as tokens are expected"),
        ({"tokens": pa.array([["a", "b", None], ["c", "d"]])}, "row 0 (the first is 0): empty word"),
    ],
)
def test_wrong_parquet_is_refused_with_its_row(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    path = parquet(tmp_path, **changes)

    message = refusal(lambda: rows(tmp_path))

    assert message.startswith(str(path))
    assert what in message


@pytest.mark.parametrize("kind", [Sequence, List])
def test_parquet_that_names_its_tags_in_another_order_is_refused(tmp_path: Path, kind: Any) -> None:
    path = parquet(tmp_path)
    for tags in (wikiann.LABELS, wikiann.LABELS[::-1]):
        features = Features({"tokens": List(Value("string")), "ner_tags": kind(ClassLabel(names=list(tags)))})
        pq.write_table(Dataset.from_list([{"tokens": ["a"], "ner_tags": [1]}], features=features).data.table, path)
        if tags == wikiann.LABELS:
            assert rows(tmp_path) == [(["a"], ["B-PER"])]

    message = refusal(lambda: rows(tmp_path))

    assert message.startswith(f"{path}: the ids in ner_tags mean I-LOC, B-LOC, I-ORG")
    assert "expected O, B-PER, I-PER, B-ORG, I-ORG, B-LOC, I-LOC, in this order" in message


# The facts


def test_the_known_languages_are_the_hubs_and_hold_xtremes_forty() -> None:
    assert len(wikiann.ROWS) == 176
    assert list(wikiann.ROWS) == sorted(wikiann.ROWS)
    assert len(wikiann.WikiANN.dataset.hub_languages) == 40
    assert set(wikiann.WikiANN.dataset.hub_languages) <= set(wikiann.ROWS)
    assert wikiann.ROWS["sw"] == {"train": 1000, "validation": 1000, "test": 1000}


@pytest.mark.parametrize(("language", "broken"), [("ja", 501), ("zh", 476), ("en", 0)])
def test_real_files_read_in_full(shared: Path, language: str, broken: int) -> None:
    table = rows(shared / "xtreme", language=language)

    assert len(table) == wikiann.ROWS[language]["validation"]
    begins_with_i = sum(
        tag.startswith("I-") and (place == 0 or tags[place - 1] == "O")
        for _, tags in table
        for place, tag in enumerate(tags or ())
    )
    assert begins_with_i == broken
