"""Local files are found by looking and read exactly as they are; what is wrong with one is said with its place."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from babelfit.datasets import xnli
from babelfit.errors import UserError
from babelfit.rows import sources
from babelfit.rows.sources import Source, available

ROW = "p\th\tneutral\n"


def write(path: Path, content: str | bytes = ROW) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def find(folder: Path, split: str = "validation", language: str = "en") -> Source:
    return sources.find(folder, layouts=xnli.LAYOUTS, dataset="xnli", split=split, language=language)


def rows(source: Source) -> list[tuple[str, str, str | None]]:
    return [(row["premise"], row["hypothesis"], row["label"]) for row in source.read().to_pylist()]


def read(folder: Path, content: str | bytes) -> list[tuple[str, str, str | None]]:
    write(folder / "dev-en.tsv", content)
    return rows(find(folder))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


# Finding


@pytest.mark.parametrize(
    ("split", "language", "path"),
    [
        ("train", "en", "xnli/train-en.tsv"),
        ("validation", "zh", "xnli/dev-zh.tsv"),
        ("test", "sw", "test-sw.tsv"),
        ("train", "de", "XNLI-MT-1.0/multinli/multinli.train.de.tsv"),
        ("train", "de", "multinli/multinli.train.de.tsv"),
        ("train", "de", "multinli.train.de.tsv"),
        ("validation", "de", "XNLI-1.0/xnli.dev.tsv"),
        ("test", "de", "xnli.test.tsv"),
        ("train", "th", "th/train-00000-of-00001.parquet"),
        ("validation", "th", "th/validation-00000-of-00001.parquet"),
        ("test", "th", "th/test-00000-of-00001.parquet"),
    ],
)
def test_finds_every_layout_from_its_root_and_from_inside(tmp_path: Path, split: str, language: str, path: str) -> None:
    written = write(tmp_path / path)

    assert find(tmp_path, split, language).files == (written,)
    assert available(tmp_path, layouts=xnli.LAYOUTS, split=split, languages=[language]) == (language,)


def test_a_missing_file_names_all_paths_looked_for_and_what_is_near(tmp_path: Path) -> None:
    write(tmp_path / "xtreme" / "xnli" / "dev-de.tsv")

    message = refusal(lambda: find(tmp_path, "validation", "de"))

    for path in (
        "xnli/dev-de.tsv",
        "dev-de.tsv",
        "XNLI-1.0/xnli.dev.tsv",
        "xnli.dev.tsv",
        "de/validation-*.parquet",
    ):
        assert f"\n  {path}  (" in message
    assert "Found: xtreme/xnli/dev-de.tsv\n" in message
    assert str(tmp_path) in message
    assert "'de'" in message


def test_a_missing_file_names_what_is_there_if_nothing_is_near(tmp_path: Path) -> None:
    write(tmp_path / "XNLI-1.0.zip")

    assert "Found: XNLI-1.0.zip\n" in refusal(lambda: find(tmp_path))


def test_a_folder_of_one_language_never_serves_another(tmp_path: Path) -> None:
    write(tmp_path / "en" / "train-00000-of-00001.parquet")

    assert "no train split" in refusal(lambda: find(tmp_path / "en", "train", "de"))


def test_only_regular_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "dev-en.tsv").mkdir()
    os.mkfifo(tmp_path / "dev-de.tsv")
    (tmp_path / "dev-fr.tsv").symlink_to(tmp_path / "gone")
    (tmp_path / "dev-sw.tsv").symlink_to(write(tmp_path / "blob"))

    assert available(tmp_path, layouts=xnli.LAYOUTS, split="validation", languages=xnli.LANGUAGES) == ("sw",)
    assert "Found: dev-de.tsv, dev-en.tsv/" in refusal(lambda: find(tmp_path))


@pytest.mark.parametrize("language", ["../en", "*", "", "e/n", "[e]n", "{language}"])
def test_a_language_cannot_lead_out_of_the_folder(tmp_path: Path, language: str) -> None:
    write(tmp_path / "dev-en.tsv")

    assert "is not a language code" in refusal(lambda: find(tmp_path, "validation", language))


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", write(tmp_path / "file")):
        assert f"'{path}' is not a folder" in refusal(lambda path=path: find(path))  # type: ignore[misc]
        assert available(path, layouts=xnli.LAYOUTS, split="test", languages=xnli.LANGUAGES) == ()


def test_available_tells_splits_and_languages_apart_in_the_order_asked(tmp_path: Path) -> None:
    for name in ("dev-de.tsv", "dev-en.tsv", "test-en.tsv"):
        write(tmp_path / "xnli" / name)

    def having(split: str) -> tuple[str, ...]:
        return available(tmp_path, layouts=xnli.LAYOUTS, split=split, languages=["sw", "en", "de"])

    assert having("validation") == ("en", "de")
    assert having("test") == ("en",)
    assert having("train") == ()


def test_a_layout_may_lack_a_split(tmp_path: Path) -> None:
    layout = sources.Layout(name="dev only", patterns={"validation": "dev"}, read=xnli.LAYOUTS[0].read)

    assert available(tmp_path, layouts=[layout], split="test", languages=["en"]) == ()


# Identity


def test_the_hash_is_of_the_bytes_and_needs_no_parsing(tmp_path: Path) -> None:
    content = b"\xff not a row"
    write(tmp_path / "dev-en.tsv", content)

    assert find(tmp_path).sha256() == [hashlib.sha256(content).hexdigest()]


def test_the_hash_of_shards_covers_all_in_order(tmp_path: Path) -> None:
    write(tmp_path / "en" / "train-00001-of-00002.parquet", b"two")
    write(tmp_path / "en" / "train-00000-of-00002.parquet", b"one")

    assert find(tmp_path, "train").sha256() == [hashlib.sha256(part).hexdigest() for part in (b"one", b"two")]


# Tab-separated text


def test_reads_rows_in_order_with_or_without_a_header(tmp_path: Path) -> None:
    expected = [("p", "h", "neutral"), ("q", "i", "contradiction"), ("r", "j", "entailment")]
    content = "p\th\tneutral\nq\ti\tcontradictory\nr\tj\tentailment\n"

    assert read(tmp_path, content) == expected
    assert read(tmp_path, "premise\thypothesis\tlabel\n" + content) == expected
    assert read(tmp_path, "premise\thypo\tlabel\n" + content) == expected
    assert read(tmp_path, "Label\tid\thypo\tPremise\nneutral\t7\th\tp\n") == expected[:1]


def test_the_table_has_strings_only(tmp_path: Path) -> None:
    write(tmp_path / "dev-en.tsv")

    assert find(tmp_path).read().schema == pa.schema(dict.fromkeys(("premise", "hypothesis", "label"), pa.string()))


@pytest.mark.parametrize(
    "text",
    [
        '"',
        'a " b',
        '"half open',
        '"a"',
        '""a""',
        "a\u2028b",
        "a\x85b",
        "a\x0cb",
        "a\x1cb",
        "a\rb",
        "\ufeffa",
        " a ",
        "N/a",
    ],
)
def test_text_is_kept_as_it_is(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"x\ty\tneutral\n{text}\t{text}\tneutral\n{ROW}")[1] == (text, text, "neutral")


@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"])).filter(str.strip)] * 2,
            st.sampled_from(xnli.LABELS),
        ),
        min_size=1,
    )
)
def test_whatever_is_written_is_read_back(written: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = "".join("\t".join(row) + "\n" for row in written)
        assert read(Path(folder), "premise\thypothesis\tlabel\n" + content) == written


@pytest.mark.parametrize("content", [ROW * 2, (ROW * 2).rstrip("\n"), ROW * 2 + "\n", (ROW * 2).replace("\n", "\r\n")])
def test_line_ends_of_all_kinds(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == [("p", "h", "neutral")] * 2
    assert read(tmp_path, content.encode("utf-8-sig")) == [("p", "h", "neutral")] * 2


def test_a_byte_order_mark_hides_no_header(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffpremise\thypo\tlabel\n" + ROW) == [("p", "h", "neutral")]


def test_a_file_without_labels_has_none(tmp_path: Path) -> None:
    assert read(tmp_path, "p\th\nq\ti\n") == [("p", "h", None), ("q", "i", None)]
    assert read(tmp_path, "premise\thypothesis\nq\ti\n") == [("q", "i", None)]


def test_a_dash_is_no_gold(tmp_path: Path) -> None:
    assert [label for _, _, label in read(tmp_path, "p\th\t-\n" + ROW)] == [None, "neutral"]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (ROW + "p\th\n", 2, "found 2 tab-separated fields; expected 3, as in the first line"),
        ("p\th\n" + ROW, 2, "found 3 tab-separated fields; expected 2, as in the first line"),
        (ROW + "p\th\tx\tneutral\n", 2, "found 4 tab-separated fields; expected 3"),
        (
            "one field\n" + ROW,
            1,
            "found 1 tab-separated fields; expected premise TAB hypothesis TAB label, or a header",
        ),
        ("premise\tbody\tx\tgold\n" + ROW, 1, "found 4 tab-separated fields; expected premise TAB hypothesis"),
        ("premise\thypothesis\tgold\n" + ROW, 1, "unknown label 'gold'"),
        (ROW + "\th\tneutral\n", 2, "empty premise"),
        (ROW + "p\t \tneutral\n", 2, "empty hypothesis"),
        (ROW + "\n" + ROW, 2, "empty line; expected one only at the end"),
        (ROW + "\n\n" + ROW, 2, "empty line; expected one only at the end"),
        (ROW + "p\th\tmaybe\n", 2, "unknown label 'maybe'"),
        (ROW + "p\th\tcontrad", 2, "unknown label 'contrad'"),
        (ROW + "p\th\t\n", 2, "unknown label ''"),
        ((ROW * 2).encode() + b"p\xff\th\tneutral\n", 3, "byte 0xff at position 1 is not UTF-8; expected a UTF-8"),
        (b"\xef\xbb\xbfpp\xff\th\tneutral\n", 1, "byte 0xff at position 2 is not UTF-8"),
        (ROW.encode("utf-16"), 1, "is not UTF-8"),
    ],
)
def test_malformed_rows_are_refused_with_their_place(
    tmp_path: Path, content: str | bytes, line: int, what: str
) -> None:
    message = refusal(lambda: read(tmp_path, content))

    assert message.startswith(f"{tmp_path / 'dev-en.tsv'}, line {line}: ")
    assert what in message


def test_a_refusal_quotes_the_start_of_the_line(tmp_path: Path) -> None:
    message = refusal(lambda: read(tmp_path, ROW + "a\x85" + "b" * 1000))

    assert "The line starts 'a\\x85" + "b" * 58 + "...'." in message


def test_an_unknown_label_names_the_allowed_ones_and_the_aliases(tmp_path: Path) -> None:
    message = refusal(lambda: read(tmp_path, "p\th\tmaybe\n"))

    for part in ("'entailment'", "'neutral'", "'contradiction'", "'contradictory' (= contradiction)", "'-'"):
        assert part in message


@pytest.mark.parametrize("content", ["", "\n", "premise\thypothesis\tlabel\n"])
def test_no_rows_are_refused(tmp_path: Path, content: str) -> None:
    message = refusal(lambda: read(tmp_path, content))

    assert f"{tmp_path / 'dev-en.tsv'}: no rows" in message
