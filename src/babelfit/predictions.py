"""Prediction files: one JSON record per example, `predictions/<split>/<language>.jsonl`. Knows no model and no score.

Labels are names, so that anybody's predictions can be scored and read; `index` is the 0-based row in the language's
split as it came.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babelfit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of one example; `gold` is None where the row has no label."""

    index: int
    gold: str | None
    predicted: str
    probabilities: Mapping[str, float]


def path(folder: Path, *, split: str, language: str) -> Path:
    """Name the file of one language's predictions in a run folder."""
    return folder / "predictions" / split / f"{language}.jsonl"


def languages(folder: Path, *, split: str) -> list[str]:
    """List the languages of a split that have predictions in a run folder."""
    found = sorted(file.stem for file in (folder / "predictions" / split).glob("*.jsonl"))
    for language in found:
        # Somebody else's file names: they are printed, and become part of paths.
        if not re.fullmatch(r"[A-Za-z0-9-]+", language):
            raise UserError(f"{folder}/predictions/{split}: {language!r} is no language code; move this file away")
    return found


def write(file: Path, records: Iterable[Prediction]) -> None:
    """Write a prediction file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as lines:
        for record in records:
            values = {
                "index": record.index,
                "gold": record.gold,
                "predicted": record.predicted,
                "probabilities": {name: round(value, 6) for name, value in record.probabilities.items()},
            }
            lines.write(json.dumps(values, ensure_ascii=False) + "\n")
        # Renamed before its bytes are on the disk, a file can be whole by name and empty after a power cut.
        lines.flush()
        os.fsync(lines.fileno())
    temporary.replace(file)


def read(file: Path, *, label_names: Sequence[str]) -> list[Prediction]:
    """Read a prediction file, in order of index.

    Raises UserError, with the line, for what is no record, for a label that the data do not have, and for an example
    that is predicted twice or left out.
    """
    records: dict[int, Prediction] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            record = _record(line, label_names=label_names, where=f"{file}, line {number}")
            if record.index in records:
                raise UserError(f"{file}, line {number}: index {record.index} stands twice; each example counts once")
            records[record.index] = record
    if not records:
        raise UserError(f"{file} holds no predictions")
    ordered = [records[index] for index in sorted(records)]
    for place, record in enumerate(ordered):
        if record.index != place:
            raise UserError(f"{file}: no prediction for index {place}; every example counts once")
    return ordered


def _record(line: bytes, *, label_names: Sequence[str], where: str) -> Prediction:
    try:
        values: Any = json.loads(line)
        record = Prediction(**values)
    except (ValueError, TypeError) as error:
        raise UserError(
            f'{where}: no prediction ({error}); expected {{"index", "gold", "predicted", "probabilities"}}'
        ) from error
    if type(record.index) is not int or record.index < 0:
        raise UserError(f"{where}: index {record.index!r} is no row number; expected 0 or more")
    for key, allowed in (("gold", [*label_names, None]), ("predicted", label_names)):
        if (name := getattr(record, key)) not in allowed:
            raise UserError(f"{where}: {key} {name!r} is no label; expected one of {', '.join(label_names)}")
    shares = record.probabilities
    if not isinstance(shares, dict) or not all(
        name in label_names and isinstance(share, int | float) and 0 <= share <= 1 for name, share in shares.items()
    ):
        raise UserError(f"{where}: probabilities {shares!r} are not a share from 0 to 1 for labels of the data")
    return record
