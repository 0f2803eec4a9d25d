"""Each regime trains on the rows it is named for, and scores those it is named for; what cannot be is told before."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from babelfit.config.regimes import REGIMES, trained_languages
from babelfit.data import MultilingualDataModule
from babelfit.data.few_shot import sample_few
from babelfit.datasets import PAWSX, XNLI, WikiANN, xnli
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError
from babelfit.rows import sources

LABELS = xnli.LABELS


def built(
    folder: Path | str | None, kind: type[MultilingualDataModule] = XNLI, **changes: Any
) -> MultilingualDataModule:
    settings: dict[str, Any] = {
        "folder": None if folder is None else str(folder),
        "revision": None,
        "train_languages": ["en"],
        "languages": ["en", "sw"],
        "max_length": 32,
        "limit": {"train": None, "validation": None, "test": None},
        "train_split": "train",
        "few_shot": {"k": 2, "languages": None},
        "tokenizer": load_tokenizer(MINI),
        "batch_size": 2,
        "tokens_per_device": 64,
        "seed": 1,
    }
    return kind(**settings | changes)


def pairs(*, say: str, rows: int = 12) -> str:
    return "".join(f"{say} {n}\t{say} b{n}\t{LABELS[n % 3]}\n" for n in range(rows))


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """XNLI in XTREME's layout in three languages, with training rows in all of them."""
    for language in ("en", "de", "sw"):
        for split in ("train", "dev", "test"):
            write(tmp_path / "xnli" / f"{split}-{language}.tsv", pairs(say=f"{split} {language}"))
    return tmp_path


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    return str(caught.value)


def texts(data: MultilingualDataModule, split: str, language: str) -> list[tuple[str, str, str | None]]:
    table = data.origin.source(split, language).read()
    return [tuple(row.values()) for row in table.to_pylist()]


# What is trained on


def test_every_regime_says_whose_rows_it_trains_on(folder: Path) -> None:
    expected = {
        ("zero_shot", "en"): (["en"], []),
        ("translate_train", "sw"): (["sw"], []),
        ("translate_train_all", "en"): (["en", "de", "sw"], []),
        ("translate_train_all", "sw"): (["en", "sw"], []),
        ("translate_test", "en"): (["en"], []),
        ("few_shot", "en"): (["en"], ["sw"]),
    }
    assert {regime for regime, _ in expected} == set(REGIMES)
    for (regime, chosen), (sources_, few) in expected.items():
        data = built(folder, regime=regime, train_languages=[chosen])
        assert (data.train_languages, data.few_shot_languages, data.trained_languages) == (
            sources_,
            few,
            sources_ + few,
        )
        assert data.validated_languages == sources_, "a target language selects no checkpoint"


def test_what_was_resolved_once_stays_as_it_is(folder: Path) -> None:
    every = built(folder, regime="translate_train_all").train_languages

    assert built(folder, regime="translate_train_all", train_languages=every).train_languages == every


@pytest.mark.parametrize(
    ("regime", "chosen", "parts"),
    [
        (
            "translate_train",
            ["en"],
            ["'en' in data.train_languages is the original, not a translation", "translate_train_all"],
        ),
        ("translate_train", ["sw", "en"], ["not a translation", "data.train_languages=[sw]"]),
        ("translate_test", ["de"], ["translated into 'en'", "not on de", "data.train_languages=[en]"]),
        ("translate_test", ["en", "de"], ["translated into 'en'", "not on en, de"]),
    ],
)
def test_languages_that_a_regime_makes_no_sense_for_are_refused(
    folder: Path, regime: str, chosen: list[str], parts: list[str]
) -> None:
    message = refusal(lambda: built(folder, regime=regime, train_languages=chosen))
    for part in (f"data.regime={regime}", *parts):
        assert part in message


@pytest.mark.parametrize("regime", ["translate_train", "translate_train_all", "translate_test"])
def test_named_entities_have_no_translations(tmp_path: Path, regime: str) -> None:
    write(tmp_path / "panx" / "train-en.tsv", "Berlin\tB-LOC\n\n")
    for place in (tmp_path, "sample", None):
        message = refusal(lambda place=place: built(place, WikiANN, regime=regime))
        assert f"data.regime={regime}: wikiann has no machine translations" in message
        assert "zero_shot or few_shot" in message


