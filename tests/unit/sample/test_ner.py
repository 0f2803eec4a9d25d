"""The sample's NER part keeps its promises; what a model learns is not tested."""

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from babelfit.sample import NER_LANGUAGES, NER_ROWS, ner, write_ner
from babelfit.sample.lexicon import read_cells

FILES = {"train": "train", "validation": "dev", "test": "test"}
TYPES = ("PER", "ORG", "LOC")
TAGS = {"O", *(f"{place}-{kind}" for place in "BI" for kind in TYPES)}

Sentence = tuple[tuple[str, ...], ...]
Sample = dict[str, dict[str, list[Sentence]]]


@pytest.fixture(scope="module")
def folder(labelled_sample: Path) -> Path:
    return labelled_sample


@pytest.fixture(scope="module")
def sample(folder: Path) -> Sample:
    return {split: {language: read(folder, split, language) for language in NER_LANGUAGES} for split in FILES}


def read(folder: Path, split: str, language: str) -> list[Sentence]:
    text = (folder / "panx" / f"{FILES[split]}-{language}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n\n")
    return [tuple(tuple(line.split("\t")) for line in block.split("\n")) for block in text[:-2].split("\n\n")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "panx").iterdir())}


def spans(tags: list[str]) -> set[tuple[int, int, str]]:
    """List (start, end, type) of well-formed IOB2."""
    starts = [place for place, tag in enumerate(tags) if tag.startswith("B-")]
    ends = [next((end for end in range(start + 1, len(tags)) if tags[end][0] != "I"), len(tags)) for start in starts]
    return {(start, end, tags[start][2:]) for start, end in zip(starts, ends, strict=True)}


def mentions(sentence: Sentence) -> list[tuple[str, tuple[str, ...]]]:
    found = sorted(spans([tag for _, tag in sentence]))
    return [(kind, tuple(word for word, _ in sentence[start:end])) for start, end, kind in found]


def test_the_seed_alone_decides_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split, few in (("train", 54), ("validation", 18), ("test", 18)):
        monkeypatch.setitem(NER_ROWS, split, few)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_ner(tmp_path / name, seed=seed)
    assert contents(tmp_path / "again") == contents(tmp_path / "one")
    assert contents(tmp_path / "other").keys() == contents(tmp_path / "one").keys()
    assert contents(tmp_path / "other") != contents(tmp_path / "one")


def test_files_are_the_xtreme_layout(folder: Path, sample: Sample) -> None:
    assert set(NER_LANGUAGES) >= {"ar", "de", "en", "es", "fr", "hi", "ja", "ru", "sw", "zh"}
    expected = {f"{file}-{language}.tsv" for file in FILES.values() for language in NER_LANGUAGES}
    assert contents(folder).keys() == expected
    for split, languages in sample.items():
        for sentences in languages.values():
            assert len(sentences) == NER_ROWS[split]
            for line in (line for sentence in sentences for line in sentence):
                assert len(line) == 2
                assert line[1] in TAGS
                assert line[0] == "".join(line[0].split()) != ""
                assert not set(line[0]) & set("[]{}<>|~")


def test_tags_are_iob2(sample: Sample) -> None:
    for languages in sample.values():
        for sentences in languages.values():
            for sentence in sentences:
                tags = ["O", *(tag for _, tag in sentence)]
                for before, tag in pairwise(tags):
                    assert not tag.startswith("I-") or before[1:] == tag[1:]


def test_items_are_the_same_in_every_language(sample: Sample) -> None:
    for languages in sample.values():
        types = [Counter(kind for kind, _ in mentions(sentence)) for sentence in languages["en"]]
        for sentences in languages.values():
            assert [Counter(kind for kind, _ in mentions(sentence)) for sentence in sentences] == types


def test_no_sentence_occurs_twice(sample: Sample) -> None:
    for language in NER_LANGUAGES:
        texts = [tuple(word for word, _ in sentence) for split in FILES for sentence in sample[split][language]]
        assert len(texts) == len(set(texts))


def test_types_are_balanced_and_some_sentences_have_none(sample: Sample) -> None:
    for languages in sample.values():
        counts = Counter(kind for sentence in languages["en"] for kind, _ in mentions(sentence))
        assert all(0.27 < counts[kind] / counts.total() < 0.4 for kind in TYPES)
        without = sum(not mentions(sentence) for sentence in languages["en"])
        assert 0.05 < without / len(languages["en"]) < 0.15


def test_entities_have_one_word_or_more_and_capitals_do_not_give_them_away(sample: Sample) -> None:
    lengths: dict[str, set[int]] = defaultdict(set)
    outside: set[str] = set()
    for sentence in sample["train"]["en"]:
        for kind, words in mentions(sentence):
            lengths[kind].add(len(words))
        outside |= {word for word, tag in sentence[1:] if tag == "O" and word[0].isupper()}
    assert lengths["PER"] >= {1, 2, 3}
    assert lengths["ORG"] >= {2, 3}
    assert lengths["LOC"] >= {1, 2}
    assert "Monday" in outside


def test_a_name_can_be_of_any_type(sample: Sample) -> None:
    for language in NER_LANGUAGES:
        kinds: dict[str, set[str]] = defaultdict(set)
        for sentence in sample["train"][language]:
            for kind, words in mentions(sentence):
                for word in words:
                    kinds[word].add(kind)
        assert sum(found == set(TYPES) for found in kinds.values()) >= 8


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_part_of_the_names_is_not_in_the_training_split(sample: Sample, split: str) -> None:
    for language in NER_LANGUAGES:
        known = {word for sentence in sample["train"][language] for word, _ in sentence}
        found = [words for sentence in sample[split][language] for _, words in mentions(sentence)]
        unseen = sum(not known.issuperset(words) for words in found)
        assert 0.3 < unseen / len(found) < 0.6


def test_english_says_the_same_in_several_orders_of_words(sample: Sample) -> None:
    """What kind of organisation it is stands first or last, and in German first."""
    kinds = {"en": {"University", "Bank", "Foundation", "Museum"}, "de": {"Universität", "Bank", "Stiftung", "Museum"}}
    for language, least, most in (("en", 0.4, 0.6), ("de", 1, 1)):
        told = [words for one in sample["train"][language] for kind, words in mentions(one) if kind == "ORG"]
        kinds_told = [words for words in told if kinds[language] & {words[0], words[-1]}]
        assert least <= sum(words[0] in kinds[language] for words in kinds_told) / len(kinds_told) <= most


def test_english_wordings_are_the_same_words() -> None:
    cells = read_cells(Path(ner.__file__).with_name("ner.tsv"))
    several = [cell["en"].replace("|", "").casefold().split(" / ") for cell in cells.values() if " / " in cell["en"]]
    assert len(several) > 10
    for wordings in several:
        assert len({tuple(sorted(wording.split())) for wording in wordings}) == 1, wordings
        assert len(set(wordings)) == len(wordings), wordings


def test_knowing_each_word_is_not_enough(sample: Sample) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sample["train"]["en"]:
        for word, tag in sentence:
            counts[word][tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    right = total = 0
    for sentence in sample["test"]["en"]:
        gold = spans([tag for _, tag in sentence])
        right += len(gold & spans([usual.get(word, "O") for word, _ in sentence]))
        total += len(gold)
    assert right / total < 0.5
