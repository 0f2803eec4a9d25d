"""Read the files of multilingual datasets: their rows as they came, or an error with file, line and what was expected.

A table has text columns and "label" (a label's name, or a number; null without gold), or for tagging "words" and "tags"
(lists of strings, tags null without gold). Not for finding files, and not for tokens or label ids.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from babelfit.errors import UserError

LABEL = "label"
LANGUAGE = "language"
WORDS = "words"
TAGS = "tags"

TAGGED = pa.schema([pa.field(WORDS, pa.list_(pa.string())), pa.field(TAGS, pa.list_(pa.string()))])


def lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield (number from 1, text) of each line. Only "\n" ends a line: "\x85" or U+2028 inside one are text."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                # The error's own bytes: they lack the byte order mark that `start` does not count.
                byte = error.object[error.start]
                what = f"byte {byte:#04x} at position {error.start} is not UTF-8; expected a UTF-8 text file"
                raise _wrong(path, number=number, line=raw.decode(errors="replace"), what=what) from error
            yield number, text.removesuffix("\n").removesuffix("\r")


def read_tsv(
    path: Path, *, language: str, columns: Mapping[str, Sequence[str]], spellings: Mapping[str, str | None] | None
) -> pa.Table:
    """Return tab-separated rows, in which quotes are text; raise UserError with the line number.

    `columns` gives each column's names in headers, in the order of a file without header, "label" last. A file may lack
    the label in all rows. A header's "language" column selects rows. `spellings` maps what a label field may hold to
    the label's name (None: no gold); without spellings it holds a number, or nothing where there is no gold.
    """
    values: dict[str, list[Any]] = {column: [] for column in columns}
    places: dict[str, int] = {}
    width = blank = 0
    for number, line in lines(path):
        if not line:
            blank = blank or number
            continue
        if blank:
            raise _wrong(path, number=blank, line="", what="empty line; expected one only at the end of the file")
        fields = line.split("\t")
        if not places:
            places, is_header = _places(fields, columns=columns)
            width = len(fields)
            if is_header:
                continue
        if len(fields) != width or not places:
            expected = f"{width}, as in the first line" if places else f"{' TAB '.join(columns)}, or a header"
            what = f"found {len(fields)} tab-separated fields; expected {expected}"
            raise _wrong(path, number=number, line=line, what=what)
        if LANGUAGE in places and fields[places[LANGUAGE]] != language:
            continue
        for column, column_values in values.items():
            value: Any = fields[places[column]] if column in places else None
            if column == LABEL:
                try:
                    value = None if value is None else _gold(value, spellings)
                except ValueError as error:
                    raise _wrong(path, number=number, line=line, what=str(error)) from error
            elif value is None or not value or value.isspace():
                raise _wrong(path, number=number, line=line, what=f"empty {column}; expected text")
            column_values.append(value)
    kinds = dict.fromkeys(values, pa.string()) | ({LABEL: pa.float64()} if spellings is None else {})
    return pa.table({column: pa.array(column_values, kinds[column]) for column, column_values in values.items()})


def _gold(value: str, spellings: Mapping[str, str | None] | None) -> str | float | None:
    """Return the label, or the number, that a field stands for; raise ValueError for another."""
    if spellings is None:
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"{value!r} is not a number; expected one, or nothing where there is no gold")
        return number
    if value not in spellings:
        allowed = [f"'{key}' (= {name})" if key != name else f"'{key}'" for key, name in spellings.items()]
        raise ValueError(f"unknown label {value!r}; expected {', '.join(allowed)}")
    return spellings[value]


def read_translations(
    path: Path, *, language: str, columns: Mapping[str, Sequence[str]], spellings: Mapping[str, str | None]
) -> pa.Table:
    """Read tab-separated rows in which each original stands before its translation, and keep the translation.

    Read like `read_tsv`, without a header. A file may hold the translations alone.
    """
    _, first = next(lines(path), (0, ""))
    if first.count("\t") < len(columns):
        return read_tsv(path, language=language, columns=columns, spellings=spellings)
    originals = {f"original {column}": (f"original {column}",) for column in columns if column != LABEL}
    table = read_tsv(path, language=language, columns={**originals, **columns}, spellings=spellings)
    return table.select(list(columns))


def read_parquet(
    path: Path, *, language: str, texts: Sequence[str], labels: Sequence[str], names: Sequence[str]
) -> pa.Table:
    """Read text columns and integer labels (an index into `labels`, -1 or null: no gold). Raises UserError.

    The rows are all of one language: the Hub keeps a folder a language. `names` are what the file calls the labels,
    where it does.
    """
    table = _parquet(path, columns={**dict.fromkeys(texts, "string"), LABEL: "integer"}, names={LABEL: names})
    for column in texts:
        empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(table[column])), 0)
        _refuse_row(path, pc.fill_null(empty, True), what=f"empty {column}; expected text")
    ids = table[LABEL]
    _refuse_ids(path, ids, labels=labels, allowed=-1)
    names = pc.take(pa.array(labels, pa.string()), pc.if_else(pc.equal(ids, -1), None, ids))
    return pa.table({column: table[column] for column in texts} | {LABEL: names})


def read_tagged(path: Path, *, language: str, tags: Sequence[str], prefixed: bool) -> pa.Table:
    """Read sentences of one `word TAB tag` a line, an empty line after each. Raises UserError with the line number.

    `prefixed` words carry their language in front, as in `en:word`. A file may lack the tags in all lines.
    """
    words: list[list[str]] = [[]]
    gold: list[list[str]] = [[]]
    width = 0
    allowed = set(tags)
    for number, line in lines(path):
        if not line:
            if not words[-1]:
                raise _wrong(path, number=number, line=line, what="a sentence of no words; expected one empty line")
            words.append([])
            gold.append([])
            continue
        fields = line.split("\t")
        width = width or len(fields)
        if len(fields) != width or width > 2:
            what = f"found {len(fields)} tab-separated fields; expected {width if width < 3 else 'word TAB tag'}"
            raise _wrong(path, number=number, line=line, what=f"{what}, as every word has one tag or none has")
        word = fields[0]
        if prefixed:
            prefix, colon, word = word.partition(":")
            if not colon or not prefix:
                raise _wrong(
                    path, number=number, line=line, what=f"no language before the word, as in '{language}:word'"
                )
        if not word:
            raise _wrong(path, number=number, line=line, what="empty word; expected word TAB tag")
        words[-1].append(word)
        if width == 2:
            if fields[1] not in allowed:
                what = f"unknown tag {fields[1]!r}; expected {', '.join(tags)}"
                raise _wrong(path, number=number, line=line, what=what)
            gold[-1].append(fields[1])
    if not words[-1]:
        words.pop()
        gold.pop()
    return pa.table({WORDS: words, TAGS: gold if width == 2 else [None] * len(words)}, schema=TAGGED)


def read_tagged_parquet(path: Path, *, language: str, tags: Sequence[str]) -> pa.Table:
    """Read the Hub's `tokens` and `ner_tags` (indices into `tags`; all -1: no gold). Raises UserError."""
    table = _parquet(
        path, columns={"tokens": "list of string", "ner_tags": "list of integer"}, names={"ner_tags": tags}
    )
    words, ids = (table[column].combine_chunks() for column in ("tokens", "ner_tags"))
    num_words = pc.fill_null(pc.list_value_length(words), 0)
    _refuse_row(path, pc.equal(num_words, 0), what="a sentence of no words")
    other = pc.not_equal(num_words, pc.fill_null(pc.list_value_length(ids), 0))
    _refuse_row(path, other, what="as many ner_tags as tokens are expected; found another number")
    empty = pc.fill_null(pc.equal(pc.utf8_length(words.flatten()), 0), True)
    _refuse_row(path, empty, what="empty word; expected text", rows=pc.list_parent_indices(words))
    flat = ids.flatten()
    _refuse_row(path, pc.is_null(flat), what="a word without ner_tag (null)", rows=pc.list_parent_indices(ids))
    unlabelled = bool(pc.all(pc.equal(flat, -1)).as_py())
    _refuse_ids(path, flat, labels=tags, allowed=-1 if unlabelled else 0, rows=pc.list_parent_indices(ids))
    if unlabelled:
        return pa.table({WORDS: words, TAGS: pa.nulls(len(words), pa.list_(pa.string()))}, schema=TAGGED)
    offsets = pa.array([0, *pc.cumulative_sum(pc.list_value_length(ids)).to_pylist()], pa.int32())
    names = pa.ListArray.from_arrays(offsets, pc.take(pa.array(tags, pa.string()), flat))
    return pa.table({WORDS: words, TAGS: names}, schema=TAGGED)


