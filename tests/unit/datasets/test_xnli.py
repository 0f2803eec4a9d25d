"""Every layout that XNLI comes in reads the same, the real files included, and a partial copy is told from a whole."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from babelfit.datasets import xnli
from babelfit.errors import UserError
from babelfit.rows import sources
from babelfit.rows.sources import Source, available, check_rows

XNLI_1_HEADER = (
    "language gold_label sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse sentence1 "
    "sentence2 promptID pairID genre label1 label2 label3 label4 label5 sentence1_tokenized sentence2_tokenized match"
)


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def write_parquet(path: Path, **columns: pa.Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def xnli_1_row(language: str, label: str, premise: str, hypothesis: str) -> str:
    known = {"language": language, "gold_label": label, "sentence1": premise, "sentence2": hypothesis}
    return "\t".join(known.get(column, column.upper()) for column in XNLI_1_HEADER.split()) + "\n"


def find(folder: Path, split: str = "validation", language: str = "en") -> Source:
    return sources.find(folder, layouts=xnli.LAYOUTS, dataset="xnli", split=split, language=language)


def rows(source: Source) -> list[tuple[str, str, str | None]]:
    return [(row["premise"], row["hypothesis"], row["label"]) for row in source.read().to_pylist()]


def checked(source: Source, *, table: pa.Table, expected: int) -> list[str]:
    seen = set(table["label"].to_pylist()) - {None}
    return check_rows(source, num_rows=table.num_rows, seen=sorted(seen), expected=expected, labels=xnli.LABELS)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


# One file of all languages


def test_a_file_of_all_languages_gives_one_in_its_order(tmp_path: Path) -> None:
    content = XNLI_1_HEADER.replace(" ", "\t") + "\n"
    content += xnli_1_row("ar", "neutral", "a", "b") + xnli_1_row("en", "contradiction", 'say "', "d")
    content += xnli_1_row("ar", "entailment", "e", "f") + xnli_1_row("en", "-", "g", "h")
    write(tmp_path / "XNLI-1.0" / "xnli.dev.tsv", content)

    assert rows(find(tmp_path, language="en")) == [('say "', "d", "contradiction"), ("g", "h", None)]
    assert rows(find(tmp_path, language="ar")) == [("a", "b", "neutral"), ("e", "f", "entailment")]
    assert "no rows for language 'de'" in refusal(lambda: find(tmp_path, language="de").read())


# Parquet


def hub_columns(*labels: int, kind: pa.DataType | None = None) -> dict[str, pa.Array]:
    texts = [f'"{number}' for number, _ in enumerate(labels)]
    return {
        "premise": pa.array(texts, kind or pa.string()),
        "hypothesis": pa.array(["h"] * len(labels), kind or pa.string()),
        "label": pa.array(labels, pa.int64()),
    }


def test_parquet_labels_become_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "en" / "test-00000-of-00001.parquet", **hub_columns(2, 0, -1, 1, kind=pa.large_string()))

    source = find(tmp_path, "test")

    assert [label for _, _, label in rows(source)] == ["contradiction", "entailment", None, "neutral"]
    assert rows(source)[0] == ('"0', "h", "contradiction")
    assert source.read().schema == pa.schema(dict.fromkeys(("premise", "hypothesis", "label"), pa.string()))


def test_parquet_without_gold(tmp_path: Path) -> None:
    write_parquet(tmp_path / "en" / "test-0.parquet", **(hub_columns(-1) | {"label": pa.array([None], pa.int8())}))

    assert rows(find(tmp_path, "test")) == [('"0', "h", None)]


def test_parquet_shards_are_read_in_order(tmp_path: Path) -> None:
    write_parquet(tmp_path / "en" / "train-00001-of-00002.parquet", **hub_columns(2))
    write_parquet(tmp_path / "en" / "train-00000-of-00002.parquet", **hub_columns(0, 1))

    assert [label for _, _, label in rows(find(tmp_path, "train"))] == ["entailment", "neutral", "contradiction"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"label": None},
            "found columns premise: string, hypothesis: string; expected premise as string, hypothesis as string",
        ),
        ({"premise": None}, "found columns hypothesis: string, label: int64; expected premise"),
        (
            {"label": pa.array(["neutral"])},
            "label: string; expected premise as string, hypothesis as string, label as integer",
        ),
        ({"premise": pa.array([1])}, "premise: int64"),
        ({"label": pa.array([3])}, "unknown label 3; expected 0 (entailment), 1 (neutral), 2 (contradiction) or -1"),
        ({"label": pa.array([-2])}, "unknown label -2"),
        ({"label": pa.array([2**64 - 1], pa.uint64())}, "cannot be read"),
        ({"premise": pa.array([" "])}, "row 0 (the first is 0): empty premise"),
        ({"hypothesis": pa.array([None], pa.string())}, "row 0 (the first is 0): empty hypothesis"),
        ({"premise": pa.array([b"\xff"]).view(pa.string())}, "cannot be read"),
    ],
)
def test_wrong_parquet_is_refused(tmp_path: Path, changes: dict[str, pa.Array | None], what: str) -> None:
    columns = {name: column for name, column in (hub_columns(1) | changes).items() if column is not None}
    path = write_parquet(tmp_path / "en" / "train-0.parquet", **columns)

    message = refusal(lambda: find(tmp_path, "train").read())

    assert message.startswith(str(path))
    assert what in message


def test_parquet_that_names_its_labels_in_another_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "en" / "train-0.parquet"
    path.parent.mkdir()
    for names in (xnli.LABELS, xnli.LABELS[::-1]):
        features = Features(
            {"premise": Value("string"), "hypothesis": Value("string"), "label": ClassLabel(names=list(names))}
        )
        row = {"premise": "p", "hypothesis": "h", "label": 0}
        pq.write_table(Dataset.from_list([row], features=features).data.table, path)
        if names == xnli.LABELS:
            assert rows(find(tmp_path, "train")) == [("p", "h", "entailment")]

    message = refusal(lambda: find(tmp_path, "train").read())

    assert message == (
        f"{path}: the ids in label mean contradiction, neutral, entailment; expected entailment, neutral, "
        "contradiction, in this order"
    )


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"info": {"features": {"label": {"dtype": "int64"}}}}'])
def test_other_metadata_in_parquet_name_no_labels(tmp_path: Path, content: bytes) -> None:
    path = write_parquet(tmp_path / "en" / "train-0.parquet", **hub_columns(1))
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"huggingface": content}), path)

    assert rows(find(tmp_path, "train")) == [('"0', "h", "neutral")]


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "en" / "train-0.parquet", **hub_columns(*[1] * 1000))
    whole = path.read_bytes()

    for broken in (
        whole[:-10],
        whole[: len(whole) // 2],
        b"",
        whole[:4] + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :],
    ):
        path.write_bytes(broken)
        assert f"{path}: cannot be read as parquet" in refusal(lambda: find(tmp_path, "train").read())


def test_parquet_without_rows_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "en" / "train-0.parquet", **hub_columns())

    assert "no rows" in refusal(lambda: find(tmp_path, "train").read())


# What a whole copy would have


def doubts(folder: Path, expected: int) -> list[str]:
    source = find(folder)
    return checked(source, table=source.read(), expected=expected)


def test_a_whole_copy_raises_no_doubt(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", "".join(f"p\th\t{label}\n" for label in xnli.LABELS))

    assert doubts(tmp_path, 3) == []


def test_a_partial_copy_is_told_from_a_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "dev-en.tsv", "".join(f"p\th\t{label}\n" for label in xnli.LABELS))

    assert doubts(tmp_path, 2490) == [
        f"{path}: found 3 rows for 'en', where xnli validation has 2,490; this is a part of it."
    ]
    assert doubts(tmp_path, 2) == [
        f"{path}: found 3 rows for 'en', where xnli validation has 2; this is not a copy of it."
    ]


def test_an_absent_label_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "dev-en.tsv", "p\th\tneutral\np\th\t-\n")

    assert doubts(tmp_path, 2) == [f"{path}: no row for 'en' has label 'entailment', 'contradiction', only 'neutral'."]


def test_a_file_without_labels_lacks_no_label(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", "p\th\n")

    assert doubts(tmp_path, 1) == []


# Real files


@pytest.mark.parametrize("language", xnli.LANGUAGES)
def test_real_validation_files_read_in_full(shared: Path, language: str) -> None:
    source = find(shared / "xtreme", "validation", language)
    table = source.read()

    assert checked(source, table=table, expected=xnli.ROWS["validation"]) == []
    assert Counter(table["label"].to_pylist()) == dict.fromkeys(xnli.LABELS, 830)


def test_real_test_files_read_in_full(shared: Path) -> None:
    languages = available(shared / "xtreme", layouts=xnli.LAYOUTS, split="test", languages=xnli.LANGUAGES)

    assert languages == ("de", "en", "sw", "zh")
    for language in languages:
        labels = find(shared / "xtreme", "test", language).read()["label"].to_pylist()
        assert Counter(labels) == dict.fromkeys(xnli.LABELS, xnli.ROWS["test"] // 3)


def test_real_training_rows_keep_their_quotes(shared: Path) -> None:
    source = find(shared / "xtreme" / "xnli", "train", "en")
    table = source.read()

    assert table.num_rows == 24_511
    assert sum('"' in premise + hypothesis for premise, hypothesis, _ in rows(source)) == 732
    assert len(checked(source, table=table, expected=xnli.ROWS["train"])) == 1


def test_real_translations_are_parallel(shared: Path) -> None:
    languages = available(shared / "multinli_15k", layouts=xnli.LAYOUTS, split="train", languages=xnli.LANGUAGES)
    tables = [find(shared / "multinli_15k", "train", language).read() for language in languages]

    assert len(languages) == 10
    assert {table.num_rows for table in tables} == {15_001}
    assert len({tuple(table["label"].to_pylist()) for table in tables}) == 1
    assert Counter(tables[0]["label"].to_pylist()) == {"contradiction": 5_504, "entailment": 5_100, "neutral": 4_397}
