"""The sample's text for pretraining keeps its promises; what a model learns of it is not tested."""

import re
from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from babelfit.mini import make
from babelfit.sample import (
    CORPUS_LANGUAGES,
    NER_LANGUAGES,
    NLI_LANGUAGES,
    PARAPHRASE_LANGUAGES,
    corpus,
    write_corpus,
)
from babelfit.sample.lexicon import LEXICON

ROWS = {"text": 1500, "parallel": 500}  # fewer, for time
OTHERS = [language for language in CORPUS_LANGUAGES if language != "en"]
NOT_LATIN = ["el", "bg", "ru", "ar", "hi", "ur", "ko", "ja", "zh", "th"]
LATIN = re.compile("[A-Za-z]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "CORPUS_ROWS", ROWS)
        write_corpus(path)
    return path


@pytest.fixture(scope="module")
def sample(labelled_sample: Path) -> Path:
    return labelled_sample


def documents(folder: Path, language: str) -> list[list[str]]:
    text = (folder / "text" / f"{language}.txt").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [document.split("\n") for document in text[:-1].split("\n\n")]


def pairs(folder: Path, language: str) -> list[list[str]]:
    text = (folder / "parallel" / f"en-{language}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return [line.split("\t") for line in text[:-1].split("\n")]


def sentences(folder: Path, language: str) -> set[str]:
    told = {sentence for document in documents(folder, language) for sentence in document}
    for other in OTHERS if language == "en" else [language]:
        told |= {pair[language != "en"] for pair in pairs(folder, other)}
    return told


def sample_sentences(sample: Path, language: str) -> set[str]:
    """Read the sentences of all splits of the labelled parts, tagged ones with their words apart."""
    found: set[str] = set()
    for path in [*sample.glob(f"xnli/*-{language}.tsv"), *sample.glob(f"pawsx/*-{language}.tsv")]:
        found.update(sentence for line in path.read_text("utf-8").splitlines() for sentence in line.split("\t")[:2])
    for path in sample.glob(f"panx/*-{language}.tsv"):
        for block in path.read_text("utf-8").strip().split("\n\n"):
            found.add(" ".join(line.split("\t")[0] for line in block.split("\n")))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.glob("*/*"))}


def test_the_seed_alone_decides_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "CORPUS_ROWS", {"text": 40, "parallel": 40})
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        write_corpus(tmp_path / name, seed=seed)
    assert contents(tmp_path / "again") == contents(tmp_path / "one")
    assert contents(tmp_path / "other").keys() == contents(tmp_path / "one").keys()
    assert contents(tmp_path / "other") != contents(tmp_path / "one")


def test_every_language_of_the_sample_has_text_and_pairs_with_english(folder: Path) -> None:
    assert set(CORPUS_LANGUAGES) == {*NLI_LANGUAGES, *PARAPHRASE_LANGUAGES, *NER_LANGUAGES}
    expected = {*(f"text/{one}.txt" for one in CORPUS_LANGUAGES), *(f"parallel/en-{one}.tsv" for one in OTHERS)}
    assert set(contents(folder)) == expected
    for language in CORPUS_LANGUAGES:
        found = documents(folder, language)
        assert len(found) == ROWS["text"]
        assert all(sentence == sentence.strip() != "" for document in found for sentence in document)
        assert {len(document) for document in found} == {1, 2}
    for language in OTHERS:
        found = pairs(folder, language)
        assert len(found) == ROWS["parallel"]
        assert all(len(pair) == 2 and all(pair) for pair in found)


@pytest.mark.parametrize("language", CORPUS_LANGUAGES)
def test_no_sentence_is_of_the_labelled_parts(folder: Path, sample: Path, language: str) -> None:
    assert len(sample_sentences(sample, language)) > 1000
    # Nor of those in another language, which a mixed document may happen to hold.
    assert (
        set()
        .union(*(sample_sentences(sample, one) for one in CORPUS_LANGUAGES))
        .isdisjoint(sentences(folder, language))
    )


