"""What is held out is never trained on, is the same for every run, and text streams through without being held."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from babelfit.data.text import Text
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.text import splits
from babelfit.text.held_out import drawn
from babelfit.text.packing import Packer

NAMES = ["Amina", "Boris", "Chen", "Dalia", "Emre", "Fatima", "Goran", "Hana", "Igor", "Juma"]
PLACES = ["market", "river", "house", "school", "garden", "station", "bridge", "kitchen", "office", "church"]
SENTENCES = [f"{name} walks to the {place} today" for name in NAMES for place in PLACES]
"""A hundred, all of them different."""


def text(folder: Path, files: dict[str, str], **settings: Any) -> Text:
    for name, content in files.items():
        (folder / name).write_text(content)
    return Text(
        folder=str(folder),
        **{
            "files": None,
            "columns": {"text": "text", "language": "language"},
            "held_out": 10,
            "undecodable": "refuse",
            "reset_positions": False,
            "mask_share": 0.15,
            "train_languages": [],
            "languages": None,
            "max_length": 48,
            "limit": dict.fromkeys(("train", "validation", "test")),
            "sampling_exponent": 0.3,
            "tokenizer": load_tokenizer(MINI),
            "batch_size": 2,
            "tokens_per_device": 64,
            "seed": 1,
            **settings,
        },
    )


def sentences(data: Text, split: str, language: str = "en") -> list[str]:
    said = []
    for ids in data.open(split, language)["input_ids"]:
        said += data.tokenizer.decode(ids).removeprefix("<s>").split("</s>")
    return [sentence.strip() for sentence in said if sentence]


def lines(given: list[str]) -> str:
    return "".join(f"{sentence}\n" for sentence in given)


def in_text(given: list[str]) -> list[str]:
    """Say sentences as the small tokenizer does, which does not know all letters."""
    used = load_tokenizer(MINI)
    return [used.decode(used(sentence, add_special_tokens=False)["input_ids"]) for sentence in given]


@pytest.mark.parametrize("held_out", [10, 0.1])
def test_what_is_held_out_is_not_trained_on_and_nothing_is_lost(held_out: float, tmp_path: Path) -> None:
    data = text(tmp_path, {"en.txt": lines(SENTENCES)}, held_out=held_out)
    trained, held = sentences(data, "train"), sentences(data, "validation")

    assert len(held) == 10 if held_out == 10 else 2 < len(held) < 25
    assert sorted(trained + held) == sorted(in_text(SENTENCES))
    assert not set(trained) & set(held)
    order = in_text(SENTENCES)
    assert trained == [one for one in order if one in trained], "in the order of the file"
    assert held == [one for one in order if one in held]


def test_the_same_is_held_out_whatever_the_seed_the_order_and_what_is_added(tmp_path: Path) -> None:
    held = sentences(text(tmp_path, {"en.txt": lines(SENTENCES)}), "validation")
    (tmp_path / "b").mkdir()
    again = text(tmp_path / "b", {"en.txt": lines(SENTENCES[::-1])}, seed=2)

    assert sorted(sentences(again, "validation")) == sorted(held)


def test_at_most_a_tenth_is_held_out_where_a_number_is_asked_for(tmp_path: Path) -> None:
    data = text(tmp_path, {"en.txt": lines(SENTENCES)}, held_out=1000)

    assert len(sentences(data, "validation")) == 10


def test_documents_are_held_out_whole(tmp_path: Path) -> None:
    documents = [SENTENCES[start : start + 5] for start in range(0, 100, 5)]
    data = text(tmp_path, {"en.txt": "\n".join(map(lines, documents))}, held_out=8)
    held = sentences(data, "validation")

    assert len(held) == 10
    assert [in_text(document) for document in documents if in_text(document)[0] in held] == [held[:5], held[5:]]
    assert data.read["validation"]["en"].documents == 2


def test_copies_of_what_is_held_out_are_left_out_of_training_and_counted(tmp_path: Path) -> None:
    held = sentences(text(tmp_path, {"en.txt": lines(SENTENCES)}), "validation")
    [original] = [one for one in SENTENCES if in_text([one]) == held[:1]]
    (tmp_path / "more").mkdir()
    # In a document of its own, which is not the held out one.
    files = {"en.txt": lines(SENTENCES), "en_1.jsonl": f'{{"text": "Something else\\n{original}\\nand more"}}\n'}
    data = text(tmp_path / "more", files)
    trained = sentences(data, "train")

    assert sentences(data, "validation") == held
    assert held[0] not in trained
    assert in_text(["Something else", "and more"]) == trained[-2:]
    assert data.read["train"]["en"].left_out == 1
    assert data.read["train"]["en"].held_out == 10


def test_a_file_of_held_out_text_is_taken_as_it_is(tmp_path: Path) -> None:
    files = {"en.txt": lines(SENTENCES), "en.validation.txt": lines(SENTENCES[90:])}
    data = text(tmp_path, files)

    assert sentences(data, "validation") == in_text(SENTENCES[90:])
    assert sentences(data, "train") == in_text(SENTENCES[:90])
    assert data.read["train"]["en"].left_out == 10


def test_a_test_file_is_kept_out_as_well(tmp_path: Path) -> None:
    data = text(tmp_path, {"en.txt": lines(SENTENCES), "en.test.txt": lines(SENTENCES[90:])})

    assert not set(sentences(data, "train")) & set(in_text(SENTENCES[90:]))


def test_what_one_language_holds_out_is_in_no_pair_and_the_other_way_round(tmp_path: Path) -> None:
    swahili = [f"{name} anaenda {place}" for name in NAMES for place in PLACES]
    pairs = [f"{one}\t{other}" for one, other in zip(SENTENCES, swahili, strict=True)]
    data = text(tmp_path, {"en.txt": lines(SENTENCES), "en-sw.tsv": lines(pairs)})
    held, held_pairs = (set(sentences(data, "validation", one)) for one in ("en", "en-sw"))
    trained, trained_pairs = (set(sentences(data, "train", one)) for one in ("en", "en-sw"))

    assert held
    assert held_pairs
    assert not trained & (held | held_pairs)
    assert not trained_pairs & (held | held_pairs)
    assert data.read["train"]["en"].left_out > 0
    assert data.read["train"]["en-sw"].left_out > 0


def test_what_is_evaluated_changes_nothing_in_training(tmp_path: Path) -> None:
    pairs = [f"{sentence}\t{sentence[::-1]}" for sentence in SENTENCES]
    files = {"en.txt": lines(SENTENCES), "en-sw.tsv": lines(pairs)}
    both, one = (text(tmp_path, files, train_languages=["en"], languages=chosen) for chosen in (None, ["en"]))

    assert both.languages == ["en", "en-sw"]
    assert both.open("train", "en")["input_ids"][:] == one.open("train", "en")["input_ids"][:]


def test_nothing_to_hold_out_is_told(tmp_path: Path) -> None:
    data = text(tmp_path, {"en.txt": lines(SENTENCES[:3])}, held_out=1e-9)

    with pytest.raises(UserError, match=r"no text of 'en' is held out by data\.held_out=1e-09"):
        data.open("validation", "en")


def test_a_number_of_sentences_holds_no_more_than_these_in_memory() -> None:
    alive: list[int] = []

    class Counted(str):
        def __init__(self, _: str) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    most = 0

    def documents() -> Iterator[list[str]]:
        nonlocal most
        for number in range(5000):
            yield [Counted(f"sentence {number}")]
            most = max(most, len(alive))

    _, held = drawn(documents(), held_out=20, as_one=False)
    assert len(list(held)) == 20
    assert most < 30


def test_text_streams_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = written = most_ahead = 0
    documents, table = splits.documents, Packer._table

    def counted(*given: Any) -> Iterator[list[str]]:
        nonlocal read
        for document in documents(*given):
            read += len(document)
            yield document

    def noted(self: Packer, examples: list[list[int]], **more: Any) -> Any:
        nonlocal written, most_ahead
        written += sum(ids.count(2) for ids in examples)
        most_ahead = max(most_ahead, read - written)
        return table(self, examples, **more)

    data = text(tmp_path, {"en.txt": lines(SENTENCES * 20), "en.validation.txt": "A man\n"})
    data.open("validation", "en")
    monkeypatch.setattr(splits, "CHARACTERS_PER_CHUNK", 500)
    monkeypatch.setattr(splits, "documents", counted)
    monkeypatch.setattr(Packer, "_table", noted)
    read = written = 0
    data.open("train", "en")

    assert read == written == 2000
    assert most_ahead < 30


def test_text_is_read_once_for_all_runs_that_read_it_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"en.txt": lines(SENTENCES)}
    first = text(tmp_path, files)
    before = {split: first.open(split, "en")["input_ids"][:] for split in ("train", "validation")}
    read: list[str] = []
    documents = splits.documents
    monkeypatch.setattr(splits, "documents", lambda *given: read.append("again") or documents(*given))
    second = text(tmp_path, files, seed=3, batch_size=4, limit={"train": 5, "validation": None, "test": None})

    assert second.open("train", "en")["input_ids"][:] == before["train"][:5]
    assert second.open("validation", "en")["input_ids"][:] == before["validation"]
    assert (second.read["train"]["en"].rows, second.read["train"]["en"].examples) == (len(before["train"]), 5)
    assert not read
    for change in ({"held_out": 5}, {"max_length": 32}, {"undecodable": "skip"}):
        text(tmp_path, files, **change).open("train", "en")
        assert read
        read.clear()
