"""The tests are as computed by hand, and keep their promise where there is nothing to find."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from babelfit.statistics.significance import holm, mcnemar, permutation_p, swapped, verdict
from babelfit.statistics.sums import Array, Counts, f1, sums


def test_mcnemar_is_the_binomial_of_the_discordant_examples() -> None:
    one = np.array([True] * 30 + [True] * 1 + [False] * 7 + [False] * 5)
    other = np.array([True] * 30 + [False] * 1 + [True] * 7 + [False] * 5)

    # 8 discordant, 1 against 7: two-sided, 2 (1 + 8) / 2^8.
    assert mcnemar(one, other) == pytest.approx(18 / 256)
    assert mcnemar(other, one) == mcnemar(one, other)
    assert mcnemar(one, one) == 1


def test_holm_is_as_computed_by_hand() -> None:
    # In order 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not be below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


def test_the_permutation_p_counts_differences_that_are_as_extreme() -> None:
    # As far from 0 as 2 are two of them, and the observed one itself.
    assert permutation_p(np.array([-2.0, 1.0, 0.0, 4.0]), observed=2.0) == 3 / 5
    assert permutation_p(np.zeros(9), observed=0.0) == 1
    assert permutation_p(np.array([0.0, np.nan, 0.0]), observed=2.0) == 2 / 4


def spans(right: Array, gold: Array) -> Counts:
    return Counts(indices=np.arange(len(gold)), rows=np.column_stack([right, 2 * gold]).astype(float))


def permuted_p(first: Counts, second: Counts, *, num_permutations: int = 10_000) -> float:
    pairs = {"en": (first, second)}
    [differences] = swapped(pairs, f1, together=False, num_permutations=num_permutations).values()
    observed = float(f1(sums(second.rows)) - f1(sums(first.rows)))
    return permutation_p(differences, observed=observed)


def test_three_sentences_that_favour_one_side_prove_nothing() -> None:
    gold = np.array([2, 2, 2])

    # Of 2^3 ways to swap, none and all are as extreme.
    assert permuted_p(spans(np.array([1, 0, 1]), gold), spans(gold, gold)) == pytest.approx(2 / 8, abs=0.02)


def test_the_permutation_test_of_a_mean_is_that_of_scipy() -> None:
    generator = np.random.default_rng(2)
    first, second = (generator.random(40) < rate for rate in (0.5, 0.75))
    gold = np.ones(40, dtype=int)
    theirs = permutation_test(
        (second.astype(float), first.astype(float)),
        lambda one, other, axis: (one - other).mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        rng=3,
    ).pvalue

    ours = permuted_p(spans(first.astype(int), gold), spans(second.astype(int), gold))
    assert ours == pytest.approx(theirs, abs=0.02)
    assert ours < 0.2


def test_an_item_is_swapped_in_every_language_or_in_none() -> None:
    generator = np.random.default_rng(4)
    gold = np.ones(30, dtype=int)
    first, second = (spans(generator.integers(0, 2, 30), gold) for _ in range(2))
    pairs = {"en": (first, second), "de": (second, first)}
    found = swapped(pairs, f1, together=True, num_permutations=200)
    assert np.allclose(found["en"], -found["de"])

    apart = swapped(pairs, f1, together=False, num_permutations=200)
    assert not np.allclose(apart["en"], -apart["de"])


@pytest.mark.parametrize("count", [3, 5, 10, 300])
def test_equal_models_are_told_apart_as_rarely_as_the_level_says(count: int) -> None:
    generator = np.random.default_rng(1)
    found = []
    for _ in range(400):
        gold = generator.poisson(1.5, count)
        first, second = (spans(generator.binomial(gold, 0.7), gold) for _ in range(2))
        found.append(permuted_p(first, second, num_permutations=400))

    rate = np.mean(np.array(found) < 0.05)
    assert rate <= 0.08
    assert count < 300 or rate >= 0.02


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [(0.1, 0.01, "better"), (-0.1, 0.01, "worse"), (0.1, 0.05, "can't tell"), (0.1, None, "can't tell")],
)
def test_the_verdict_needs_a_small_p(difference: float, p: float | None, expected: str) -> None:
    assert verdict(difference, p=p) == expected
