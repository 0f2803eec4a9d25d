"""Synthetic text for pretraining: the words of the sample's other parts in sentences that none of these has.

Text of one language lies in `text/{language}.txt`, a sentence a line and a blank line between documents: a document
tells some facts about one or two persons twice, in other words and another order, or compares two (an `&` between them
where one fact is true of both, a dash where it is not), or is a sentence of NER's kind with its words apart. English
has the verb last in half of its clauses, as some of the other languages have it. In half of the documents parts are
said in English, and in English ones in some other language, each with even chances: text mixed like this brings
languages together (Yang et al. 2020, alternating language modeling). Parallel text lies in
`parallel/en-{language}.tsv`, a sentence and its translation a line. Reading such files is not done here.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

from babelfit.sample import ner
from babelfit.sample.labelled import read_sentences, write_labelled
from babelfit.sample.lexicon import LEXICON, Statement
from babelfit.sample.nli import NLI_LANGUAGES
from babelfit.sample.paraphrase import PARAPHRASE_LANGUAGES

CORPUS_LANGUAGES = LEXICON.languages
CORPUS_ROWS = {"text": 6000, "parallel": 6000}
"""Documents of each language, and pairs of sentences of each pair of languages."""

_PIVOT = "en"
_MARK = re.compile(r" ([.,])")  # behind a foreign part
_MOST_FACTS = 3  # of a sentence
# Shares of documents of two languages, and of parts of these that are in the other one.
_MIXED = 0.5
_FOREIGN = 0.5
# Shares of documents that are of NER's kind; of the others, of those about two persons; of facts that are told
# exactly and, of these, in other words than usual.
_TAGGED = 0.3
_OF_TWO = 0.4
_EXACT = 0.5
_REWORDED = 0.3


@dataclass(frozen=True)
class _Fact:
    """What is said of a person, whether in other words than usual, and in which order of words."""

    name: str
    statement: Statement
    is_reworded: bool
    wording: float


@dataclass(frozen=True)
class _Story:
    """Sentences about one or two persons that are true together, each of some facts."""

    tellings: tuple[tuple[_Fact, ...], ...]
    pattern: str | None = None  # alike or unlike, where two are compared
    family: str | None = None  # of one person, where nothing else would tell a sentence from the other parts'


def write_corpus(folder: Path, *, seed: int = 0) -> None:
    """Write `text/{language}.txt` and `parallel/en-{language}.tsv` under a folder, for all languages of the sample."""
    generator = random.Random(seed)
    taken = _sentences_of_labelled_parts()
    for language in CORPUS_LANGUAGES:
        documents = islice(_documents(generator, language=language, taken=taken), CORPUS_ROWS["text"])
        text = "\n".join("".join(f"{sentence}\n" for sentence in sentences) for sentences in documents)
        _write(folder / "text" / f"{language}.txt", text=text)
    for language in CORPUS_LANGUAGES:
        if language != _PIVOT:
            pairs = islice(_pairs(generator, language=language, taken=taken), CORPUS_ROWS["parallel"])
            text = "".join(f"{sentence}\t{translation}\n" for sentence, translation in pairs)
            _write(folder / "parallel" / f"{_PIVOT}-{language}.tsv", text=text)


def _write(path: Path, *, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _documents(generator: random.Random, *, language: str, taken: set[str]) -> Iterator[list[str]]:
    """Yield documents of one language, some of them mixed with another, without sentences of the other parts."""
    others = [other for other in CORPUS_LANGUAGES if other != language] if language == _PIVOT else [_PIVOT]
    while True:
        mixed = [generator.choice(others)] if generator.random() < _MIXED else []
        item = _compose(generator, num_tellings=2, languages=(language, *mixed))
        languages = _drawn(generator, language, *mixed) if mixed else repeat(language)
        sentences = list(_say(item, languages=languages))
        if taken.isdisjoint(map(_words_of, sentences)):
            yield sentences


def _drawn(generator: random.Random, own: str, other: str) -> Iterator[str]:
    while True:
        yield other if generator.random() < _FOREIGN else own


def _pairs(generator: random.Random, *, language: str, taken: set[str]) -> Iterator[list[str]]:
    """Yield English sentences and their translations, without those of the other parts."""
    while True:
        item = _compose(generator, num_tellings=1, languages=(_PIVOT, language))
        pair = [sentence for one in (_PIVOT, language) for sentence in _say(item, languages=repeat(one))]
        if taken.isdisjoint(map(_words_of, pair)):
            yield pair


def _compose(generator: random.Random, *, num_tellings: int, languages: tuple[str, ...]) -> _Story | ner.Item:
    """Draw what a document tells."""
    if generator.random() < _TAGGED:
        return ner.compose(generator, names=ner.all_names(), used=set())
    # Of what is more general, or denied, only NLI speaks, and not in every language.
    exact_alone = not set(languages) <= set(NLI_LANGUAGES)
    if generator.random() < _OF_TWO:
        # Sentences that do not compare two persons are said in the paraphrases' languages alone.
        if set(languages) <= set(PARAPHRASE_LANGUAGES) and generator.random() < 0.5:
            return _tell_of_two(generator, num_tellings=num_tellings)
        return _compare(generator, exact_alone=exact_alone)
    return _tell(generator, num_tellings=num_tellings, exact_alone=exact_alone)


def _tell(generator: random.Random, *, num_tellings: int, exact_alone: bool) -> _Story:
    """Draw facts about a person and sentences that tell some of them, each in its own words and order."""
    name = generator.choice(tuple(LEXICON.genders))
    slots = generator.sample(LEXICON.slots, generator.randint(1, _MOST_FACTS))
    values = {slot: generator.choice(LEXICON.values(slot)) for slot in slots}
    tellings = tuple(
        tuple(
            _state(generator, name=name, slot=slot, value=values[slot], exact_alone=exact_alone)
            for slot in generator.sample(slots, generator.randint(1, len(slots)))
        )
        for _ in range(num_tellings)
    )
    family = generator.choice(ner.all_names()["family"]) if min(map(len, tellings)) == 1 else None
    return _Story(tellings, family=family)


def _tell_of_two(generator: random.Random, *, num_tellings: int) -> _Story:
    """Draw a fact about each of two persons and sentences that tell both, each in its own words and order."""
    names = generator.sample(tuple(LEXICON.genders), 2)
    slots = generator.choices(LEXICON.slots, k=2)
    facts = [(name, slot, generator.choice(LEXICON.values(slot))) for name, slot in zip(names, slots, strict=True)]
    tellings = tuple(
        tuple(
            _state(generator, name=name, slot=slot, value=value, exact_alone=True)
            for name, slot, value in generator.sample(facts, 2)
        )
        for _ in range(num_tellings)
    )
    return _Story(tellings)


def _compare(generator: random.Random, *, exact_alone: bool) -> _Story:
    """Draw a fact about each of two persons, of which one is true of both, or neither."""
    # The words between them have one form for a man and a woman.
    gender = generator.choice(("m", "f"))
    name, other_name = generator.sample([name for name, of in LEXICON.genders.items() if of == gender], 2)
    slot = generator.choice(LEXICON.slots)
    value, other = generator.sample(LEXICON.values(slot), 2)
    alike = generator.random() < 0.5
    facts = [_state(generator, name=name, slot=slot, value=value, exact_alone=True)]
    while len(facts) == 1:
        of_other = value if alike else other
        fact = _state(generator, name=other_name, slot=slot, value=of_other, exact_alone=exact_alone)
        if alike or value not in fact.statement.true_of:
            facts.append(fact)
    generator.shuffle(facts)
    return _Story((tuple(facts),), pattern="alike" if alike else "unlike")


def _state(generator: random.Random, *, name: str, slot: str, value: str, exact_alone: bool) -> _Fact:
    """Draw a statement that a value makes true."""
    true = [statement for statement in LEXICON.statements(slot) if value in statement.true_of]
    exact = [statement for statement in true if statement.exact and not statement.negated]
    wording = generator.random()
    if exact_alone or generator.random() < _EXACT:
        is_reworded = slot in LEXICON.reworded_slots and generator.random() < _REWORDED
        return _Fact(name, exact[0], is_reworded, wording)
    statement = generator.choice([statement for statement in true if statement not in exact] or exact)
    return _Fact(name, statement, False, wording)


def _say(item: _Story | ner.Item, *, languages: Iterator[str]) -> Iterator[str]:
    """Yield a document's sentences; each of their parts takes the next of the languages."""
    if isinstance(item, ner.Item):
        yield " ".join(word for word, _ in ner.say(item, languages=languages))
        return
    for facts in item.tellings:
        own = next(languages)
        clauses = [_say_fact(fact, languages=languages, within=own) for fact in facts]
        persons = []
        for name in dict.fromkeys(fact.name for fact in facts):
            language = next(languages)
            said = (
                LEXICON.name(language, concept=name)
                if item.family is None
                else ner.say_full_name(name, family=item.family, language=language)
            )
            persons.append(_fitted(said, language=language, within=own))
        gender = LEXICON.genders[facts[0].name]
        sentence = LEXICON.sentence(own, persons=persons, gender=gender, clauses=clauses, pattern=item.pattern)
        yield _MARK.sub(r"\1", " ".join(sentence.split()))


