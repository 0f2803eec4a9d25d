"""Whether two means differ by more than their samples spread, each as far as it may: Welch's t-test."""

import warnings
from typing import NamedTuple

from scipy import stats

from babelfit.statistics.significance import LEVEL
from babelfit.statistics.spread import Spread

LEAST = 1e-9
"""Scores closer than this are the same number, rounded differently: one example more or less weighs more."""


class Tested(NamedTuple):
    """What the test says of the difference in means."""

    p: float
    interval: tuple[float, float]  # of 95 %


def welch(one: Spread, other: Spread) -> Tested | None:
    """Test whether two means differ, two-sided (Welch 1947); return None where neither side's values differ."""
    deviations = [one.sd, other.sd]
    if None in deviations or max(sd or 0 for sd in deviations) < LEAST:
        return None
    with warnings.catch_warnings():
        # One side without spread is no trouble to this test, and scipy warns of it.
        warnings.simplefilter("ignore", RuntimeWarning)
        tested = stats.ttest_ind(one.values, other.values, equal_var=False)
        interval = tested.confidence_interval(1 - LEVEL)
    return Tested(p=float(tested.pvalue), interval=(float(interval.low), float(interval.high)))
