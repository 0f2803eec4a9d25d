"""Whether a difference is more than chance: tests on the same examples, and what many tests at once cost."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from babelfit.bootstrap import Array

LEVEL = 0.05


def mcnemar(one: Array, other: Array) -> float:
    """Return the two-sided p of McNemar's exact test of two models' right answers to the same examples.

    Only examples that one alone got right speak: under the null hypothesis each is as likely to be the one's as the
    other's (McNemar 1947).
    """
    only_one, only_other = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other, 0.5).pvalue)


def bootstrap_p(differences: Array, *, observed: float) -> float:
    """Return the two-sided p of a difference, from its resamples shifted to 0, the null hypothesis.

    The observed difference counts as one of them (Davison & Hinkley 1997, section 4.2), so that p is never 0.
    """
    # Differences that are the same number, added up in another order, are as extreme.
    extreme = np.abs(differences - observed) >= abs(observed) - 1e-12
    return float((1 + extreme.sum()) / (1 + len(differences)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values of tests made together, so that one false finding among them is as rare as said (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    back = np.empty(len(p_values))
    back[order] = corrected
    return [float(p) for p in back]


def verdict(difference: float, *, p: float | None) -> str:
    """Say what a difference of the second from the first amounts to."""
    if p is None or p >= LEVEL:
        return "can't tell"
    return "better" if difference > 0 else "worse"
