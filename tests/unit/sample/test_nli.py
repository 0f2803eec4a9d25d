"""The sample's NLI part keeps its promises; what a model learns is not tested."""

from collections import Counter
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from babelfit.sample import NLI_LANGUAGES, NLI_ROWS, write_nli

FILES = {"train": "train", "validation": "dev", "test": "test"}
LABELS = {"entailment", "neutral", "contradiction"}
XNLI_LANGUAGES = {"ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"}

Rows = list[tuple[str, ...]]
Sample = dict[str, dict[str, Rows]]


@pytest.fixture(scope="module")
def folder(labelled_sample: Path) -> Path:
    return labelled_sample


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    return {split: {language: read(folder, split, language) for language in NLI_LANGUAGES} for split in FILES}


def read(folder: Path, split: str, language: str) -> Rows:
    text = (folder / "xnli" / f"{FILES[split]}-{language}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [tuple(line.split("\t")) for line in text[:-1].split("\n")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "xnli").iterdir())}


def test_the_seed_alone_decides_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, few in (("train", 54), ("validation", 18), ("test", 18)):
        monkeypatch.setitem(NLI_ROWS, split, few)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_nli(tmp_path / name, seed=seed)
    assert contents(tmp_path / "again") == contents(tmp_path / "one")
    assert contents(tmp_path / "other").keys() == contents(tmp_path / "one").keys()
    assert contents(tmp_path / "other") != contents(tmp_path / "one")


def test_files_are_the_xtreme_layout(folder: Path, sample: Sample) -> None:
    assert set(NLI_LANGUAGES) == XNLI_LANGUAGES
    expected = {f"{file}-{language}.tsv" for file in FILES.values() for language in NLI_LANGUAGES}
    assert contents(folder).keys() == expected
    for split, languages in sample.items():
        for rows in languages.values():
            assert len(rows) == NLI_ROWS[split]
            for row in rows:
                assert len(row) == 3
                assert row[2] in LABELS
                for sentence in row[:2]:
                    assert sentence == " ".join(sentence.split())
                    assert not set(sentence) & set("[]{}|~")


def test_labels_are_balanced_and_parallel(sample: Sample) -> None:
    for split, languages in sample.items():
        english = [row[2] for row in languages["en"]]
        assert Counter(english) == dict.fromkeys(LABELS, NLI_ROWS[split] // 3)
        for rows in languages.values():
            assert [row[2] for row in rows] == english


def test_items_are_the_same_in_every_language(sample: Sample) -> None:
    for languages in sample.values():
        for column in (0, 1):
            french = [row[column] for row in languages["fr"]]
            for language, rows in languages.items():
                translations = set(zip(french, (row[column] for row in rows), strict=True))
                if language == "en":
                    # In two orders of words, which say the same.
                    said = {(one, " ".join(sorted(text.rstrip(".").split()))) for one, text in translations}
                    assert len(said) == len(set(french))
                else:
                    # One to one: neither language merges sentences that the other keeps apart.
                    assert len(translations) == len(set(french)) == len({row[column] for row in rows})


def test_no_pair_occurs_twice(sample: Sample) -> None:
    for language in NLI_LANGUAGES:
        pairs = [row[:2] for split in FILES for row in sample[split][language]]
        assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("column", [0, 1], ids=["premise", "hypothesis"])
def test_half_a_pair_comes_with_every_label_equally_often(sample: Sample, column: int) -> None:
    for languages in sample.values():
        for rows in languages.values():
            counts = Counter((row[column], row[2]) for row in rows)
            for text in {row[column] for row in rows}:
                assert len({counts[text, label] for label in LABELS}) == 1


@pytest.mark.parametrize("language", ["en", "sw"])
@pytest.mark.parametrize("column", [0, 1], ids=["premise", "hypothesis"])
def test_a_classifier_that_sees_half_a_pair_is_at_chance(sample: Sample, language: str, column: int) -> None:
    features = make_union(TfidfVectorizer(ngram_range=(1, 2)), TfidfVectorizer(analyzer="char", ngram_range=(1, 4)))
    train, validation = sample["train"][language], sample["validation"][language]
    classifier = make_pipeline(features, LogisticRegression(max_iter=200))
    classifier.fit([row[column] for row in train], [row[2] for row in train])
    assert classifier.score([row[column] for row in validation], [row[2] for row in validation]) < 0.45


def test_english_alone_says_half_of_it_with_the_verb_last(sample: Sample) -> None:
    verbs = {"en": "lives is eats travels up works", "fr": "vit est mange voyage lève travaille jamais"}
    for language, least, most in (("en", 0.4, 0.6), ("fr", 0, 0)):
        ends = [row[1].rstrip(".").split()[-1] for row in sample["train"][language]]
        assert least <= sum(end in verbs[language].split() for end in ends) / len(ends) <= most
