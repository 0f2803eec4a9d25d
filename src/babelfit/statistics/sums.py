"""Scores as functions of sums: every example adds a row of numbers, and a score is a function of what they add up to.

So a score adds up over batches and devices, is resampled and permuted by resampling and permuting rows, and the score
that is logged in training is that of the file. Only a score of ranks is no function of a sum: it is one of all rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """How scores of one kind are written, and their differences."""

    name: str  # in scores/*.json
    scale: float = 1.0
    decimals: int = 2
    title: str = ""  # behind a table's title
    of_differences: str = ""  # what differences are counted in

    def text(self, score: float) -> str:
        """Return a score as it is written, with less decimals from a thousand on."""
        value = self.scale * score
        return f"{value:,.{self.decimals if abs(value) < 1000 else 0}f}"

    def difference(self, score: float) -> str:
        """Return a difference of scores as it is written, with its sign."""
        return f"{self.scale * score:+,.{self.decimals}f}"


PERCENT = Unit(name="percent", scale=100.0, decimals=1, title="in percent", of_differences="points")
PLAIN = Unit(name="plain", decimals=3)
PERPLEXITY = Unit(name="perplexity", decimals=2)
UNITS = {unit.name: unit for unit in (PERCENT, PLAIN, PERPLEXITY)}

Shown = Literal["everywhere", "not on the terminal", "nowhere"]
NOT_ON_TERMINAL: Shown = "not on the terminal"
"""Whose 80 columns are full."""


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A score: which numbers of an example's row it adds up, what it makes of the sums, and how it is written."""

    key: str  # in scores/*.json and metrics.csv
    title: str
    columns: tuple[int, ...]
    of_sums: Callable[[Array], Array] = field(repr=False)  # (..., columns) -> (...)
    of_rows: Callable[[Array], float] | None = field(default=None, repr=False)  # (examples, columns): in place of sums
    transform: Callable[[Any], Any] = field(default=_same, repr=False)  # rising; of the score and its interval's ends
    unit: Unit = PERCENT
    better: Literal["higher", "lower"] = "higher"
    shown: Shown = "everywhere"
    hub: str | None = None  # the Hub's name for it, where it has one
    meaning: str = ""  # of the number, as Markdown, where its title does not say it
    is_yes_or_no: bool = False  # an example is right or wrong, and the score the share of right ones

    def score(self, rows: Array) -> float:
        """Return the score of all examples, given their whole rows: (examples, numbers)."""
        mine = rows[:, list(self.columns)]
        if self.of_rows is not None:
            return self.of_rows(mine)
        return self.of_whole_sums(sums(rows))

    def of_whole_sums(self, sums: Array) -> float:
        """Return the score, given the sums of whole rows: (numbers,)."""
        return float(self.transform(self.of_sums(sums[list(self.columns)])))


def sums(rows: Array) -> Array:
    """Add up the rows of examples: (examples, numbers) to (numbers,)."""
    # Column by column: added up row by row, floating-point numbers would be rounded otherwise.
    return np.asarray(np.ascontiguousarray(rows.T).sum(axis=1))


def no_sums(sums: Array) -> Array:
    """Return no number: a score of ranks has no value that follows from sums."""
    return np.full(sums.shape[:-1], np.nan)


def ratio(sums: Array) -> Array:
    """Return a / b of the sums (a, b); 0 where b is 0."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


def f1(sums: Array) -> Array:
    """Return F1 as 2a / b of the sums a, of right ones, and b, of predicted and gold ones; 0 where b is 0."""
    return np.asarray(2 * sums[..., 0] / np.maximum(sums[..., 1], 1))


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What each example adds: (examples,) which row of its language's split it is, and (examples, numbers)."""

    indices: Array
    rows: Array

    def of(self, measure: Measure) -> "Counts":
        """Keep the numbers that a measure adds up, in its order."""
        return Counts(indices=self.indices, rows=self.rows[:, list(measure.columns)])
