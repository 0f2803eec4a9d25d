"""PAWS-X's files are read in each layout, quotes are text, and untranslated rows are dropped and counted."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from babelfit.datasets import PAWSX, pawsx
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.rows import sources

ROWS = [('a quote " here', "b", "0"), ("NS", "d", "1"), ("e", "f", "1"), ("NS", "NS", "0"), ("NS is not NS", "h", "0")]


def write(path: Path, rows: list[tuple[str, str, str]] = ROWS, *, header: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["id\tsentence1\tsentence2\tlabel\n"] if header else []
    lines += [(f"{number}\t" if header else "") + "\t".join(row) + "\n" for number, row in enumerate(rows, start=1)]
    path.write_text("".join(lines), encoding="utf-8")


def data(folder: Path, **changes: Any) -> PAWSX:
    settings: dict[str, Any] = {
        "folder": str(folder),
        "revision": None,
        "train_languages": ["en"],
        "languages": ["en"],
        "max_length": 32,
        "limit": {"train": None, "validation": None, "test": None},
        "train_split": "train",
        "tokenizer": load_tokenizer(MINI),
        "batch_size": 2,
        "tokens_per_device": 64,
        "seed": 1,
    }
    return PAWSX(**settings | changes)


@pytest.mark.parametrize(
    ("split", "language", "path", "header"),
    [
        ("train", "en", "pawsx/train-en.tsv", False),
        ("validation", "de", "dev-de.tsv", False),
        ("train", "en", "x-final/en/train.tsv", True),
        ("train", "de", "x-final/de/translated_train.tsv", True),
        ("validation", "ko", "x-final/ko/dev_2k.tsv", True),
        ("test", "ko", "ko/test_2k.tsv", True),
    ],
)
def test_text_is_read_in_both_layouts(tmp_path: Path, split: str, language: str, path: str, header: bool) -> None:
    write(tmp_path / path, header=header)
    source = sources.find(tmp_path, layouts=pawsx.LAYOUTS, dataset="pawsx", split=split, language=language)

    assert [(row["sentence1"], row["sentence2"]) for row in source.read().to_pylist()] == [row[:2] for row in ROWS]
    assert source.read()["label"].to_pylist() == [pawsx.LABELS[int(row[2])] for row in ROWS]


def hub_rows(folder: Path, **changes: Any) -> list[str | None]:
    """Write two rows as the Hub's copy has them, read them and return their labels."""
    (folder / "fr").mkdir(exist_ok=True)
    table = {"id": pa.array([1, 2], pa.int32()), "sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [0, 1]}
    pq.write_table(pa.table(table).replace_schema_metadata(changes), folder / "fr" / "test-00000-of-00001.parquet")
    source = sources.find(folder, layouts=pawsx.LAYOUTS, dataset="pawsx", split="test", language="fr")
    return list(source.read()["label"].to_pylist())


def names(*of_labels: str) -> str:
    return json.dumps({"info": {"features": {"label": {"names": of_labels, "_type": "ClassLabel"}}}})


def test_the_hubs_parquet_is_read(tmp_path: Path) -> None:
    assert hub_rows(tmp_path) == ["not_paraphrase", "paraphrase"]


def test_the_hub_calls_the_labels_by_their_numbers(tmp_path: Path) -> None:
    assert hub_rows(tmp_path, huggingface=names("0", "1")) == ["not_paraphrase", "paraphrase"]
    with pytest.raises(UserError, match="the ids in label mean 1, 0; expected 0, 1, in this order"):
        hub_rows(tmp_path, huggingface=names("1", "0"))


def test_untranslated_rows_are_dropped_counted_and_leave_the_others_their_index(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "dev-en.tsv")
    pairs = data(tmp_path)
    with caplog.at_level("WARNING"):
        pairs.prepare("validation", languages=["en"])

    assert pairs.open("validation", "en")["index"] == [0, 2, 4]
    entry = pairs.read["validation"]["en"]
    assert (entry.rows, entry.examples) == (5, 3)
    assert entry.dropped == {"untranslated, NS": [1, 3]}
    assert entry.labels == {"not_paraphrase": 2, "paraphrase": 1}
    assert "2 rows dropped (untranslated, NS) (en 2)" in caplog.text


def test_the_count_of_dropped_rows_is_also_known_from_the_cache(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv")
    for _ in range(2):
        pairs = data(tmp_path)
        pairs.open("validation", "en")
        assert pairs.read["validation"]["en"].dropped == {"untranslated, NS": [1, 3]}


def test_the_limit_counts_examples(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv")
    pairs = data(tmp_path, limit={"train": None, "validation": 2, "test": None})

    assert pairs.open("validation", "en")["index"] == [0, 2]
    assert pairs.read["validation"]["en"].examples == 2


def test_a_file_of_placeholders_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv", [("NS", "a", "0")])
    with pytest.raises(UserError, match=r"all rows are dropped \(untranslated, NS\)"):
        data(tmp_path).open("validation", "en")


def test_a_copy_without_train_file_can_be_trained_on_its_validation_split(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv")
    with pytest.raises(UserError, match=r"train-en\.tsv(?s:.*)data\.train_split=validation"):
        data(tmp_path).open("train", "en")

    pairs = data(tmp_path, train_split="validation", limit={"train": 1, "validation": None, "test": None})
    assert pairs.open("train", "en")["index"] == [0]
    assert pairs.open("validation", "en")["index"] == [0, 2, 4]
    assert pairs.read["train"]["en"].split == "validation"


def test_all_languages_that_the_folder_has_are_evaluated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for language in ("en", "ko"):
        write(tmp_path / f"dev-{language}.tsv")
    write(tmp_path / "test-de.tsv")
    with caplog.at_level("INFO"):
        assert data(tmp_path, languages=None).languages == ["en", "ko"]
    assert "de, es, fr, ja, zh are not scored: they have no files" in caplog.text
    write(tmp_path / "test-en.tsv")
    write(tmp_path / "test-ko.tsv")
    assert data(tmp_path, languages=None).languages == ["de", "en", "ko"], "all of them by test"


def test_each_language_has_its_own_labels(tmp_path: Path) -> None:
    write(tmp_path / "test-en.tsv", [("a", "b", "0"), ("c", "d", "1"), ("e", "f", "1")])
    write(tmp_path / "test-ko.tsv", [("g", "h", "1"), ("i", "j", "1"), ("k", "l", "0")])
    pairs = data(tmp_path, languages=["en", "ko"])

    # As they come: the same row may be a paraphrase in one language and none in another.
    assert {one: list(pairs.open("test", one)["gold"]) for one in ("en", "ko")} == {
        "en": [[0], [1], [1]],
        "ko": [[1], [1], [0]],
    }


@pytest.mark.parametrize(("language", "dropped"), [("en", 0), ("es", None), ("ja", None)])
def test_real_files_read_in_full(shared: Path, language: str, dropped: int | None) -> None:
    pairs = data(shared / "xtreme", languages=[language], tokenizer=load_tokenizer(MINI))
    pairs.open("validation", language)
    entry = pairs.read["validation"][language]
    count = sum(len(rows) for rows in entry.dropped.values())

    assert entry.rows == 2_000
    assert entry.examples + count == 2_000
    assert count == dropped if dropped is not None else count > 0
