"""Whether a difference is more than chance: tests on the same examples, and what many tests at once cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

from babelfit.statistics.bootstrap import MOST_WEIGHTS, SEED, Key, OfSums, by_item
from babelfit.statistics.sums import Array, Counts

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


def swapped(
    pairs: Mapping[Key, tuple[Counts, Counts]],
    of_sums: OfSums,
    *,
    together: bool,
    num_permutations: int,
    seed: int = SEED,
) -> dict[Key, Array]:
    """Return the difference, second less first, of two models whose answers to each example are swapped or not.

    Under the null hypothesis both are as likely (paired permutation test; Yeh 2000, Dror et al. 2018):
    (permutations,) for each pair, drawn at random. Both of a pair have the same rows. With `together`, an index is one
    item in all of the pairs, swapped in all of them or in none; otherwise each pair is swapped for itself.
    """
    generator = np.random.default_rng(seed)
    found: dict[Key, Array] = {}
    for keys in [list(pairs)] if together and pairs else [[key] for key in pairs]:
        first, second = (by_item([pairs[key][side] for key in keys])[..., :-1] for side in range(2))
        differences = _swap(first, second, of_sums, generator=generator, num_permutations=num_permutations)
        found |= {key: differences[:, column] for column, key in enumerate(keys)}
    return found


def _swap(
    first: Array, second: Array, of_sums: OfSums, *, generator: np.random.Generator, num_permutations: int
) -> Array:
    """Swap items of (items, sets, numbers), and return the differences of the scores: (permutations, sets)."""
    num_items, num_sets, width = first.shape
    # Items that a swap changes alike are swapped together: how many of a kind are is binomial.
    kinds, counts = np.unique((second - first).reshape(num_items, -1), axis=0, return_counts=True)
    differences = np.empty((num_permutations, num_sets))
    step = max(1, MOST_WEIGHTS // len(kinds))
    for start in range(0, num_permutations, step):
        block = differences[start : start + step]
        weights = generator.binomial(counts, 0.5, size=(len(block), len(kinds)))
        moved = (weights.astype(np.float64) @ kinds).reshape(len(block), num_sets, width)
        ours, theirs = first.sum(axis=0) + moved, second.sum(axis=0) - moved
        block[:] = of_sums(theirs) - of_sums(ours)
    return differences


def permutation_p(differences: Array, *, observed: float) -> float:
    """Return the two-sided p of a difference, from those of permutations.

    The observed difference counts as one of them (Davison & Hinkley 1997, section 4.2), so that p is never 0.
    """
    # Differences that are the same number, added up in another order, are as extreme; so is one that is no number.
    extreme = ~(np.abs(differences) < abs(observed) - 1e-12)
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
    """Return in words what a difference of the second from the first amounts to."""
    if p is None or p >= LEVEL:
        return "can't tell"
    return "better" if difference > 0 else "worse"