_KINDS: dict[str, tuple[Callable[[pa.DataType], bool], pa.DataType]] = {
    "string": (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), pa.string()),
    "integer": (pa.types.is_integer, pa.int64()),
    "list of string": (lambda kind: _is_list(kind) and pa.types.is_string(kind.value_type), pa.list_(pa.string())),
    "list of integer": (lambda kind: _is_list(kind) and pa.types.is_integer(kind.value_type), pa.list_(pa.int64())),
}
"""What a column must be, and the type it is read as."""


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _parquet(path: Path, *, columns: Mapping[str, str], names: Mapping[str, Sequence[str]]) -> pa.Table:
    """Read some columns, which must be there and of their kind; label ids must mean `names`, where the file says."""
    try:
        with pq.ParquetFile(path) as file:
            types = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
            if not all(_KINDS[kind][0](types.get(column, pa.null())) for column, kind in columns.items()):
                found = ", ".join(f"{column}: {kind}" for column, kind in types.items())
                expected = ", ".join(f"{column} as {kind}" for column, kind in columns.items())
                raise UserError(f"{path}: found columns {found}; expected {expected}")
            for column, expected_names in names.items():
                _refuse_names(path, file.schema_arrow, column=column, expected=expected_names)
            table = file.read(columns=list(columns))
            table.validate(full=True)
            table = table.cast(pa.schema([pa.field(column, _KINDS[kind][1]) for column, kind in columns.items()]))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as parquet ({error}); expected a whole file, copy it again") from error
    return table


