"""Welch's test is what its formulas give, and says nothing where no value differs."""

import math

import pytest

from babelfit.statistics.spread import Spread
from babelfit.statistics.welch import welch


def test_welch_is_what_the_formulas_give_by_hand() -> None:
    # Equal variances and two values each: 2 degrees of freedom, whose distribution has a closed form.
    tested = welch(Spread(values=[0.8, 0.9]), Spread(values=[0.5, 0.6]))
    error = math.sqrt(0.005 / 2 + 0.005 / 2)
    t = 0.3 / error
    bound = 0.95 * math.sqrt(2 / (1 - 0.95**2))

    assert tested is not None
    assert tested.p == pytest.approx(1 - t / math.sqrt(2 + t**2))
    assert tested.p == pytest.approx(0.0513167)
    assert tested.interval == pytest.approx((0.3 - bound * error, 0.3 + bound * error))


@pytest.mark.parametrize(
    ("one", "other"), [([0.7, 0.7], [0.6, 0.6]), ([0.1 + 0.2, 0.3], [0.3, 0.3]), ([0.7], [0.5, 0.6])]
)
def test_without_spread_there_is_nothing_to_test_by(one: list[float], other: list[float]) -> None:
    assert welch(Spread(values=one), Spread(values=other)) is None
