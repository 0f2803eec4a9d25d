"""The sample's lexicon: concepts in, sentences of one language out, all of it synthetic.

Words, truth conditions and sentence templates live in `lexicon.tsv`, one concept a row and one language a column; what
is said about whom is decided elsewhere. A `value` row is a fact about a person in one slot, of which only one holds at
a time; a row that lists values is a more general phrase, true of these; a `rewording` says a value in other words.
Inside a cell `[a|b]` is the form for a man or a woman, and `<a|b>` the form at the end of a sentence or before another
clause about the same person; `+` stands between words where no space is written. English has several wordings, ` / `
between them, in several orders of words, as verse has them: what is learned by one order of words is worth little where
another one holds. An empty cell is a phrase that no part of the sample says in that language.
"""

import csv
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("lexicon.tsv")
_GENDERED = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")
_JOINED = re.compile(r"<([^|>]*)\|([^|>]*)>")
_BETWEEN = "+"
_OR = " / "
_SEAM = re.compile(rf"\{{[^}}]*\}}|\{_BETWEEN}|{_OR}")
_PATTERNS = {(1, 1): "one", (1, 2): "two", (1, 3): "three", (2, 2): "both"}  # by number of persons and of clauses

SPACELESS = ("ja", "th", "zh")
"""Languages in which no space tells words apart."""


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
        self._marked = read_cells(path)
        self._cells = {
            key: {column: text.replace(_BETWEEN, "") for column, text in row.items()}
            for key, row in self._marked.items()
        }
        self.languages = tuple(self._cells["sentence", "one"])[3:]
        meanings = {key: row["meaning"] for key, row in self._cells.items()}
        self.genders = {concept: meaning for (group, concept), meaning in meanings.items() if group == "name"}
        self.slots = tuple(dict.fromkeys(group for (group, _), meaning in meanings.items() if meaning == "value"))
        reworded = {concept.partition(".")[0] for group, concept in self._cells if group == "rewording"}
        self.reworded_slots = tuple(slot for slot in self.slots if slot in reworded)
        self._statements = {slot: self._list_statements(slot) for slot in self.slots}

    def statements(self, slot: str) -> Sequence[Statement]:
        """List each value and each more general phrase of a slot, and their negations if its frame can be negated."""
        return self._statements[slot]

    def values(self, slot: str) -> Sequence[str]:
        """List the concepts of a slot of which only one holds at a time."""
        return [concept for (group, concept), row in self._cells.items() if group == slot and row["meaning"] == "value"]

    def name(self, language: str, *, concept: str) -> str:
        """Return a person's name in a language."""
        return self._cells["name", concept][language]

    def phrase(self, language: str, *, slot: str, concept: str, reworded: bool = False) -> str:
        """Return the phrase of a slot's concept, without its verb."""
        cell = self._cells["rewording", f"{slot}.{concept}"] if reworded else self._cells[slot, concept]
        return cell[language]

    def clause(
        self, language: str, *, slot: str, phrase: str, gender: str, negated: bool = False, wording: float = 0
    ) -> str:
        """Return a phrase of a slot as a predicate after its subject; how it is joined is left to the sentence."""
        frame = worded(self._cells["frame", f"{slot}.{'no' if negated else 'yes'}"][language], wording=wording)
        return inflect(frame.replace("{}", phrase), gender=gender)

    def sentence(
        self, language: str, *, persons: Sequence[str], gender: str, clauses: Sequence[str], pattern: str | None = None
    ) -> str:
        """Make a sentence out of one to three clauses about one person, or a clause about each of two.

        Persons are said already; the gender is the first one's.
        """
        cell = self._cells["sentence", pattern or _PATTERNS[len(persons), len(clauses)]][language]
        # Of two persons' clauses neither gets another form for its place, or the words alone would tell their order.
        num_joined = len(clauses) - len(persons)
        forms = [_JOINED.sub(r"\2" if place < num_joined else r"\1", clause) for place, clause in enumerate(clauses)]
        return inflect(cell, gender=gender).format(*forms, name=persons[0], other=persons[-1])

    def parts(self, language: str) -> set[str]:
        """Collect what sentences of a language are put together of: the text of its cells around fields and marks."""
        texts = {row[language] for row in self._marked.values()}
        for forms in (_GENDERED, _JOINED):
            texts = {forms.sub(form, text) for text in texts for form in (r"\1", r"\2")}
        return {part.strip() for text in texts for part in _SEAM.split(text)} - {""}

    def _list_statements(self, slot: str) -> tuple[Statement, ...]:
        meanings = {concept: row["meaning"] for (group, concept), row in self._cells.items() if group == slot}
        values = self.values(slot)
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


def read_cells(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Read a file of the sample's words: (group, concept) to its row, by column."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
        return {(row["group"], row["concept"]): row for row in rows}


def worded(cell: str, *, wording: float) -> str:
    """Choose one of a cell's wordings by a number from 0 to below 1, which is the same for all languages."""
    wordings = cell.split(_OR)
    return wordings[int(wording * len(wordings))]


def draw_wording(*said: object) -> float:
    """Draw the wording of what is said from that alone: the same number for all languages, and in every run."""
    return zlib.crc32(repr(said).encode()) % 1000 / 1000


def inflect(phrase: str, *, gender: str) -> str:
    """Choose the forms for a man (m) or a woman (f)."""
    return _GENDERED.sub(r"\1" if gender == "m" else r"\2", phrase)


LEXICON = Lexicon()
