"""Synthetic parallel paraphrases in the XTREME layout of PAWS-X: composes the items and writes the files.

Items come in blocks of four: two situations that share almost every word, each told twice in different ways, every
first telling beside every second. So neither sentence tells the label by itself, and which words a pair holds does not
either. Reading such files, or anybody's, is not done here.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babelfit.sample.files import write_lines
from babelfit.sample.lexicon import LEXICON

PARAPHRASE_LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
PARAPHRASE_ROWS = {"train": 4500, "validation": 300, "test": 500}

_BLOCK = 4
# The share of blocks whose situations differ in who does what; the others differ in one fact.
_EXCHANGED = 0.5


@dataclass(frozen=True)
class _Fact:
    """What is said of a person in one slot, and whether in other words than usual."""

    name: str
    slot: str
    concept: str
    reworded: bool = False


_Sentence = tuple[_Fact, ...]


@dataclass(frozen=True)
class _Block:
    """Two situations, each told in a first and in a second way, and the order in which the four pairs are written."""

    firsts: tuple[_Sentence, _Sentence]
    seconds: tuple[_Sentence, _Sentence]
    order: tuple[int, ...]


def write_paraphrase(folder: Path, *, seed: int = 0) -> None:
    """Write `pawsx/{train,dev,test}-{language}.tsv` under a folder: two sentences and 1 or 0, no header."""
    generator = random.Random(seed)
    used: set[frozenset[object]] = set()
    for split, rows in PARAPHRASE_ROWS.items():
        blocks = [_compose(generator, used=used) for _ in range(rows // _BLOCK)]
        for language in PARAPHRASE_LANGUAGES:
            lines = (line for block in blocks for line in _say(block, language=language))
            write_lines(folder / "pawsx", split=split, language=language, lines=lines)


def _compose(generator: random.Random, *, used: set[frozenset[object]]) -> _Block:
    """Draw a block of situations that were never drawn before, however they are told."""
    while True:
        draw = _exchange if generator.random() < _EXCHANGED else _reword
        firsts, seconds = draw(generator)
        keys = {frozenset((fact.name, fact.slot, fact.concept) for fact in sentence) for sentence in firsts}
        if used.isdisjoint(keys):
            used.update(keys)
            return _Block(firsts, seconds, tuple(generator.sample(range(_BLOCK), _BLOCK)))


def _exchange(generator: random.Random) -> tuple[tuple[_Sentence, _Sentence], tuple[_Sentence, _Sentence]]:
    """Draw two persons' facts and the same facts exchanged; the second telling turns the clauses around."""
    name, other = generator.sample(tuple(LEXICON.genders), 2)
    slots = generator.choices(LEXICON.slots, k=2)
    if slots[0] == slots[1]:
        concepts = generator.sample(LEXICON.values(slots[0]), 2)
    else:
        concepts = [generator.choice(LEXICON.values(slot)) for slot in slots]
    facts = list(zip(slots, concepts, strict=True))
    firsts = tuple((_Fact(name, *one), _Fact(other, *two)) for one, two in (facts, facts[::-1]))
    return (firsts[0], firsts[1]), (firsts[0][::-1], firsts[1][::-1])


def _reword(generator: random.Random) -> tuple[tuple[_Sentence, _Sentence], tuple[_Sentence, _Sentence]]:
    """Draw a person's two facts and another value for one of them, which one telling says in other words."""
    name = generator.choice(tuple(LEXICON.genders))
    slot = generator.choice(LEXICON.reworded_slots)
    kept_slot = generator.choice([other for other in LEXICON.slots if other != slot])
    kept = _Fact(name, kept_slot, generator.choice(LEXICON.values(kept_slot)))
    concepts = generator.sample(LEXICON.values(slot), 2)
    tellings = []
    for reworded in (False, True):
        step = generator.choice((1, -1))
        sentences = [(_Fact(name, slot, concept, reworded), kept)[::step] for concept in concepts]
        tellings.append((sentences[0], sentences[1]))
    generator.shuffle(tellings)
    return tellings[0], tellings[1]


def _say(block: _Block, *, language: str) -> Iterator[str]:
    """Yield the four lines of a block in one language."""
    firsts, seconds = (
        [_say_sentence(sentence, language=language) for sentence in sentences]
        for sentences in (block.firsts, block.seconds)
    )
    for index in block.order:
        row, column = divmod(index, len(seconds))
        yield f"{firsts[row]}\t{seconds[column]}\t{int(row == column)}\n"


def _say_sentence(sentence: _Sentence, *, language: str) -> str:
    clauses = [
        LEXICON.clause(
            language,
            slot=fact.slot,
            phrase=LEXICON.phrase(language, slot=fact.slot, concept=fact.concept, reworded=fact.reworded),
            gender=LEXICON.genders[fact.name],
        )
        for fact in sentence
    ]
    names = tuple(dict.fromkeys(fact.name for fact in sentence))
    persons = [LEXICON.name(language, concept=name) for name in names]
    return LEXICON.sentence(language, persons=persons, gender=LEXICON.genders[names[0]], clauses=clauses)
