"""What a sweep's folder records: its trials, and how each ended."""

from dataclasses import dataclass
from pathlib import Path

from babelfit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial, as the study recorded it."""

    number: int
    state: str  # complete, pruned, failed, running, waiting
    overrides: dict[str, str]  # the swept keys and their values, as on the command line
    folder: Path  # outputs/NAME/<hash>; of a trial that failed early it may not exist
    why: str | None  # why it failed or was pruned
    objectives: dict[str, float]  # of complete trials, on dev of the selected model, fractions of 1


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep's folder records."""

    folder: Path
    search: str  # grid, or tpe
    objective: str  # the chosen one
    trials: list[Trial]


def read(folder: Path) -> Sweep:
    """Read a sweep's folder; raises UserError for one that is no sweep."""
    raise UserError(f"{folder} is no sweep: give the folder of a python train.py -m, outputs/NAME")
