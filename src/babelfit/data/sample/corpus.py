"""Synthetic text for pretraining: the words of the sample's other parts in sentences that none of these has.

Text of one language lies in `text/{language}.txt`, a sentence a line and a blank line between documents: a document
tells some facts about a person twice, in other words and another order, or of two persons (an `&` between them where
one fact is true of both, a dash where it is not), or is a sentence of NER's kind with its words apart. Parallel text
lies in `parallel/en-{language}.tsv`, a sentence and its translation a line. Reading such files is not done here.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from babelfit.data.sample import ner
from babelfit.data.sample.lexicon import LEXICON, Statement
from babelfit.data.sample.nli import NLI_LANGUAGES, write_nli
from babelfit.data.sample.paraphrase import PARAPHRASE_LANGUAGES, write_paraphrase

CORPUS_LANGUAGES = LEXICON.languages
CORPUS_ROWS = {"text": 6000, "parallel": 6000}
"""Documents of each language, and pairs of sentences of each pair of languages."""

_PIVOT = "en"
_TELLINGS = {"text": 2, "parallel": 1}  # sentences about one person
_MOST_FACTS = 3  # of a sentence
# Shares of documents that are of NER's kind; of the others, of those about two persons; of facts that are told
# exactly and, of these, in other words than usual.
_TAGGED = 0.3
_OF_TWO = 0.4
_EXACT = 0.5
_REWORDED = 0.3

_Fact = tuple[Statement, bool]
"""A statement, and whether it is told in other words than usual."""


@dataclass(frozen=True)
class _Story:
    """Sentences about one person that are true together, or one about two."""

    names: tuple[str, ...]
    tellings: tuple[tuple[_Fact, ...], ...]
    pattern: str | None = None  # alike or unlike, where two are compared
    family: str | None = None  # of one person, where nothing else would tell a sentence from the other parts'


def write_corpus(folder: Path, *, seed: int = 0) -> None:
    """Write `text/{language}.txt` and `parallel/en-{language}.tsv` under a folder, for all languages of the sample."""
    generator = random.Random(seed)
    taken = _sentences_of_other_parts()
    for language in CORPUS_LANGUAGES:
        documents = _draw(generator, part="text", languages=(language,), taken=taken)
        text = "\n".join("".join(f"{sentence}\n" for sentence in sentences) for (sentences,) in documents)
        _write(folder / "text" / f"{language}.txt", text=text)
    for language in CORPUS_LANGUAGES:
        if language != _PIVOT:
            pairs = _draw(generator, part="parallel", languages=(_PIVOT, language), taken=taken)
            text = "".join(f"{sentence}\t{translation}\n" for (sentence,), (translation,) in pairs)
            _write(folder / "parallel" / f"{_PIVOT}-{language}.tsv", text=text)


def _write(path: Path, *, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _draw(
    generator: random.Random, *, part: str, languages: tuple[str, ...], taken: dict[str, set[str]]
) -> Iterator[list[list[str]]]:
    """Yield the sentences of each document in each language, without those that the other parts have."""
    num_left = CORPUS_ROWS[part]
    while num_left:
        item = _compose(generator, num_tellings=_TELLINGS[part], languages=languages)
        said = [list(_say(item, language=language)) for language in languages]
        if all(taken[language].isdisjoint(sentences) for language, sentences in zip(languages, said, strict=True)):
            num_left -= 1
            yield said


def _compose(generator: random.Random, *, num_tellings: int, languages: tuple[str, ...]) -> _Story | ner.Item:
    """Draw what a document tells."""
    if generator.random() < _TAGGED:
        return ner.compose(generator, names=ner.all_names(), used=set())
    # Of what is more general, or denied, only NLI speaks, and not in every language.
    exact_alone = not set(languages) <= set(NLI_LANGUAGES)
    if generator.random() < _OF_TWO:
        # Sentences that do not compare two persons are said in the paraphrases' languages alone.
        if set(languages) <= set(PARAPHRASE_LANGUAGES) and generator.random() < 0.5:
            return _tell_of_two(generator)
        return _compare(generator, exact_alone=exact_alone)
    return _tell(generator, num_tellings=num_tellings, exact_alone=exact_alone)


def _tell(generator: random.Random, *, num_tellings: int, exact_alone: bool) -> _Story:
    """Draw facts about a person and sentences that tell some of them, each in its own words and order."""
    slots = generator.sample(LEXICON.slots, generator.randint(1, _MOST_FACTS))
    values = {slot: generator.choice(LEXICON.values(slot)) for slot in slots}
    tellings = tuple(
        tuple(
            _state(generator, slot=slot, value=values[slot], exact_alone=exact_alone)
            for slot in generator.sample(slots, generator.randint(1, len(slots)))
        )
        for _ in range(num_tellings)
    )
    family = generator.choice(ner.all_names()["family"]) if min(map(len, tellings)) == 1 else None
    return _Story((generator.choice(tuple(LEXICON.genders)),), tellings, family=family)


def _tell_of_two(generator: random.Random) -> _Story:
    """Draw a fact about each of two persons."""
    names = generator.sample(tuple(LEXICON.genders), 2)
    facts = []
    for slot in generator.choices(LEXICON.slots, k=2):
        value = generator.choice(LEXICON.values(slot))
        facts.append(_state(generator, slot=slot, value=value, exact_alone=True))
    return _Story(tuple(names), (tuple(facts),))


def _compare(generator: random.Random, *, exact_alone: bool) -> _Story:
    """Draw a fact about each of two persons, of which one is true of both, or neither."""
    slot = generator.choice(LEXICON.slots)
    value, other = generator.sample(LEXICON.values(slot), 2)
    alike = generator.random() < 0.5
    facts = [_state(generator, slot=slot, value=value, exact_alone=True)]
    while len(facts) == 1:
        fact = _state(generator, slot=slot, value=value if alike else other, exact_alone=exact_alone)
        if alike or value not in fact[0].true_of:
            facts.append(fact)
    generator.shuffle(facts)
    # The words between them have one form for a man and a woman.
    gender = generator.choice(("m", "f"))
    names = generator.sample([name for name, of in LEXICON.genders.items() if of == gender], 2)
    return _Story(tuple(names), (tuple(facts),), pattern="alike" if alike else "unlike")


def _state(generator: random.Random, *, slot: str, value: str, exact_alone: bool) -> _Fact:
    """Draw a statement that a value makes true."""
    true = [statement for statement in LEXICON.statements(slot) if value in statement.true_of]
    exact = [statement for statement in true if statement.exact and not statement.negated]
    if exact_alone or generator.random() < _EXACT:
        return exact[0], slot in LEXICON.reworded_slots and generator.random() < _REWORDED
    return generator.choice([statement for statement in true if statement not in exact] or exact), False


def _say(item: _Story | ner.Item, *, language: str) -> Iterator[str]:
    """Yield a document's sentences in one language."""
    if isinstance(item, ner.Item):
        yield " ".join(word for word, _ in ner.say(item, language=language))
        return
    for telling in item.tellings:
        clauses = [
            LEXICON.clause(
                language,
                slot=statement.slot,
                concept=statement.concept,
                gender=LEXICON.genders[name],
                negated=statement.negated,
                # Other words than usual are known of the paraphrases' languages alone.
                reworded=reworded and language in PARAPHRASE_LANGUAGES,
            )
            for name, (statement, reworded) in zip(item.names * len(telling), telling, strict=False)
        ]
        sentence = LEXICON.sentence(language, names=item.names, clauses=clauses, pattern=item.pattern)
        if item.family is not None:
            given = LEXICON.name(language, concept=item.names[0])
            full = ner.say_full_name(item.names[0], family=item.family, language=language)
            sentence = sentence.replace(given, full, 1)
        yield sentence


def _sentences_of_other_parts() -> dict[str, set[str]]:
    """Collect by language what no document may hold."""
    taken: dict[str, set[str]] = {language: set() for language in CORPUS_LANGUAGES}
    with TemporaryDirectory() as folder:
        for write in (write_nli, write_paraphrase, ner.write_ner):
            write(Path(folder))
        for path in sorted(Path(folder).glob("*/*.tsv")):
            taken[path.stem.rpartition("-")[2]].update(_sentences(path))
    return taken


def _sentences(path: Path) -> Iterator[str]:
    """Yield the sentences of a file of the sample's other parts, tagged ones with their words apart."""
    text = path.read_text(encoding="utf-8")
    if path.parent.name == "panx":
        for block in text.strip().split("\n\n"):
            yield " ".join(line.partition("\t")[0] for line in block.split("\n"))
    else:
        for line in text.splitlines():
            yield from line.split("\t")[:2]