def test_missing_translations_of_training_rows_are_told_with_all_that_was_looked_for(folder: Path) -> None:
    (folder / "xnli" / "train-sw.tsv").unlink()
    data = built(folder, regime="translate_train", train_languages=["sw"])
    message = refusal(lambda: data.prepare("train", languages=data.trained_languages))
    for part in ("xnli/train-sw.tsv", "multinli.train.sw.tsv", "translate-train/en-sw-translated.tsv"):
        assert part in message
    assert built(folder, regime="translate_train_all").train_languages == ["en", "de"], "those that are there"
    (folder / "xnli" / "train-de.tsv").unlink()
    data = built(folder, regime="translate_train_all")
    assert "multinli.train.ar.tsv" in refusal(lambda: data.prepare("train", languages=data.trained_languages))


@pytest.mark.parametrize("regime", ["translate_train_all", "few_shot"])
def test_other_rows_than_those_of_training_are_no_regime(folder: Path, regime: str) -> None:
    message = refusal(lambda: built(folder, regime=regime, train_split="validation"))
    assert "data.train_split=validation" in message


def test_only_translations_are_a_matter_of_regimes_with_translations() -> None:
    options: dict[str, Any] = {"written_in": None, "translated": (), "of": "x"}
    assert trained_languages("zero_shot", ["de"], **options) == ["de"]
    assert trained_languages("few_shot", ["de"], **options) == ["de"]


# Forms of translations


ORIGINAL = "Original {n}\tOriginal b{n}\t"


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (ORIGINAL + "Tafsiri {n}\tTafsiri b{n}\tcontradictory\n", "contradiction"),
        ("Tafsiri {n}\tTafsiri b{n}\tneutral\n", "neutral"),
        (ORIGINAL + "Tafsiri {n}\tTafsiri b{n}\n", None),
    ],
    ids=["beside the original", "alone", "without label"],
)
@pytest.mark.parametrize(("split", "name"), [("train", "translate-train/en-sw-translated.tsv"),
                                             ("test", "translate-test/test-sw-en-translated.tsv")])  # fmt: skip
def test_xtremes_translations_are_read(tmp_path: Path, split: str, name: str, line: str, label: str | None) -> None:
    for place in (tmp_path / "a" / "xnli", tmp_path / "b"):
        write(place / name, "".join(line.format(n=n) for n in range(2)))
    for place in (tmp_path / "a", tmp_path / "b"):
        read = texts(built(place, regime="translate_test"), split, "sw")
        assert read == [(f"Tafsiri {n}", f"Tafsiri b{n}", label) for n in range(2)]


def test_paraphrases_in_xtremes_translations_are_read(tmp_path: Path) -> None:
    write(tmp_path / "pawsx" / "translate-train" / "en-de-translated.tsv", "a\tb\tc\td\t1\n")
    write(tmp_path / "pawsx" / "translate-test" / "test-de-en-translated.tsv", "a\tb\te\tf\t0\n")
    data = built(tmp_path, PAWSX, languages=["en", "de"], regime="translate_test")

    assert texts(data, "train", "de") == [("c", "d", "paraphrase")]
    assert texts(data, "test", "de") == [("e", "f", "not_paraphrase")]


def test_the_archives_translations_into_english_are_told_apart_by_their_first_language(tmp_path: Path) -> None:
    header = "language\tgold_label\tsentence1\tsentence2\n"
    for split in ("dev", "test"):
        own = header + "".join(f"{one}\tneutral\town {one}\tb\n" for one in ("en", "sw"))
        write(tmp_path / "XNLI-1.0" / f"xnli.{split}.tsv", own)
        translated = header + "".join(f"{one}\tneutral\tfrom {one}\tb\n" for one in ("de", "sw"))
        write(tmp_path / "XNLI-MT-1.0" / "xnli" / f"xnli.{split}.en.tsv", translated)
    data = built(tmp_path, regime="translate_test")

    for split in ("validation", "test"):
        assert texts(data, split, "sw") == [("from sw", "b", "neutral")]
        assert texts(data, split, "en") == [("own en", "b", "neutral")], "what was never translated"
        assert texts(built(tmp_path), split, "sw") == [("own sw", "b", "neutral")]


def test_scored_are_the_languages_that_were_translated(folder: Path) -> None:
    write(folder / "xnli" / "translate-test" / "test-sw-en-translated.tsv", pairs(say="translated"))
    data = built(folder, regime="translate_test", languages=None)

    assert data.languages == ["en", "sw"]
    assert data.has("test")
    assert data.read["test"]["sw"].split == "translated test"
    assert data.read["test"]["sw"].files[0].path.endswith("test-sw-en-translated.tsv")
    assert data.read["test"]["en"].files[0].path.endswith("test-en.tsv")