def _refuse_names(path: Path, schema: pa.Schema, *, column: str, expected: Sequence[str]) -> None:
    """Refuse a file whose label ids mean other names; `datasets` writes them into the schema's metadata."""
    try:
        feature = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"][column]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)  # of what the lists are
        found = feature["names"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return  # written by something else, which gives ids no names
    if list(found) != list(expected):
        raise UserError(
            f"{path}: the ids in {column} mean {', '.join(map(str, found))}; "
            f"expected {', '.join(expected)}, in this order"
        )


def _refuse_ids(
    path: Path, ids: pa.Array, *, labels: Sequence[str], allowed: int, rows: pa.Array | None = None
) -> None:
    """Refuse label ids below the least allowed, or beyond the labels."""
    unknown = pc.or_(pc.less(ids, allowed), pc.greater_equal(ids, len(labels)))
    place = pc.index(unknown, True).as_py()
    names = ", ".join(f"{label_id} ({name})" for label_id, name in enumerate(labels))
    what = f"unknown label {ids[place].as_py() if place >= 0 else ''}; expected {names} or -1 (no gold)"
    _refuse_row(path, unknown, what=what, rows=rows)


def _refuse_row(path: Path, wrong: pa.Array, *, what: str, rows: pa.Array | None = None) -> None:
    """Refuse a file in which something is wrong; `rows` says in which row each thing is, where it is not a row."""
    place = pc.index(wrong, True).as_py()
    if place >= 0:
        row = place if rows is None else rows[place].as_py()
        raise UserError(f"{path}, row {row} (the first is 0): {what}")


def _places(fields: Sequence[str], *, columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], bool]:
    """Return the field of each column, and whether the line is a header; no fields if it cannot be a first line."""
    given = [field.strip().lower() for field in fields]
    named = {column: given.index(name) for column, names in columns.items() for name in names if name in given}
    without_label = [column for column in columns if column != LABEL]
    # Headers are taken on full evidence alone, so that a text that reads "label" stays a text.
    if len(named) == len(columns) or (list(named) == without_label and len(given) == len(without_label)):
        return named | ({LANGUAGE: given.index(LANGUAGE)} if LANGUAGE in given else {}), True
    if len(fields) in (len(columns), len(without_label)):
        return {column: place for place, column in enumerate(columns) if place < len(fields)}, False
    return {}, False


def _wrong(path: Path, *, number: int, line: str, what: str) -> UserError:
    start = line if len(line) <= 60 else line[:60] + "..."
    return UserError(f"{path}, line {number}: {what}. The line starts {start!r}.")
