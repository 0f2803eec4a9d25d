"""Rows of evaluation among those trained on are found, wherever they stand, and told loudly."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from babelfit.data import MultilingualDataModule
from babelfit.datasets import XNLI, WikiANN
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.rows.leaks import Leaks, in_words

LABELS = ("entailment", "neutral", "contradiction")
Row = tuple[str, str]


def rows(language: str, split: str, count: int = 30) -> list[Row]:
    return [(f"{split} premise {number} of {language}", f"hypothesis {number}") for number in range(count)]


def write(folder: Path, split: str, language: str, given: list[Row]) -> Path:
    file = folder / "xnli" / f"{split}-{language}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{premise}\t{hypothesis}\t{LABELS[place % 3]}\n" for place, (premise, hypothesis) in enumerate(given)]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def planted(folder: Path) -> tuple[Path, Path]:
    """Write a train file that holds three dev rows, one of them in capitals; return train and dev file."""
    for split in ("dev", "test"):
        for language in ("en", "de", "fr"):
            write(folder, split, language, rows(language, split))
    dev = rows("en", "dev")
    shouted = (dev[9][0].upper(), f"  {dev[9][1]} ")
    train = write(folder, "train", "en", [*rows("en", "train"), dev[4], dev[7], shouted])
    return train, folder / "xnli" / "dev-en.tsv"


def module(kind: type[MultilingualDataModule], folder: Path, **settings: Any) -> MultilingualDataModule:
    defaults = {
        "folder": str(folder),
        "revision": None,
        "train_languages": ["en"],
        "languages": ["en", "de", "fr"],
        "max_length": 64,
        "limit": {"train": None, "validation": None, "test": None},
        "train_split": "train",
        "tokenizer": load_tokenizer(MINI),
        "batch_size": 8,
        "tokens_per_device": 512,
        "seed": 0,
    }
    return kind(**defaults | settings)


def found(data: MultilingualDataModule, **splits: list[str]) -> Leaks:
    for split, languages in splits.items():
        for language in languages:
            data.open(split, language)
    return data.leaks()


def test_a_train_file_that_holds_dev_rows_is_found_with_the_rows_of_both(tmp_path: Path) -> None:
    train, dev = planted(tmp_path)
    leaks = found(module(XNLI, tmp_path), train=["en"], validation=["en", "de"], test=["en", "fr"])
    english = leaks["validation"]["en"]

    assert (english.rows, english.exact, english.of) == (3, 2, 30)
    assert [(one.row, one.train_row) for one in english.examples] == [(4, 30), (7, 31), (9, 32)]
    assert {(one.file, one.train_file) for one in english.examples} == {(str(dev), str(train))}
    # Parallel: the same items in German are translations of what was trained on.
    assert (leaks["validation"]["de"].rows, leaks["validation"]["de"].translated) == (0, 3)
    assert english.translated == 0
    assert [one.rows + (one.translated or 0) for one in leaks["test"].values()] == [0, 0]


def test_what_was_found_is_said_in_words_and_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    train, dev = planted(tmp_path)
    leaks = found(module(XNLI, tmp_path), train=["en"], validation=["en", "de"], test=["en"])
    (sentence,) = in_words(leaks, dataset="xnli")

    assert sentence.startswith(
        "xnli validation: rows that the model is trained on: en 3 of 30 (2 word for word). "
        "Translations of such rows: de 3. "
    )
    assert f"row 4 of {dev} is row 30 of {train}" in sentence
    assert in_words({"test": leaks["test"]}, dataset="xnli") == []


def test_rows_in_the_training_file_of_another_language_are_found(tmp_path: Path) -> None:
    planted(tmp_path)
    write(tmp_path, "train", "de", [*rows("de", "train"), rows("fr", "dev")[5]])
    data = module(XNLI, tmp_path, train_languages=["en", "de"])
    leaks = found(data, train=["en", "de"], validation=["fr"])

    assert leaks["validation"]["fr"].rows == 1
    assert leaks["validation"]["fr"].examples[0].train_file.endswith("train-de.tsv")
    assert leaks["validation"]["fr"].examples[0].train_row == 30


def test_only_rows_that_are_trained_on_and_scored_count(tmp_path: Path) -> None:
    planted(tmp_path)
    without = module(XNLI, tmp_path, limit={"train": 30, "validation": None, "test": None})
    one_row = module(XNLI, tmp_path, limit={"train": None, "validation": 5, "test": None})

    assert found(without, train=["en"], validation=["en"])["validation"]["en"].rows == 0
    assert found(one_row, train=["en"], validation=["en"])["validation"]["en"].rows == 1
    assert module(XNLI, tmp_path).leaks() == {}


def test_training_on_the_dev_split_is_no_leak_into_itself_but_into_test_it_is(tmp_path: Path) -> None:
    planted(tmp_path)
    write(tmp_path, "test", "en", [*rows("en", "test"), rows("en", "dev")[0]])
    leaks = found(module(XNLI, tmp_path, train_split="validation"), train=["en"], validation=["en"], test=["en"])

    assert "validation" not in leaks
    assert leaks["test"]["en"].rows == 1


def test_sentences_of_tagging_are_compared_too_and_are_not_parallel(tmp_path: Path) -> None:
    (tmp_path / "panx").mkdir()
    sentences = {"train-en": "New\tB-LOC\nYork\tI-LOC\n\na\tO\n\n", "dev-en": "b\tO\n\nNEW\tO\nYork\tO\n\n"}
    sentences["dev-de"] = "c\tO\n\nd\tO\n\n"
    for name, text in sentences.items():
        (tmp_path / "panx" / f"{name}.tsv").write_text(text)
    data = module(WikiANN, tmp_path, languages=["en", "de"])
    leaks = found(data, train=["en"], validation=["en", "de"])["validation"]

    assert (leaks["en"].rows, leaks["en"].exact, leaks["en"].examples[0].row) == (1, 0, 1)
    assert leaks["de"].rows == 0
    assert leaks["de"].translated is None


def test_the_manifest_says_duplicates_scripts_and_what_the_tokenizer_makes_of_the_text(tmp_path: Path) -> None:
    planted(tmp_path)
    write(tmp_path, "dev", "de", [*rows("de", "dev"), rows("de", "dev")[3], ("x " * 100, "y")])
    data = module(XNLI, tmp_path)
    found(data, validation=["de"])
    entry = data.read["validation"]["de"]

    assert (entry.duplicates, entry.scripts, entry.truncated) == (1, {"LATIN": 1.0}, 1)
    counts = entry.tokens
    whole = [*rows("de", "dev"), rows("de", "dev")[3]]  # the row that is cut is not counted
    assert counts.words == 7 * len(whole)
    assert counts.characters == sum(len(premise) + len(hypothesis) for premise, hypothesis in whole)
    ids = [data.tokenizer(*row, add_special_tokens=False)["input_ids"] for row in whole]
    assert counts.subwords == sum(map(len, ids))
    assert counts.unknown == sum(one.count(data.tokenizer.unk_token_id) for one in ids)
    assert counts.targets == 32
    assert counts.lengths["longest"] == 64
    assert counts.lengths["median"] <= counts.lengths["95 %"] <= counts.lengths["99 %"]


def test_a_file_in_another_script_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "dev", "ar", rows("en", "dev"))
    data = module(XNLI, tmp_path, languages=["ar"])
    with caplog.at_level(logging.WARNING):
        found(data, validation=["ar"])

    assert "dev-ar.tsv: 100 % of the letters are Latin, where 'ar' is written in Arabic" in caplog.text


@pytest.mark.page
def test_a_leak_is_loud_in_the_terminal_the_manifest_and_the_reports(
    in_folder: Path, train: Callable[..., Any]
) -> None:
    planted(Path("data"))
    outcome = train("data.folder=data", "data.languages=[en,de]", "data=xnli", "name=run")
    run = Path("outputs/run")

    assert outcome.status == 0, outcome.err
    assert "LEAK: xnli validation: rows that the model is trained on: en 3 of 30 (2 word for word)" in outcome.err
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["leaks"]["validation"]["en"]["rows"] == 3
    assert manifest["leaks"]["test"]["de"]["rows"] == 0
    for report in ("report.md", "report.html"):
        assert "rows that the model is trained on" in (run / report).read_text()
    page = (run / "report.html").read_text()
    assert '<td class="number wrong">3</td>' in page
    assert "subwords by word" in page


def test_a_clean_run_is_told_nothing(train: Callable[..., Any]) -> None:
    outcome = train("name=run", "data.languages=[en,ar]")

    assert "LEAK" not in outcome.err
    assert "**Data.**" not in Path("outputs/run/report.md").read_text()


@pytest.fixture
def trained(once: Callable[..., Any], train: Callable[..., Any]) -> Path:
    """Train on English of planted data and score English alone."""

    def make() -> None:
        planted(Path("data"))
        assert train("data.folder=data", "data.languages=[en]", "data=xnli", "name=run").status == 0

    once(make, "trained on planted data")
    return Path("outputs/run")


@pytest.mark.page
def test_a_translation_that_is_added_later_is_compared_and_told_everywhere(
    trained: Path, command: Callable[..., Any]
) -> None:
    before = json.loads((trained / "manifest.json").read_text())["leaks"]
    outcome = command("evaluate.py", "run=outputs/run", "split=validation", "languages=[de]")

    assert outcome.status == 0, outcome.err
    assert "LEAK: xnli validation: " in outcome.err
    assert "Translations of such rows: de 3." in outcome.err
    leaks = json.loads((trained / "manifest.json").read_text())["leaks"]
    assert (leaks["validation"]["de"]["rows"], leaks["validation"]["de"]["translated"]) == (0, 3)
    assert leaks["validation"]["en"]["examples"] == before["validation"]["en"]["examples"]
    assert leaks["test"] == before["test"]
    for report in ("report.md", "report.html"):
        assert "Translations of such rows: de 3." in (trained / report).read_text()
    assert '<td class="number wrong">0 + 3 translated</td>' in (trained / "report.html").read_text()


def test_the_text_of_a_training_row_in_a_language_that_is_added_later_is_found(
    trained: Path, command: Callable[..., Any]
) -> None:
    write(Path("data"), "test", "fr", [*rows("fr", "test"), rows("en", "train")[3]])
    outcome = command("evaluate.py", "run=outputs/run", "split=test", "languages=[fr]")

    assert "LEAK: xnli test: rows that the model is trained on: fr 1 of 31 (1 word for word)." in outcome.err
    assert "row 30 of data/xnli/test-fr.tsv is row 3 of data/xnli/train-en.tsv" in outcome.err
    leaks = json.loads((trained / "manifest.json").read_text())["leaks"]["test"]
    assert {language: one["rows"] for language, one in leaks.items()} == {"en": 0, "fr": 1}


def test_a_translation_is_found_where_the_source_language_itself_is_not_scored(
    in_folder: Path, train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    planted(Path("data"))
    write(Path("data"), "test", "en", [*rows("en", "test")[:7], rows("en", "train")[0], *rows("en", "test")[8:]])
    assert "LEAK: xnli test: " not in train("data.folder=data", "data.languages=[de]", "data=xnli", "name=run").err
    outcome = command("evaluate.py", "run=outputs/run", "split=test", "languages=[fr]")

    assert "en 1 of 30 (1 word for word). Translations of such rows: fr 1, de 1." in outcome.err


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_where_the_training_rows_are_not_there_any_more_it_is_told_and_scored(
    trained: Path, command: Callable[..., Any], change: str
) -> None:
    before = (trained / "scores" / "test.json").read_text()
    file = Path("data/xnli/train-en.tsv")
    if change == "gone":
        file.rename("data/moved.tsv")
    else:
        write(Path("data"), "train", "en", rows("en", "other"))
    outcome = command("evaluate.py", "run=outputs/run", "split=test", "languages=[de]")

    assert outcome.status == 0, outcome.err
    assert "xnli test is not compared with the rows that outputs/run trained on" in outcome.err
    assert ("no train split of xnli" if change == "gone" else "train-en.tsv changed since") in outcome.err
    assert "LEAK" not in outcome.err
    assert "de" not in json.loads((trained / "manifest.json").read_text())["leaks"]["test"]
    assert (trained / "scores" / "test.json").read_text() != before


def test_of_a_few_shot_run_only_the_few_are_compared_with_what_is_added_later(
    in_folder: Path, train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    planted(Path("data"))
    write(Path("data"), "train", "de", rows("de", "train"))
    few = ("data.regime=few_shot", "data.few_shot={k: 2, languages: [de]}", "seed=3")
    outcome = train("data.folder=data", "data.languages=[en,de]", "data=xnli", "name=run", *few)
    assert outcome.status == 0, outcome.err
    drawn = json.loads(Path("outputs/run/manifest.json").read_text())["splits"]["train"]["de"]["drawn"]
    write(Path("data"), "test", "fr", [*rows("de", "train"), *rows("fr", "test")])
    outcome = command("evaluate.py", "run=outputs/run", "split=test", "languages=[fr]")

    assert f"fr {len(drawn)} of 48 ({len(drawn)} word for word)" in outcome.err
    assert f"row {min(drawn)} of data/xnli/test-fr.tsv" in outcome.err


def test_on_other_data_than_the_runs_own_nothing_is_compared(trained: Path, command: Callable[..., Any]) -> None:
    chosen = ("data=xnli", "data.folder=data", "name=other")
    outcome = command("evaluate.py", "run=outputs/run", *chosen, "split=validation", "languages=[en,de]")

    assert outcome.status == 0, outcome.err
    assert "LEAK" not in outcome.err
    assert "leaks" not in json.loads(Path("outputs/other/manifest.json").read_text())