def test_a_translation_without_labels_has_those_of_the_languages_own_rows(folder: Path) -> None:
    without = "".join(f"a{n}\tb{n}\tc{n}\td{n}\n" for n in range(12))
    path = write(folder / "xnli" / "translate-test" / "test-sw-en-translated.tsv", without)
    data = built(folder, regime="translate_test")

    assert texts(data, "test", "sw") == [(f"c{n}", f"d{n}", LABELS[n % 3]) for n in range(12)]
    assert data.has("test")
    files = [Path(file.path).name for file in data.read["test"]["sw"].files]
    assert files == ["test-sw-en-translated.tsv", "test-sw.tsv"]
    assert data.read["test"]["sw"].labels == dict.fromkeys(LABELS, 4)
    # Other labels are other examples.
    write(folder / "xnli" / "test-sw.tsv", pairs(say="test sw").replace("entailment", "neutral"))
    data = built(folder, regime="translate_test")
    data.prepare("test", languages=["sw"])
    assert data.read["test"]["sw"].labels == {"entailment": 0, "neutral": 8, "contradiction": 4}
    path.write_text(without + "a\tb\tc\td\n")
    message = refusal(lambda: built(folder, regime="translate_test").prepare("test", languages=["sw"]))
    for part in ("13 rows without labels for 'sw'", "12 in ", "test-sw.tsv, which has the labels", "the same rows"):
        assert part in message


def test_missing_translations_into_english_are_told_with_all_that_was_looked_for(folder: Path) -> None:
    data = built(folder, regime="translate_test")
    message = refusal(lambda: data.prepare("test", languages=data.languages))
    for part in ("no translated test split of xnli for language 'sw'", "XNLI-MT-1.0/xnli/xnli.test.en.tsv",
                 "xnli/translate-test/test-sw-en-translated.tsv", "The Hub has none"):  # fmt: skip
        assert part in message
    for place in ("sample", None):
        message = refusal(lambda place=place: built(place, regime="translate_test"))
        assert "no dev and test rows of xnli translated into 'en'" in message
        assert "data.folder=FOLDER" in message


