"""The tests are as computed by hand, and keep their promise where there is nothing to find."""

import numpy as np
import pytest

from babelfit.bootstrap import Parts, resampled
from babelfit.significance import bootstrap_p, holm, mcnemar, verdict


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


def test_the_bootstrap_p_counts_shifted_resamples_that_are_as_extreme() -> None:
    # Less the observed 2: -3, -1, 0, 2. As far from 0 as 2 are two of them, and the observed one itself.
    assert bootstrap_p(np.array([-1.0, 1.0, 2.0, 4.0]), observed=2.0) == 3 / 5
    assert bootstrap_p(np.zeros(9), observed=0.0) == 1


def test_equal_models_are_told_apart_as_rarely_as_the_level_says() -> None:
    generator = np.random.default_rng(1)
    found = []
    for _ in range(400):
        gold = generator.poisson(1.5, 300)
        sides = [2 * generator.binomial(gold, 0.7) for _ in range(2)]
        given = {
            side: Parts(indices=np.arange(300), numerators=top, denominators=2 * gold) for side, top in enumerate(sides)
        }
        drawn = resampled(given, together=True, num_resamples=400)
        found.append(bootstrap_p(drawn[1] - drawn[0], observed=given[1].score - given[0].score))

    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08


@pytest.mark.parametrize(
    ("difference", "p", "expected"),
    [(0.1, 0.01, "better"), (-0.1, 0.01, "worse"), (0.1, 0.05, "can't tell"), (0.1, None, "can't tell")],
)
def test_the_verdict_needs_a_small_p(difference: float, p: float | None, expected: str) -> None:
    assert verdict(difference, p=p) == expected