def _say_fact(fact: _Fact, *, languages: Iterator[str], within: str) -> str:
    """Return a clause of a sentence, its frame and its phrase in the next two languages."""
    own, language = next(languages), next(languages)
    statement, gender = fact.statement, LEXICON.genders[fact.name]
    # Other words than usual are known of the paraphrases' languages alone.
    is_reworded = fact.is_reworded and language in PARAPHRASE_LANGUAGES
    phrase = LEXICON.phrase(language, slot=statement.slot, concept=statement.concept, reworded=is_reworded)
    fitted = _fitted(phrase, language=language, within=own)
    clause = LEXICON.clause(
        own, slot=statement.slot, phrase=fitted, gender=gender, negated=statement.negated, wording=fact.wording
    )
    return _fitted(clause, language=own, within=within)


def _fitted(text: str, *, language: str, within: str) -> str:
    """Put spaces around text in another language than what it stands in."""
    return text if language == within else f" {text} "


def _sentences_of_labelled_parts() -> set[str]:
    """Collect what no document may hold: the words of the labelled parts' sentences, in whatever order."""
    with TemporaryDirectory() as folder:
        write_labelled(Path(folder))
        files = sorted(Path(folder).glob("*/*.tsv"))
        return {_words_of(sentence) for path in files for sentence in read_sentences(path)}


def _words_of(sentence: str) -> str:
    """Bring a sentence's words, where spaces tell them apart, into one order: told in another, they tell the same."""
    return " ".join(sorted(sentence.replace(".", " ").split()))
