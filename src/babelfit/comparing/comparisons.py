"""What a comparison of runs says, as typed values: the document of `compare --json`. Computes nothing.

Scores and differences are fractions of 1 where the measure is written in percent.
"""

from dataclasses import dataclass

from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Interval, Resamples

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Side:
    """A run, or runs that differ in seed alone, and what a reader of their scores must know."""

    name: str
    runs: list[str]
    regimes: list[str]
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class LanguageDifference:
    """What both sides score in a language; `p` is None where no test could be made."""

    language: str
    is_target: bool
    first: float
    second: float
    difference: float
    interval: Interval | None
    only_first_right: int | None = None
    only_second_right: int | None = None
    p: float | None
    p_holm: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class SeedsDifference:
    """How the mean scores of each side spread over its seeds, and what that says of their difference."""

    first_sd: float
    second_sd: float
    p: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """What both sides score in the mean over the target languages."""

    languages: list[str]
    first: float
    second: float
    difference: float
    interval: Interval | None
    seeds: SeedsDifference | None = None
    p: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A side compared with the first one."""

    first: Side
    second: Side
    test: str
    resamples: Resamples
    not_parallel: str | None = None
    languages: list[LanguageDifference]
    left_out: list[str]
    target_mean: MeanDifference | None


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """All sides compared with the first one, on the same data."""

    schema: int
    data: str
    task: str
    split: str
    metric: str
    measure: MeasureFacts
    synthetic: bool
    comparisons: list[Comparison]
