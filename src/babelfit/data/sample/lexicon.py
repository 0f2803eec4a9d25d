"""The sample's lexicon: concepts in, sentences of one language out, all of it synthetic.

Words, truth conditions and sentence templates live in `lexicon.tsv`, one concept a row and one language a column; what
is said about whom is decided elsewhere. A `value` row is a fact about a person in one slot, of which only one holds at
a time; a row that lists values is a more general phrase, true of these. Inside a cell `[a|b]` is the form for a man or
a woman.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("lexicon.tsv")
_GENDERED = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")
_PATTERNS = {1: "one", 2: "two"}


@dataclass(frozen=True)
class Statement:
    """What can be said of a person in one slot, and the slot's values that make it true or false."""

    slot: str
    concept: str
    exact: bool
    negated: bool
    true_of: tuple[str, ...]
    false_of: tuple[str, ...]


class Lexicon:
    """All phrases of all languages, with what they mean."""

    def __init__(self, path: Path = _FILE) -> None:
        """Read a lexicon file: columns group, concept, meaning, then one per language."""
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True))
        self.languages = tuple(rows[0])[3:]
        self.genders = {row["concept"]: row["meaning"] for row in rows if row["group"] == "name"}
        self.slots = tuple(dict.fromkeys(row["group"] for row in rows if row["meaning"] == "value"))
        self._cells = {(row["group"], row["concept"]): row for row in rows}
        self._statements = {slot: self._list_statements(slot) for slot in self.slots}

    def statements(self, slot: str) -> Sequence[Statement]:
        """List each value and each more general phrase of a slot, and their negations if its frame can be negated."""
        return self._statements[slot]

    def clause(self, language: str, *, slot: str, concept: str, gender: str, negated: bool = False) -> str:
        """Say a concept of a slot as a predicate that follows its subject."""
        frame = self._cells["frame", f"{slot}.{'no' if negated else 'yes'}"][language]
        return _inflect(frame.replace("{}", self._cells[slot, concept][language]), gender=gender)

    def sentence(self, language: str, *, name: str, clauses: Sequence[str]) -> str:
        """Make a sentence about a named person out of one or two clauses."""
        template = _inflect(self._cells["sentence", _PATTERNS[len(clauses)]][language], gender=self.genders[name])
        return template.format(*clauses, name=self._cells["name", name][language])

    def _list_statements(self, slot: str) -> tuple[Statement, ...]:
        meanings = {concept: row["meaning"] for (group, concept), row in self._cells.items() if group == slot}
        values = tuple(concept for concept, meaning in meanings.items() if meaning == "value")
        negatable = ("frame", f"{slot}.no") in self._cells
        statements = []
        for concept, meaning in meanings.items():
            exact = meaning == "value"
            covered = (concept,) if exact else tuple(meaning.split())
            others = tuple(value for value in values if value not in covered)
            statements.append(Statement(slot, concept, exact, False, covered, others))
            if negatable:
                statements.append(Statement(slot, concept, exact, True, others, covered))
        return tuple(statements)


def _inflect(phrase: str, *, gender: str) -> str:
    return _GENDERED.sub(r"\1" if gender == "m" else r"\2", phrase)