def test_english_says_half_of_it_with_the_verb_last_and_nothing_that_a_row_says_otherwise(
    folder: Path, sample: Path
) -> None:
    told = sentences(folder, "en")
    homes = [sentence for sentence in told if " lives" in sentence and not sentence.endswith(" .")]  # not of NER's kind
    assert 0.4 < sum(" lives in " in sentence for sentence in homes) / len(homes) < 0.7  # at times of both persons

    def words(sentence: str) -> tuple[str, ...]:
        return tuple(sorted(sentence.replace(".", " ").split()))

    assert {words(sentence) for sentence in sample_sentences(sample, "en")}.isdisjoint(map(words, told))


@pytest.mark.parametrize("language", NOT_LATIN)
def test_half_of_the_documents_have_parts_in_english_with_spaces_around(folder: Path, language: str) -> None:
    mixed = [document for document in documents(folder, language) if LATIN.search("".join(document))]
    assert 0.4 < len(mixed) / ROWS["text"] < 0.55
    # Of every kind: parts of two tellings of one person, of comparisons, and of tagged sentences.
    assert {len(document) for document in mixed} == {1, 2}
    texts = [sentence for document in documents(folder, language) for sentence in document]
    assert not any(re.search(r"[A-Za-z](?![A-Za-z])\w|(?![A-Za-z0-9])\w[A-Za-z]", text) for text in texts)
    assert not any(LATIN.search(pair[1]) for pair in pairs(folder, language))


def test_half_of_the_english_documents_have_parts_in_one_other_language(folder: Path) -> None:
    found = documents(folder, "en")
    scripts = {"Cyrillic": "[а-я]", "Arabic": "[ء-ي]", "Hangul": "[가-힣]", "Thai": "[ก-๙]", "Greek": "[α-ω]"}
    of = {name: {row for row, told in enumerate(found) if re.search(letters, "".join(told))}
          for name, letters in scripts.items()}  # fmt: skip
    # Two of the sixteen other languages are written in each of the first two, one in each other.
    for name, expected in (("Cyrillic", 2), ("Arabic", 2), ("Hangul", 1), ("Thai", 1), ("Greek", 1)):
        assert 0.6 < len(of[name]) / (ROWS["text"] * expected / 16 / 2) < 1.1, name
    assert sum(map(len, of.values())) == len(set().union(*of.values()))


def test_two_persons_are_told_of_twice_in_the_languages_of_paraphrases(folder: Path) -> None:
    for language, number in (("en", 100), ("de", 190), ("ru", 0)):
        names = {LEXICON.name(language, concept=concept) for concept in LEXICON.genders}
        told = [
            [tuple(word for word in re.findall(r"\w+", sentence) if word in names) for sentence in document]
            for document in documents(folder, language)
            if len(document) == 2
        ]
        both = [(first, second) for first, second in told if len(first) == 2 and set(first) == set(second)]
        assert len(both) >= number
        assert len({first == second for first, second in both}) == (2 if number else 0)


@pytest.mark.parametrize("language", CORPUS_LANGUAGES)
def test_it_has_the_words_of_the_labelled_parts_and_none_that_the_tokenizer_lacks(
    folder: Path, sample: Path, language: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make.FOLDER)
    met, wanted = (
        Counter(piece for ids in tokenizer(sorted(texts), add_special_tokens=False).input_ids for piece in ids)
        for texts in (sentences(folder, language), sample_sentences(sample, language))
    )
    assert tokenizer.unk_token_id not in met
    assert sum(count for piece, count in wanted.items() if piece not in met) / wanted.total() < 0.01


@pytest.mark.parametrize("language", ["fr", "es", "ru", "ar", "th", "hi", "sw", "zh", "ja", "ko"])
def test_pairs_are_translations(folder: Path, language: str) -> None:
    """Who eats what is the same on both sides."""
    told_of = [("food", concept) for concept in LEXICON.values("food")]
    told_of += [("name", concept) for concept in LEXICON.genders]
    words = {key: [LEXICON.phrase(one, slot=key[0], concept=key[1]) for one in ("en", language)] for key in told_of}
    about_food = [pair for pair in pairs(folder, language) if "eats" in pair[0]]
    assert len(about_food) > 30
    for pair in about_food:
        told = [{key for key, forms in words.items() if forms[side] in pair[side]} for side in (0, 1)]
        assert told[0] == told[1], pair