def test_real_translations_are_training_rows_of_each_language(shared: Path, tmp_path: Path) -> None:
    for file in (shared / "multinli_15k").glob("*.tsv"):
        # A header and 2,000 of the rows: tokenizing all of them takes a minute.
        rows = file.read_text(encoding="utf-8").split("\n")[:2001]
        (tmp_path / file.name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    data = built(tmp_path, languages=["en"], regime="translate_train_all", limit=dict.fromkeys(("train", "validation")))

    assert data.train_languages == ["en", "ar", "de", "es", "fr", "sw", "tr", "ur", "vi", "zh"]
    for language in ("sw", "en"):
        data.prepare("train", languages=[language])
        assert data.read["train"][language].labels == {"entailment": 689, "neutral": 573, "contradiction": 738}
    few = built(tmp_path, languages=["en", "sw"], regime="few_shot", few_shot={"k": 50, "languages": None})
    assert len(few.open("train", "sw")) == 150
    assert few.read["train"]["sw"].labels == dict.fromkeys(LABELS, 50)


# A few examples


def labelled(*labels: int) -> Dataset:
    return Dataset.from_dict(
        {
            "input_ids": [[5, n] for n in range(len(labels))],
            "windows": [[2]] * len(labels),
            "targets": [[0]] * len(labels),
            "gold": [[label] for label in labels],
            "index": [100 + n for n in range(len(labels))],
            "truncated": [False] * len(labels),
        }
    )


LABELLED = labelled(*np.random.default_rng(0).integers(-100, 3, 4000).clip(-100, 2).tolist())


def few(k: int, *, seed: int = 1, language: str = "sw", per_label: bool = True) -> list[int]:
    names = LABELS if per_label else None
    dataset = sample_few(LABELLED, k=k, seed=seed, language=language, label_names=names)
    return list(dataset.data["index"].to_pylist())


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_so_many_examples_of_each_label_are_drawn(k: int) -> None:
    dataset = sample_few(LABELLED, k=k, seed=1, language="sw", label_names=LABELS)

    assert Counter(label for (label,) in dataset.data["gold"].to_pylist()) == dict.fromkeys(range(3), k)
    # Whole rows, in the order of the file.
    assert dataset.data["index"].to_pylist() == sorted(set(dataset.data["index"].to_pylist()))
    assert [ids[1] + 100 for ids in dataset.data["input_ids"].to_pylist()] == dataset.data["index"].to_pylist()
    assert len(dataset) == len(dataset.data["gold"]) == 3 * k, "nothing is left behind the selection"


@pytest.mark.parametrize("per_label", [True, False], ids=["labels", "sentences"])
def test_the_few_are_part_of_the_more(per_label: bool) -> None:
    drawn_of = [set(few(k, per_label=per_label)) for k in (1, 2, 10, 20)]

    assert all(fewer < more for fewer, more in pairwise(drawn_of))
    assert [len(one) for one in drawn_of] == [k * (3 if per_label else 1) for k in (1, 2, 10, 20)]


def test_the_draw_depends_on_seed_and_language() -> None:
    assert few(10) == few(10)
    assert len({tuple(few(10, seed=seed, language=language)) for seed in (1, 2) for language in ("sw", "ur")}) == 4


def test_examples_without_gold_are_not_drawn() -> None:
    dataset = labelled(-100, 1, -100, 0)

    assert sample_few(dataset, k=2, seed=1, language="sw", label_names=None).data["index"].to_pylist() == [101, 103]
    message = refusal(lambda: sample_few(dataset, k=3, seed=1, language="sw", label_names=None))
    assert "data.few_shot.k=3: the training rows of 'sw' have only 2 examples." in message
    message = refusal(lambda: sample_few(dataset, k=1, seed=1, language="sw", label_names=LABELS))
    assert "only 0 examples of contradiction" in message


def test_the_few_are_trained_on_beside_all_rows_of_the_source_languages(folder: Path) -> None:
    data = built(folder, regime="few_shot", languages=["en", "de", "sw"])
    data.prepare("train", languages=data.trained_languages)
    facts = data.read["train"]

    assert {language: facts[language].examples for language in facts} == {"en": 12, "de": 6, "sw": 6}
    assert facts["sw"].labels == dict.fromkeys(LABELS, 2)
    assert (facts["sw"].rows, len(facts["sw"].drawn)) == (12, 6)
    assert facts["en"].drawn is None
    assert data.steps_per_epoch == 12
    assert built(folder, regime="few_shot", few_shot={"k": 1, "languages": ["de"]}).trained_languages == ["en", "de"]
    # Scoring reads the rows of a target language as they are.
    assert len(data.open("test", "sw")) == len(data.open("validation", "sw")) == 12


def test_few_sentences_are_drawn_of_tagging(tmp_path: Path) -> None:
    for language in ("en", "sw"):
        text = "".join(f"Berlin\tB-LOC\nis {n}\tO\n\n" for n in range(9))
        write(tmp_path / "panx" / f"train-{language}.tsv", text)
    data = built(tmp_path, WikiANN, regime="few_shot", few_shot={"k": 4, "languages": ["sw"]})

    assert (len(data.open("train", "en")), len(data.open("train", "sw"))) == (9, 4)
    assert data.read["train"]["sw"].labels["B-LOC"] == 4
    assert data.read["train"]["sw"].windows == 4


@pytest.mark.parametrize(
    ("languages", "parts"),
    [
        (["en"], ["'en' is trained on with all its rows", "leave it out"]),
        (["xx"], ["unknown language 'xx' in data.few_shot.languages"]),
        (["sw", "sw"], ["data.few_shot.languages=['sw', 'sw']", "each one once"]),
        ([], ["data.few_shot.languages=[]", "at least one"]),
    ],
)
def test_wrong_languages_of_the_few_are_refused(folder: Path, languages: list[str], parts: list[str]) -> None:
    message = refusal(lambda: built(folder, regime="few_shot", few_shot={"k": 1, "languages": languages}))
    for part in parts:
        assert part in message


def test_a_target_language_without_training_rows_is_told_before_anything_is_trained(folder: Path) -> None:
    (folder / "xnli" / "train-sw.tsv").unlink()
    data = built(folder, regime="few_shot")
    message = refusal(lambda: data.prepare("train", languages=data.trained_languages))

    assert "no train split of xnli for language 'sw'" in message
    assert "xnli/train-sw.tsv" in message


def test_every_dataset_with_a_language_of_origin_has_places_for_its_translations() -> None:
    for kind in (XNLI, PAWSX):
        held = {split for layout in kind.dataset.layouts for split in layout.patterns}
        assert kind.dataset.written_in == "en"
        assert f"{sources.TRANSLATED}test" in held
    assert WikiANN.dataset.written_in is None
