"""Synthetic parallel NER in the XTREME layout of WikiANN (PAN-X): composes the sentences and writes the files.

Names and sentence templates live in `ner.tsv`, one concept a row and one language a column; an empty cell is said as in
English. The same name may be a person's, a place's or part of an organisation's, so context decides. A share of the
names is kept from the training split. English has several wordings, ` / ` between them: the same words in several
orders, as verse has them. Tags that are learned by one order are worth little where another one holds, and so are tags
that are learned by words which only English needs. Words are apart in every language, also where none writes a space;
WikiANN cuts Chinese, Japanese and Thai into characters instead. Reading such files, or anybody's, is not done here.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

from babelfit.sample.files import write_lines
from babelfit.sample.lexicon import LEXICON, inflect, read_cells, worded

NER_LANGUAGES = LEXICON.languages
NER_ROWS = {"train": 3000, "validation": 300, "test": 500}

_CELLS = read_cells(Path(__file__).with_name("ner.tsv"))
_UNSEEN = 1 / 3  # the share of the names of each kind that only validation and test have
_WITHOUT = 0.1  # the share of sentences without an entity
_OUTSIDE = "O"
_FIELD = re.compile(r"\{([^}]*)\}")
_SEAM = re.compile(r"\{[^}]*\}|[\s|·・]")
_TIME = "wake"  # the lexicon's slot for times of day

_FIELDS = {
    concept: tuple(_FIELD.findall(worded(cells["en"], wording=0)))
    for (group, concept), cells in _CELLS.items()
    if group == "sentence"
}
_ABOUT_NOTHING = tuple(concept for concept, fields in _FIELDS.items() if "noun" in fields)
_ABOUT_ENTITIES = tuple(concept for concept in _FIELDS if concept not in _ABOUT_NOTHING)

Names = Mapping[str, tuple[str, ...]]
"""The concepts of names by kind: given names for a man (m) and a woman (f), family, place, and both of the latter."""


@dataclass(frozen=True)
class _Entity:
    """A name of one type, made of one or more names' concepts in one of the type's forms."""

    label: str
    form: str
    names: tuple[str, ...]
    wording: float = field(compare=False)


@dataclass(frozen=True)
class Item:
    """A sentence: its template, what stands in each field in English order, and its person's gender."""

    template: str
    values: tuple[_Entity | str, ...]
    gender: str
    wording: float


def write_ner(folder: Path, *, seed: int = 0) -> None:
    """Write `panx/{train,dev,test}-{language}.tsv` under a folder: a word and its tag a line, sentences apart."""
    generator = random.Random(seed)
    names = all_names()
    seen = {kind: _kept(generator, concepts=concepts) for kind, concepts in names.items()}
    used: set[object] = set()
    for split, rows in NER_ROWS.items():
        items = [compose(generator, names=seen if split == "train" else names, used=used) for _ in range(rows)]
        for language in NER_LANGUAGES:
            lines = (line for item in items for line in _lines(item, language=language))
            write_lines(folder / "panx", split=split, language=language, lines=lines)


def all_names() -> Names:
    """List the concepts of all names by kind."""
    given = {kind: tuple(name for name, gender in LEXICON.genders.items() if gender == kind) for kind in ("m", "f")}
    others = {kind: tuple(c for group, c in _CELLS if group == kind) for kind in ("family", "place", "both")}
    return given | others


def parts(language: str) -> set[str]:
    """Collect the words that sentences of a language are put together of, names in full apart."""
    texts = {inflect(cells[language], gender=gender) for cells in _CELLS.values() for gender in ("m", "f")}
    return {part for text in texts for part in _SEAM.split(text)} - {""}


