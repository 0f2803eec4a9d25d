"""The sample's paraphrase part keeps its promises; what a model learns is not tested."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from babelfit.sample import PARAPHRASE_LANGUAGES, PARAPHRASE_ROWS, write_paraphrase

FILES = {"train": "train", "validation": "dev", "test": "test"}

Rows = list[tuple[str, ...]]
Sample = dict[str, dict[str, Rows]]


@pytest.fixture(scope="module")
def folder(labelled_sample: Path) -> Path:
    return labelled_sample


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    return {split: {language: read(folder, split, language) for language in PARAPHRASE_LANGUAGES} for split in FILES}


def read(folder: Path, split: str, language: str) -> Rows:
    text = (folder / "pawsx" / f"{FILES[split]}-{language}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [tuple(line.split("\t")) for line in text[:-1].split("\n")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "pawsx").iterdir())}


def overlap(row: tuple[str, ...]) -> float:
    first, second = (set(re.findall(r"[\w:]+", sentence)) for sentence in row[:2])
    return len(first & second) / len(first | second)


def test_the_seed_alone_decides_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, few in (("train", 54), ("validation", 18), ("test", 18)):
        monkeypatch.setitem(PARAPHRASE_ROWS, split, few)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_paraphrase(tmp_path / name, seed=seed)
    assert contents(tmp_path / "again") == contents(tmp_path / "one")
    assert contents(tmp_path / "other").keys() == contents(tmp_path / "one").keys()
    assert contents(tmp_path / "other") != contents(tmp_path / "one")


def test_files_are_the_xtreme_layout(folder: Path, sample: Sample) -> None:
    assert set(PARAPHRASE_LANGUAGES) == {"de", "en", "es", "fr", "ja", "ko", "zh"}
    expected = {f"{file}-{language}.tsv" for file in FILES.values() for language in PARAPHRASE_LANGUAGES}
    assert contents(folder).keys() == expected
    for split, languages in sample.items():
        for rows in languages.values():
            assert len(rows) == PARAPHRASE_ROWS[split]
            for row in rows:
                assert len(row) == 3
                assert row[2] in ("0", "1")
                for sentence in row[:2]:
                    assert sentence == " ".join(sentence.split())
                    assert not set(sentence) & set("[]{}<>|~")


def test_labels_are_balanced_and_parallel(sample: Sample) -> None:
    for split, languages in sample.items():
        english = [row[2] for row in languages["en"]]
        assert Counter(english) == dict.fromkeys("01", PARAPHRASE_ROWS[split] // 2)
        for rows in languages.values():
            assert [row[2] for row in rows] == english


def test_items_are_the_same_in_every_language(sample: Sample) -> None:
    for languages in sample.values():
        for column in (0, 1):
            english = [row[column] for row in languages["en"]]
            for rows in languages.values():
                translations = set(zip(english, (row[column] for row in rows), strict=True))
                # One to one: neither language merges sentences that the other keeps apart.
                assert len(translations) == len(set(english)) == len({row[column] for row in rows})


def test_paraphrases_are_not_copies_and_pairs_occur_once(sample: Sample) -> None:
    for language in PARAPHRASE_LANGUAGES:
        pairs = [row[:2] for split in FILES for row in sample[split][language]]
        assert len(pairs) == len(set(pairs))
        assert all(first != second for first, second in pairs)


def test_no_split_holds_words_of_another_in_any_order(sample: Sample) -> None:
    bags = {
        split: {" ".join(sorted(re.findall(r"[\w:]+", sentence))) for row in languages["en"] for sentence in row[:2]}
        for split, languages in sample.items()
    }
    assert bags["train"].isdisjoint(bags["validation"] | bags["test"])
    assert bags["validation"].isdisjoint(bags["test"])


def test_pairs_share_most_words_with_either_label(sample: Sample) -> None:
    shares = {label: np.mean([overlap(row) for row in sample["train"]["en"] if row[2] == label]) for label in "01"}
    assert min(shares.values()) > 0.6
    assert abs(shares["0"] - shares["1"]) < 0.02


@pytest.mark.parametrize("column", [0, 1], ids=["first", "second"])
def test_half_a_pair_comes_with_either_label_equally_often(sample: Sample, column: int) -> None:
    for languages in sample.values():
        for rows in languages.values():
            counts = Counter((row[column], row[2]) for row in rows)
            for text in {row[column] for row in rows}:
                assert counts[text, "0"] == counts[text, "1"]


@pytest.mark.parametrize("column", [0, 1], ids=["first", "second"])
def test_a_classifier_that_sees_half_a_pair_is_at_chance(sample: Sample, column: int) -> None:
    train, test = sample["train"]["en"], sample["test"]["en"]
    classifier = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=200))
    classifier.fit([row[column] for row in train], [row[2] for row in train])
    assert classifier.score([row[column] for row in test], [row[2] for row in test]) < 0.58


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "ko"])
def test_a_classifier_that_sees_the_words_of_a_pair_is_near_chance(sample: Sample, language: str) -> None:
    train, test = sample["train"][language], sample["test"][language]
    words = CountVectorizer().fit([sentence for row in train for sentence in row[:2]])

    def features(rows: Rows) -> csr_matrix:
        first, second = (words.transform([row[column] for row in rows]) for column in (0, 1))
        return hstack([first, second, abs(first - second), first.multiply(second)]).tocsr()

    classifier = LogisticRegression(max_iter=200).fit(features(train), [row[2] for row in train])
    assert classifier.score(features(test), [row[2] for row in test]) < 0.58
