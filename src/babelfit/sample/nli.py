"""Synthetic parallel NLI in the XTREME layout: composes the items and writes the files.

An item is composed of concepts once and then said in every language, so row i of every file of a split is the same.
Items come in blocks of nine: three premises by three hypotheses whose labels form a Latin square, so that neither a
premise nor a hypothesis tells the label by itself. Reading such files, or anybody's, is not done here.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babelfit.sample.files import write_lines
from babelfit.sample.lexicon import LEXICON, Statement, draw_wording

NLI_LANGUAGES = ("en", "fr", "es", "de", "el", "bg", "ru", "tr", "ar", "vi", "th", "zh", "hi", "sw", "ur")
NLI_ROWS = {"train": 4500, "validation": 306, "test": 504}

# One row a premise, one column a hypothesis: a premise tells two of the three things that hypotheses are about.
_LABELS = (
    ("entailment", "neutral", "contradiction"),
    ("neutral", "contradiction", "entailment"),
    ("contradiction", "entailment", "neutral"),
)
_BLOCK = 9
# Shares of hypotheses that name a value rather than something more general, and that are denied where their slot allows
# it: a repeated value means entailment, a denied one contradiction, a general phrase repeats nothing of the premise.
_EXACT = 0.6
_NEGATED = 0.5


@dataclass(frozen=True)
class _Premise:
    """Two facts about a person, each a slot and its value."""

    name: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Block:
    """Three premises and three hypotheses about one person, and the order in which their nine pairs are written."""

    name: str
    premises: tuple[_Premise, ...]
    hypotheses: tuple[Statement, ...]
    order: tuple[int, ...]


def write_nli(folder: Path, *, seed: int = 0) -> None:
    """Write `xnli/{train,dev,test}-{language}.tsv` under a folder: premise, hypothesis and label, no header.

    English puts the verb last in about half of its clauses.
    """
    generator = random.Random(seed)
    used: set[frozenset[object]] = set()
    for split, rows in NLI_ROWS.items():
        blocks = [_compose(generator, used=used) for _ in range(rows // _BLOCK)]
        for language in NLI_LANGUAGES:
            lines = (line for block in blocks for line in _say(block, language=language))
            write_lines(folder / "xnli", split=split, language=language, lines=lines)


def _compose(generator: random.Random, *, used: set[frozenset[object]]) -> _Block:
    """Draw a block whose premises were never drawn before, in either order of their facts."""
    while True:
        name = generator.choice(tuple(LEXICON.genders))
        hypotheses = tuple(_draw(generator, slot=slot) for slot in generator.sample(LEXICON.slots, 3))
        premises = tuple(_premise(generator, name=name, hypotheses=hypotheses, labels=row) for row in _LABELS)
        keys = {frozenset([premise.name, *premise.facts]) for premise in premises}
        if used.isdisjoint(keys):
            used.update(keys)
            return _Block(name, premises, hypotheses, tuple(generator.sample(range(_BLOCK), _BLOCK)))


def _draw(generator: random.Random, *, slot: str) -> Statement:
    """Draw what a hypothesis says in a slot."""
    statements = LEXICON.statements(slot)
    for wanted, share in (("exact", _EXACT), ("negated", _NEGATED)):
        having = generator.random() < share
        statements = [s for s in statements if getattr(s, wanted) == having] or statements
    return generator.choice(statements)


def _premise(
    generator: random.Random, *, name: str, hypotheses: tuple[Statement, ...], labels: tuple[str, ...]
) -> _Premise:
    """Draw facts that give each hypothesis its label."""
    facts = [
        (statement.slot, generator.choice(statement.true_of if label == "entailment" else statement.false_of))
        for statement, label in zip(hypotheses, labels, strict=True)
        if label != "neutral"
    ]
    generator.shuffle(facts)
    return _Premise(name, tuple(facts))


def _say(block: _Block, *, language: str) -> Iterator[str]:
    """Yield the nine lines of a block in one language."""
    name, gender = LEXICON.name(language, concept=block.name), LEXICON.genders[block.name]

    def clause(slot: str, concept: str, *, said: tuple[object, ...], negated: bool = False) -> str:
        phrase = LEXICON.phrase(language, slot=slot, concept=concept)
        wording = draw_wording(block.name, *said)
        return LEXICON.clause(language, slot=slot, phrase=phrase, gender=gender, negated=negated, wording=wording)

    def sentence(*clauses: str) -> str:
        return LEXICON.sentence(language, persons=[name], gender=gender, clauses=clauses)

    premises = [
        sentence(*(clause(slot, value, said=(slot, value, premise.facts)) for slot, value in premise.facts))
        for premise in block.premises
    ]
    hypotheses = [
        sentence(clause(one.slot, one.concept, said=(one, block.order), negated=one.negated))
        for one in block.hypotheses
    ]
    for index in block.order:
        row, column = divmod(index, len(hypotheses))
        yield f"{premises[row]}\t{hypotheses[column]}\t{_LABELS[row][column]}\n"
