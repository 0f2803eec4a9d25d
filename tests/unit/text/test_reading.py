"""One's own text is found in every form that is promised, and what is wrong with it is said before any training."""

import gzip
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from babelfit.data.text import Text
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.run import manifest

EN = ["a man reads", "a woman writes", "the child sleeps", "they went home", "it rains today"]
SW = ["mtu anasoma", "mwanamke anaandika", "mtoto analala", "walienda nyumbani", "leo kunanyesha"]


def text(folder: Path, **settings: Any) -> Text:
    """Build the module; what is held out is a fifth of the five sentences above, so that four are trained on."""
    return Text(
        folder=str(folder),
        **{
            "files": None,
            "columns": {"text": "text", "language": "language"},
            "held_out": 1,
            "undecodable": "refuse",
            "reset_positions": False,
            "mask_share": 0.15,
            "train_languages": [],
            "languages": None,
            "max_length": 32,
            "limit": dict.fromkeys(("train", "validation", "test")),
            "sampling_exponent": 0.3,
            "tokenizer": load_tokenizer(MINI),
            "batch_size": 2,
            "tokens_per_device": 64,
            "seed": 1,
            **settings,
        },
    )


def written(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return folder


def lines(sentences: list[str]) -> str:
    return "".join(f"{sentence}\n" for sentence in sentences)


def rows(sentences: list[str], **more: str) -> str:
    return lines([json.dumps({"text": sentence, **more}) for sentence in sentences])


def parquet(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def sentences(data: Text, language: str, splits: tuple[str, ...] = ("train", "validation")) -> list[str]:
    """Read back what was packed, as the tokenizer says it."""
    said = []
    for split in splits:
        for ids in data.open(split, language)["input_ids"]:
            said += data.tokenizer.decode(ids).removeprefix("<s>").split("</s>")
    return sorted(sentence.strip() for sentence in said if sentence)


MIXED = rows(EN, language="en") + rows(SW, language="sw")
FORMS: dict[str, dict[str, str | bytes]] = {
    "a file a language": {"en.txt": lines(EN), "sw.txt": lines(SW)},
    "a folder a language": {"en/b.txt": lines(EN[2:]), "en/a.txt": lines(EN[:2]), "sw/x.txt": lines(SW)},
    "gzip": {"en.txt.gz": lines(EN), "sw/x.txt.gz": lines(SW)},
    "shards": {"en-00000-of-00001.txt": lines(EN), "sw_1.txt": lines(SW)},
    "JSONL": {"en.jsonl": rows(EN), "sw.jsonl.gz": rows(SW)},
    "JSONL with a column of languages": {"all.jsonl": MIXED},
    "parquet": {"en.parquet": parquet({"text": EN}), "sw/x.parquet.gz": parquet({"text": SW})},
    "parquet with a column": {"all.parquet": parquet({"text": EN + SW, "language": ["en"] * 5 + ["sw"] * 5})},
    "rows of many lines": {"en.jsonl": rows(["\n".join(EN[:3]), EN[3], EN[4]]), "sw.txt": lines(SW)},
    "Windows' text": {"en.txt": b"\xef\xbb\xbf" + "\r\n".join(EN).encode(), "sw.txt": lines(SW)},
}  # fmt: skip


@pytest.mark.parametrize("files", FORMS.values(), ids=FORMS)
def test_text_is_found_in_each_form(files: dict[str, str | bytes], tmp_path: Path) -> None:
    data = text(written(tmp_path, files))

    assert data.train_languages == data.languages == ["en", "sw"]
    assert sentences(data, "en") == sorted(EN)
    assert sentences(data, "sw") == sorted(SW)
    assert [len(sentences(data, "en", (split,))) for split in ("train", "validation")] in ([4, 1], [2, 3])


def test_files_of_one_language_are_pooled_in_the_order_of_their_paths(tmp_path: Path) -> None:
    files = {"en/b.txt": lines(EN[2:]), "en/a.jsonl": rows(EN[:2]), "en.dev.txt": "A girl"}
    [ids] = text(written(tmp_path, files), max_length=64).open("train", "en")["input_ids"]

    said = load_tokenizer(MINI).decode(ids).removeprefix("<s>").split("</s>")
    assert [sentence.strip() for sentence in said] == [*EN, ""]


PAIRS: dict[str, dict[str, str | bytes]] = {
    "TSV by name": {"en-sw.tsv": lines([f"{en}\t{sw}" for en, sw in zip(EN, SW, strict=True)])},
    "TSV by header": {"any.tsv.gz": lines(["en\tsw", *(f"{en}\t{sw}" for en, sw in zip(EN, SW, strict=True))])},
    "Moses": {"news.en-sw.en": lines(EN), "news.en-sw.sw": lines(SW)},
    "Moses, gzipped": {"x/news.en-sw.en.gz": lines(EN), "x/news.en-sw.sw.gz": lines(SW)},
}


@pytest.mark.parametrize("files", PAIRS.values(), ids=PAIRS)
def test_parallel_text_is_found_in_each_form(files: dict[str, str | bytes], tmp_path: Path) -> None:
    data = text(written(tmp_path, files), max_length=64)

    assert data.train_languages == ["en-sw"]
    assert sentences(data, "en-sw") == sorted(EN + SW)
    for split, number in (("train", 4), ("validation", 1)):
        assert len(data.open(split, "en-sw")) == number
    ids, second = (data.open("train", "en-sw")[0][column] for column in ("input_ids", "second"))
    assert data.tokenizer.decode(ids[:second]).endswith("</s></s>")
    first, other = (data.tokenizer.decode(part, skip_special_tokens=True) for part in (ids[:second], ids[second:]))
    assert EN.index(first) == SW.index(other)


@pytest.mark.parametrize(
    ("pattern", "files", "languages"),
    [
        ("corpus/{language}/*.txt.gz", {"corpus/sw/a.txt.gz": lines(SW), "other/en/a.txt.gz": lines(EN)}, ["sw"]),
        ("*/{language}/{language}.txt", {"a/sw/sw.txt": lines(SW), "a/sw/en.txt": lines(EN)}, ["sw"]),
        ("**/{language}.*.txt", {"sw.a.txt": lines(SW), "deep/in/en.b.txt": lines(EN)}, ["en", "sw"]),
        ("en*", {"en.txt": lines(EN), "sw.txt": lines(SW)}, ["en"]),
    ],
)
def test_a_pattern_says_which_files_and_where_the_language_stands(
    pattern: str, files: dict[str, str | bytes], languages: list[str], tmp_path: Path
) -> None:
    assert text(written(tmp_path, files), files=pattern).train_languages == languages


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    content = lines([json.dumps({"body": sentence, "lang": "sw"}) for sentence in SW])
    data = text(written(tmp_path, {"x.jsonl": content}), columns={"text": "body", "language": "lang"})

    assert sentences(data, "sw") == sorted(SW)


def test_a_language_that_is_not_known_here_is_taken_where_the_user_names_it(tmp_path: Path) -> None:
    folder = written(tmp_path, {"ha.txt": lines(SW), "en-ha.tsv": lines([f"{EN[0]}\t{SW[0]}"] * 3 + ["b\tc"])})

    assert text(folder, train_languages=["ha", "en-ha"]).train_languages == ["ha", "en-ha"]
    with pytest.raises(UserError, match=r"'ha' is not a code known here.*data.train_languages=\[ha\]"):
        text(folder, files="*.txt")


def test_splits_are_told_by_name(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        {
            "sw.txt": lines(SW[:3]),
            "sw.dev.txt": lines(SW[3:4]),
            "test/sw.txt": lines(SW[4:]),
            "train-en.txt": lines(EN[:3]),
            "en/validation.txt": lines(EN[3:4]),
            "en/more.test.txt": lines(EN[4:]),
        },
    )
    data = text(folder)

    for language, all_of_it in (("sw", SW), ("en", EN)):
        assert sentences(data, language, ("train",)) == sorted(all_of_it[:3])
        assert sentences(data, language, ("validation",)) == all_of_it[3:4]
        assert sentences(data, language, ("test",)) == all_of_it[4:]
    assert data.has("test")


def test_a_name_that_only_begins_like_that_of_a_split_is_none(tmp_path: Path) -> None:
    data = text(written(tmp_path, {"sw/test-corpus.txt": lines(SW)}))

    assert len(sentences(data, "sw", ("train",))) == 4


def test_files_in_no_form_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    text(written(tmp_path, {"en.txt": lines(EN), "LICENSE": "", "README.md": "", ".hidden.txt": "", ".git/x.txt": ""}))

    assert "left out, as they are in none of the forms of text: LICENSE, README.md" in caplog.text


def test_the_manifest_says_what_was_read(tmp_path: Path) -> None:
    data = text(written(tmp_path, {"en.txt": lines([*EN, "", "a </s> b", "it rains again"])}))
    for split in ("validation", "train"):
        data.open(split, "en")
    train = data.read["train"]["en"]

    assert [file.path for file in train.files] == [str(tmp_path / "en.txt")]
    assert len(train.files[0].sha256) == 64
    assert train.lines == 8
    assert train.blank == 1
    assert train.lines == train.blank + train.sentences + train.held_out + train.left_out
    assert train.special + data.read["validation"]["en"].special == 1
    assert train.tokens.words + data.read["validation"]["en"].tokens.words == 21
    assert train.examples == train.rows == len(data.open("train", "en"))
    kept = manifest.add(tmp_path, splits=data.read).splits
    assert list(kept) == ["validation", "train"]
    assert kept["train"]["en"].tokens == train.tokens


@pytest.mark.parametrize("name", ["en-ru.tsv", "ru.txt"])
def test_text_in_the_letters_of_another_language_is_doubted(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    russian = ["мужчина читает", "женщина пишет", "ребёнок спит", "они ушли", "сегодня дождь"]
    swapped = [f"{ru}\t{en}" for en, ru in zip(EN, russian, strict=True)]
    prepared(text(written(tmp_path, {name: lines(swapped if name.endswith("tsv") else EN)})))

    assert f"{name}: 100 % of the letters are Latin, where 'ru' is written in Cyrillic" in caplog.text
    assert ("where 'en' is written in Latin" in caplog.text) == (name == "en-ru.tsv")


BAD: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "nothing": ({"notes.md": ""}, {}, r"no text in .* Looked for: sw.txt.*Found: notes.md"),
    "nothing by a pattern": ({"sw.txt": "a"}, {"files": "*.gz"}, r"no text in .* by data.files=\*.gz"),
    "a pattern out of the folder": ({"sw.txt": "a"}, {"files": "/x/*"}, r"data.files=/x/\*.*below data.folder"),
    "an empty corpus": ({"sw.txt": ""}, {}, r"sw.txt: no text of 'sw' in it"),
    "blank lines alone": ({"sw.txt": "\n \n\n"}, {}, r"sw.txt: no text of 'sw' in it"),
    "a language without text": ({"sw.txt": lines(SW), "en.txt": ""}, {}, r"en.txt: no text of 'en' in it"),
    "a language that is not there": ({"sw.txt": "a"}, {"train_languages": ["en"]}, r"unknown language 'en' in train"),
    "only text to validate on": ({"sw.dev.txt": "a"}, {"train_languages": ["sw"]}, r"'sw' has no text for train"),
    "all of it held out": ({"sw.txt": "a"}, {}, r"no text of 'sw' is left to train on, as all of it is held out"),
    "no language": ({"sw.txt": "a", "more.txt": "b"}, {}, r"more.txt: in which language\? Name the file"),
    "an unknown one by pattern": ({"xx9/a.txt": "a"}, {"files": "{language}/*"}, r"a.txt: 'xx9' is not a language "
    "code"),
    "an unknown one by column": ({"a.jsonl": rows(SW, language="xx9")}, {}, r"a.jsonl: 'xx9' is not a language code"),
    "no one by column": ({"a.jsonl": '{"text": "a", "language": null}'}, {}, r"a.jsonl, line 1: no language in column"),
    "no column of languages": ({"a.jsonl": rows(SW)}, {}, r"line 1: no column 'language', only text; name it"),
    "no column of text": ({"sw.jsonl": '{"body": "a"}'}, {}, r"sw.jsonl, line 1: no column 'text', only body"),
    "no column of text in parquet": ({"sw.parquet": parquet({"a": ["b"]})}, {}, r"sw.parquet: no column 'text'"),
    "text that is none": ({"sw.jsonl": '{"text": 3}'}, {}, r"line 1: expected text in column 'text', found 3"),
    "no JSON": ({"sw.jsonl": '{"text": "a"}\n{'}, {}, r"sw.jsonl, line 2: not JSON"),
    "no object": ({"sw.jsonl": "[1]"}, {}, r"sw.jsonl, line 1: expected a JSON object"),
    "no parquet": ({"sw.parquet": b"PAR1 no"}, {}, r"sw.parquet: cannot be read as parquet"),
    "bytes that are no text": ({"sw.txt": b"a\nb\xff\n"}, {}, r"sw.txt, line 2: byte 0xff is not UTF-8.*=skip"),
    "half a character in JSON": ({"sw.jsonl": '{"text": "\\ud83d"}'}, {}, r"sw.jsonl, line 1: a half character"),
    "parallel files of different length": (
        {"a.en-sw.en": lines(EN), "a.en-sw.sw": lines(SW[:3])},
        {},
        r"a.en-sw.en has 5 lines and .*a.en-sw.sw has 3 lines: they must have the same sentences",
    ),
    "parallel files, the other one longer": (
        {"a.en-sw.en": "", "a.en-sw.sw": lines(SW[:3])},
        {},
        r"a.en-sw.en has 0 lines and .*a.en-sw.sw has 3 lines: they must have the same sentences",
    ),
    "half a pair": ({"a.en-sw.en": "a"}, {}, r"a.en-sw.en: its other side, .*a.en-sw.sw, is missing"),
    "half a pair of an unknown one": ({"a.en-xx9.en": "a"}, {}, r"a.en-xx9.en: 'en-xx9' is not a language code"),
    "a TSV of no pair": ({"x.tsv": "a\tb\n"}, {}, r"x.tsv: which two languages\?"),
    "three fields": ({"en-sw.tsv": "a\tb\nc\td\te\n"}, {}, r"line 2: found 3 tab-separated fields; expected 2"),
    "one field": ({"en-sw.tsv": "a\n"}, {}, r"en-sw.tsv, line 1: found 1 tab-separated fields; expected 2"),
    "a pair in plain text": ({"en-sw.txt": "a"}, {}, r"en-sw.txt: text in two languages, en-sw, comes as en-sw.tsv"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_before_anything_is_trained(case: str, tmp_path: Path) -> None:
    files, settings, told = BAD[case]
    with pytest.raises(UserError, match=f"(?s){told}"):
        prepared(text(written(tmp_path, files), **settings))


def prepared(data: Text) -> Text:
    for split in ("validation", "train"):
        for language in data.train_languages:
            data.open(split, language)
        data._tell(split, data.train_languages, num_tokens=0)
    return data


def test_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "nowhere"):
        with pytest.raises(UserError, match=f"data.folder=.*{name}: no such folder"):
            text(tmp_path / name)


def test_half_a_gzip_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "sw.txt.gz").write_bytes(gzip.compress(lines(SW).encode())[:-12])
    with pytest.raises(UserError, match=r"sw.txt.gz: cannot be unpacked"):
        prepared(text(tmp_path))


@pytest.mark.parametrize(
    "files",
    [
        {"sw.txt": lines(SW).encode() + b"\xff\xfe\n"},
        {"sw.jsonl": rows(SW) + '{"text": "\\ud83d"}\n'},
        {"sw.parquet": parquet({"text": pa.array([*(one.encode() for one in SW), b"\xff"]).view(pa.string())})},
    ],
    ids=["text", "JSONL", "parquet"],
)
def test_lines_that_are_no_text_are_skipped_where_that_is_asked_for(
    files: dict[str, str | bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = prepared(text(written(tmp_path, files), undecodable="skip"))

    assert sentences(data, "sw") == sorted(SW)
    assert data.read["train"]["sw"].undecodable == 1
    assert "text train: 1 lines skipped, which are not UTF-8 (sw 1)" in caplog.text


def test_one_undecodable_side_skips_the_pair(tmp_path: Path) -> None:
    broken = lines(SW).encode().replace(b"analala", b"\xff")
    files = {"a.en-sw.en": lines(EN), "a.en-sw.sw": broken}
    data = text(written(tmp_path, files), undecodable="skip", max_length=64)

    assert sentences(data, "en-sw") == sorted([*EN[:2], *EN[3:], *SW[:2], *SW[3:]])
