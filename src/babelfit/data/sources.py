"""Find and read the local files of multilingual datasets: which file holds which language, and its rows as they came.

Not for tokens, label ids or choosing rows: a table here has text columns and label names, in file order.
"""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from babelfit.errors import UserError

LABEL = "label"
LANGUAGE = "language"


class Reader(Protocol):
    """Read one file into text columns and "label" (a label's name, null without gold), all strings."""

    def __call__(self, path: Path, *, language: str) -> pa.Table: ...


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way a dataset lies in a folder."""

    name: str
    patterns: Mapping[str, str]  # split -> path with {language} where there is a file a language; `*` for shards
    read: Reader

    def wanted(self, *, split: str, language: str) -> tuple[str, ...]:
        """Say where a split of a language may lie below a folder, which may itself be a folder inside the layout."""
        pattern = self.patterns.get(split)
        if pattern is None:
            return ()
        parts = pattern.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        # A tail that lost its language would give every language the same file.
        named = (tail for tail in tails if ("{language}" in tail) == ("{language}" in pattern))
        return tuple(tail.replace("{language}", language) for tail in named)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the rows of one language in one split lie; nothing is read before it is asked for."""

    dataset: str
    split: str
    language: str
    layout: Layout
    files: tuple[Path, ...]

    def sha256(self) -> str:
        """Hash the files end to end, as `cat FILES | sha256sum` does; a file of all languages has one hash for all."""
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()

    def read(self) -> pa.Table:
        """Read all rows; an example's index is its row here. Raises UserError for malformed files and for no rows."""
        table = pa.concat_tables([self.layout.read(path, language=self.language) for path in self.files])
        if table.num_rows == 0:
            raise UserError(
                f"{_listed(self.files)}: no rows for language '{self.language}'; expected the {self.split} split "
                f"of {self.dataset}. Copy it again."
            )
        return table


def find(folder: Path, *, layouts: Sequence[Layout], dataset: str, split: str, language: str) -> Source:
    """Find one language of one split by looking. Raises UserError with every path looked for."""
    # The code becomes part of a path and of a glob.
    if not re.fullmatch(r"[A-Za-z0-9-]+", language):
        raise UserError(f"{language!r} is no language code; expected letters, digits and '-', as in 'en'")
    if not folder.is_dir():
        raise UserError(f"data.folder: '{folder}' is no folder; give the folder that holds {dataset}")
    found = _look(folder, layouts=layouts, split=split, language=language)
    if found is not None:
        layout, files = found
        return Source(dataset=dataset, split=split, language=language, layout=layout, files=files)
    wanted = {layout.name: layout.wanted(split=split, language=language) for layout in layouts}
    looked = "".join(f"\n  {path}  ({name})" for name, paths in wanted.items() for path in paths)
    near = _near(folder, wanted=tuple(chain(*wanted.values())))
    raise UserError(
        f"no {split} split of {dataset} for language '{language}' in '{folder}'. Looked for:{looked}\n"
        + (f"Found: {', '.join(near)}\n" if near else "")
        + "Set data.folder to a folder that has one of these, or to null for the Hub."
    )


def available(folder: Path, *, layouts: Sequence[Layout], split: str, languages: Sequence[str]) -> tuple[str, ...]:
    """Say which languages have files for a split; whether these hold gold labels only reading tells."""
    return tuple(
        language for language in languages if _look(folder, layouts=layouts, split=split, language=language) is not None
    )


def check_rows(
    source: Source, *, num_rows: int, seen: Sequence[str], expected: int, labels: Sequence[str]
) -> list[str]:
    """Say, a sentence each, what a whole copy would have and this one has not: rows, and examples of every label.

    `seen` are the label names that occur.
    """
    doubts = []
    if num_rows != expected:
        doubts.append(
            f"{_listed(source.files)}: found {num_rows:,} rows for '{source.language}', where {source.dataset} "
            f"{source.split} has {expected:,}; this is {'a part' if num_rows < expected else 'not a copy'} of it."
        )
    absent = [label for label in labels if label not in seen]
    if seen and absent:
        doubts.append(
            f"{_listed(source.files)}: no row for '{source.language}' has label {_quoted(absent)}, "
            f"only {_quoted(sorted(seen))}."
        )
    return doubts


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
    path: Path, *, language: str, columns: Mapping[str, Sequence[str]], spellings: Mapping[str, str | None]
) -> pa.Table:
    """Read tab-separated rows, in which quotes are text. Raises UserError with the line number.

    `columns` gives each column's names in headers, in the order of a file without header, "label" last. A file may lack
    the label in all rows. A header's "language" column selects rows. `spellings` maps what a label field may hold to
    the label's name (None: no gold).
    """
    values: dict[str, list[str | None]] = {column: [] for column in columns}
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
            value: str | None = fields[places[column]] if column in places else None
            if column == LABEL:
                if value is not None and value not in spellings:
                    allowed = [f"'{key}' (= {name})" if key != name else f"'{key}'" for key, name in spellings.items()]
                    what = f"unknown label {value!r}; expected {', '.join(allowed)}"
                    raise _wrong(path, number=number, line=line, what=what)
                value = None if value is None else spellings[value]
            elif value is None or not value or value.isspace():
                raise _wrong(path, number=number, line=line, what=f"empty {column}; expected text")
            column_values.append(value)
    return pa.table({column: pa.array(column_values, pa.string()) for column, column_values in values.items()})