def _kept(generator: random.Random, *, concepts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(generator.sample(concepts, len(concepts) - round(len(concepts) * _UNSEEN)))


def compose(generator: random.Random, *, names: Names, used: set[object]) -> Item:
    """Draw a sentence that was never drawn before."""
    while True:
        template = generator.choice(_ABOUT_NOTHING if generator.random() < _WITHOUT else _ABOUT_ENTITIES)
        gender = generator.choice(("m", "f"))
        values = tuple(_value(generator, kind=kind, gender=gender, names=names) for kind in _FIELDS[template])
        # Some languages do not tell a man's sentence from a woman's.
        if (template, values) not in used and len(set(values)) == len(values):
            used.add((template, values))
            return Item(template, values, gender, generator.random())


def _value(generator: random.Random, *, kind: str, gender: str, names: Names) -> _Entity | str:
    """Draw what stands in a field of a template."""
    if kind == "time":
        return generator.choice([statement.concept for statement in LEXICON.statements(_TIME)])
    if kind in ("noun", "day"):
        return generator.choice([concept for group, concept in _CELLS if group == kind])
    # Where nothing around a name tells its type, the name must: no lone or ambiguous one.
    clear = kind == "ANY"
    label = generator.choice(("PER", "ORG", "LOC")) if clear else kind.removeprefix("the ")
    wording = generator.random()
    given, families, places = names[gender], names["family"] + names["both"], names["place"] + names["both"]
    if label == "LOC":
        return _Entity(label, "city", (generator.choice(names["place"] if clear else places),), wording)
    if label == "PER":
        form = generator.choices(("full", "middle", "one"), weights=(5, 2, 0 if clear else 3))[0]
        if form == "one":
            return _Entity(label, form, (generator.choice(given + families),), wording)
        firsts = generator.sample(given, 1 if form == "full" else 2)
        return _Entity(label, form, (*firsts, generator.choice(families)), wording)
    form = generator.choice([concept for group, concept in _CELLS if group == label])
    if form == "partners":
        return _Entity(label, form, tuple(generator.sample(families, 2)), wording)
    return _Entity(label, form, (generator.choice(families + names["place"]),), wording)


def say(item: Item, *, languages: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yield the words of a sentence with their tags; its template takes a language, and each of its fields the next."""
    for number, (word, tag) in enumerate(_words(item, languages=languages)):
        yield (word if number else word[:1].upper() + word[1:]), tag


def _lines(item: Item, *, language: str) -> Iterator[str]:
    yield from (f"{word}\t{tag}\n" for word, tag in say(item, languages=repeat(language)))
    yield "\n"


def _words(item: Item, *, languages: Iterator[str]) -> Iterator[tuple[str, str]]:
    own = next(languages)
    values: dict[str, list[_Entity | str]] = {}
    for kind, value in zip(_FIELDS[item.template], item.values, strict=True):
        values.setdefault(kind, []).append(value)
    template = worded(_cell("sentence", item.template, language=own), wording=item.wording)
    template = inflect(template, gender=item.gender)
    for number, part in enumerate(_FIELD.split(template)):
        if number % 2 == 0:
            yield from _tagged(part, label=None)
            continue
        value, language = values[part].pop(0), next(languages)
        if isinstance(value, _Entity):
            article, text = _say_entity(value, language=language)
            if part.startswith("the "):
                yield from _tagged(article, label=None)
            yield from _tagged(text, label=value.label)
        elif part == "time":
            yield from _tagged(LEXICON.phrase(language, slot=_TIME, concept=value), label=None)
        else:
            yield from _tagged(_cell(part, value, language=language), label=None)


def _say_entity(entity: _Entity, *, language: str) -> tuple[str, str]:
    """Return an entity in words: its article, which is not part of it, and its text."""
    names = [_say_name(name, language=language) for name in entity.names]
    cell = worded(_cell(entity.label, entity.form, language=language), wording=entity.wording)
    article, _, text = cell.rpartition("|")
    return article, text.format(*names)


def say_full_name(given: str, *, family: str, language: str) -> str:
    """Return a given name and a family name as one name."""
    return _say_entity(_Entity("PER", "full", (given, family), wording=0), language=language)[1]


def _say_name(name: str, *, language: str) -> str:
    if name in LEXICON.genders:
        return LEXICON.name(language, concept=name)
    group = next(kind for kind in ("family", "place", "both") if (kind, name) in _CELLS)
    return _cell(group, name, language=language)


def _tagged(text: str, *, label: str | None) -> Iterator[tuple[str, str]]:
    for number, word in enumerate(text.split()):
        yield word, _OUTSIDE if label is None else f"{'I' if number else 'B'}-{label}"


def _cell(group: str, concept: str, *, language: str) -> str:
    cells = _CELLS[group, concept]
    return cells[language] or cells["en"]
