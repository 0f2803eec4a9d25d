"""metrics.csv as typed rows; how it is written is said in metrics_log.py, which needs Lightning."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

from babelfit.errors import UserError
from babelfit.files.documents import FARTHEST, MOST_DIGITS

FILE = "metrics.csv"
HEADER = "step,metric,value\n"


class Logged(NamedTuple):
    """A number that was logged once so many optimizer steps were done; it may be infinite, or no number."""

    step: int
    metric: str
    value: float


def read(folder: Path) -> list[Logged]:
    """Read what a run has logged so far, nothing where it has no file; raise UserError for a damaged one."""
    path = folder / FILE
    # What stands behind the last line's end is being written.
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    logged = []
    for number, line in enumerate(lines, start=1):
        try:
            row = line.decode()
            if number > 1:
                logged.append(_logged(row))
            elif row != HEADER.strip():
                raise ValueError(f"found {row[:40]!r}")
        except (ValueError, csv.Error) as error:
            raise UserError(
                f"{path} is damaged in line {number} ({error}): it must have rows of step,metric,value. Correct or "
                "delete it"
            ) from error
    return logged


def _logged(row: str) -> Logged:
    """Return a row as it was logged; raise ValueError for one that no run logs."""
    step, metric, value = next(csv.reader([row]))
    if len(step) > MOST_DIGITS or int(step) < 0:
        raise ValueError(f"step {step[:40]!r} is none of a training")
    number = float(value)
    if math.isfinite(number) and abs(number) > FARTHEST:
        raise ValueError(f"{value[:40]!r} is farther from zero than {FARTHEST:g}")
    return Logged(int(step), metric, number)
