"""Prediction files: one JSON record per example, `predictions/<split>/<language>.jsonl`. Knows no model and no score.

Labels are names, so that anybody's predictions can be scored and read; `index` is the 0-based row in the language's
split as it came. An example of tagging is a sentence, and its record has an entry per word.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.files.documents import WORD
from babelfit.files.untrusted_files import inside
from babelfit.rows.read import RowsRead
from babelfit.rows.read import dropped as dropped_rows


class Record(Protocol):
    """One line of a prediction file: a dataclass that can check itself."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def index(self) -> int:
        """The 0-based row of the example within its language's split, as it came."""
        ...

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError, with the value and what was allowed, for what no model says."""
        ...


class Kind(Protocol):
    """What a file holds predictions of: the type of its records, and the labels in them."""

    @property
    def record(self) -> type[Any]: ...

    @property
    def labels(self) -> Sequence[str]: ...


def path(folder: Path, *, split: str, language: str) -> Path:
    """Return the path of one language's predictions in a run folder."""
    return inside(folder, "predictions", split, f"{language}.jsonl")


def languages(folder: Path, *, split: str) -> list[str]:
    """List the languages of a split that have predictions in a run folder."""
    found = sorted(file.stem for file in inside(folder, "predictions", split).glob("*.jsonl"))
    for language in found:
        # Somebody else's file names: they are printed, and become part of paths.
        if not re.fullmatch(WORD, language):
            raise UserError(f"{folder}/predictions/{split}: {language!r} is not a language code; move this file away")
    return found


def write(file: Path, records: Iterable[Record]) -> None:
    """Write a prediction file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as lines:
        for record in records:
            lines.write(json.dumps(_rounded(asdict(record)), ensure_ascii=False) + "\n")
    atomic_files.rename(temporary, file)


def _rounded(value: Any) -> Any:
    """Round all numbers that are not whole."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def read(file: Path, kind: Kind, *, num_examples: int | None = None, dropped: Collection[int] = ()) -> list[Any]:
    """Return the records of a prediction file, in order of index.

    Raises UserError, with the line, for what is no record, for a label that the data do not have, and for an example
    that is predicted twice or left out. `dropped` are the rows that are no examples; `num_examples` is how many there
    are, where that is known.
    """
    records: dict[int, Any] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            one = _read(line, kind, where=f"{file}, line {number}")
            if one.index in records:
                raise UserError(
                    f"{file}, line {number}: index {one.index} occurs twice; every example needs exactly one prediction"
                )
            records[one.index] = one
    if not records:
        raise UserError(f"{file} holds no predictions")
    for index in range(max(records)):
        if index not in records and index not in dropped:
            raise UserError(f"{file}: no prediction for index {index}; every example needs exactly one")
    if num_examples is not None and len(records) != num_examples:
        raise UserError(
            f"{file}: {len(records):,} predictions for {num_examples:,} examples; every example needs exactly "
            "one. Delete the file and evaluate again: it is predicted again"
        )
    return [records[index] for index in sorted(records)]


def read_split(folder: Path, kind: Kind, *, split: str, language: str, rows: RowsRead) -> list[Any]:
    """Read the predictions in a run folder of the rows that were read there, as many as there are examples."""
    file = path(folder, split=split, language=language)
    return read(file, kind, num_examples=rows.examples or None, dropped=dropped_rows(rows))


def _read(line: bytes, kind: Kind, *, where: str) -> Any:
    try:
        values: Any = json.loads(line)
        record = kind.record(**values)
    except (ValueError, TypeError, RecursionError) as error:
        expected = ", ".join(f'"{field.name}"' for field in fields(kind.record) if field.default is MISSING)
        raise UserError(f"{where}: not a prediction ({error}); expected {{{expected}}}") from error
    if type(record.index) is not int or record.index < 0:
        raise UserError(f"{where}: index {record.index!r} is not a row number; expected 0 or more")
    try:
        record.check(kind.labels)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return record