def read_parquet(path: Path, *, language: str, texts: Sequence[str], labels: Sequence[str]) -> pa.Table:
    """Read text columns and integer labels (an index into `labels`, -1 or null: no gold). Raises UserError.

    The rows are all of one language: the Hub keeps a folder a language.
    """
    columns = [*texts, LABEL]
    try:
        with pq.ParquetFile(path) as file:
            types = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
            right = LABEL in types and pa.types.is_integer(types[LABEL])
            for column in texts:
                kind = types.get(column, pa.null())
                right = right and (pa.types.is_string(kind) or pa.types.is_large_string(kind))
            if not right:
                found = ", ".join(f"{column}: {kind}" for column, kind in types.items())
                raise UserError(
                    f"{path}: found columns {found}; expected {', '.join(texts)} as string, label as integer"
                )
            table = file.read(columns=columns)
            table.validate(full=True)
            ids = table[LABEL].cast(pa.int64())
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as parquet ({error}); expected a whole file, copy it again") from error
    for column in texts:
        empty = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(table[column])), 0)
        row = pc.index(pc.fill_null(empty, True), True).as_py()
        if row >= 0:
            raise UserError(f"{path}, row {row} (the first is 0): empty {column}; expected text")
    row = pc.index(pc.or_(pc.less(ids, -1), pc.greater_equal(ids, len(labels))), True).as_py()
    if row >= 0:
        names = ", ".join(f"{label_id} ({name})" for label_id, name in enumerate(labels))
        raise UserError(
            f"{path}, row {row} (the first is 0): unknown label {ids[row].as_py()}; expected {names} or -1 (no gold)"
        )
    names_of_rows = pc.take(pa.array(labels, pa.string()), pc.if_else(pc.equal(ids, -1), None, ids))
    return pa.table({column: table[column].cast(pa.string()) for column in texts} | {LABEL: names_of_rows})


def _look(
    folder: Path, *, layouts: Sequence[Layout], split: str, language: str
) -> tuple[Layout, tuple[Path, ...]] | None:
    for layout in layouts:
        for pattern in layout.wanted(split=split, language=language):
            files = tuple(sorted(path for path in folder.glob(pattern) if path.is_file()))
            if files:
                return layout, files
    return None


def _near(folder: Path, *, wanted: Sequence[str]) -> list[str]:
    """Name what lies up to three levels deep and is spelled most like a wanted path, else anything there."""
    # A folder like "/" has no end.
    entries = islice(chain(folder.glob("*"), folder.glob("*/*"), folder.glob("*/*/*")), 5000)
    names = [f"{entry.relative_to(folder)}{'/' if entry.is_dir() else ''}" for entry in entries]
    close = chain(*(difflib.get_close_matches(path, names, n=2) for path in wanted))
    return sorted(set(close)) or sorted(names)[:8]


def _places(fields: Sequence[str], *, columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, int], bool]:
    """Say in which field each column is, and whether the line is a header; no places if it can be no first line."""
    given = [field.strip().lower() for field in fields]
    named = {column: given.index(name) for column, names in columns.items() for name in names if name in given}
    without_label = [column for column in columns if column != LABEL]
    # Headers are taken on full evidence alone, so that a text that reads "label" stays a text.
    if len(named) == len(columns) or (list(named) == without_label and len(given) == len(without_label)):
        return named | ({LANGUAGE: given.index(LANGUAGE)} if LANGUAGE in given else {}), True
    if len(fields) in (len(columns), len(without_label)):
        return {column: place for place, column in enumerate(columns) if place < len(fields)}, False
    return {}, False


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in files)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _wrong(path: Path, *, number: int, line: str, what: str) -> UserError:
    start = line if len(line) <= 60 else line[:60] + "..."
    return UserError(f"{path}, line {number}: {what}. The line starts {start!r}.")
