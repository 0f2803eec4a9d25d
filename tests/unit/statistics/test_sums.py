"""Scores are functions of sums, and are written in their own unit."""

import numpy as np
import pytest
from made_tasks import RATINGS

from babelfit.statistics import bootstrap
from babelfit.statistics.significance import swapped
from babelfit.statistics.sums import PERCENT, PERPLEXITY, PLAIN, UNITS, Counts, Unit, f1, ratio, sums


@pytest.mark.parametrize(
    ("unit", "score", "text", "difference"),
    [
        (PERCENT, 0.84362, "84.4", "+84.4"),
        (PERCENT, 0.0, "0.0", "+0.0"),
        (PERCENT, -0.0436, "-4.4", "-4.4"),
        (PLAIN, -0.2134, "-0.213", "-0.213"),
        (PLAIN, 0.5, "0.500", "+0.500"),
        (PLAIN, 1234.5, "1,234", "+1,234.500"),
        (PERPLEXITY, 2.71828, "2.72", "+2.72"),
        (PERPLEXITY, 999.994, "999.99", "+999.99"),
        (PERPLEXITY, 123456.7, "123,457", "+123,456.70"),
    ],
)
def test_a_score_is_written_in_its_unit(unit: Unit, score: float, text: str, difference: str) -> None:
    assert (unit.text(score), unit.difference(score)) == (text, difference)


def test_units_are_found_by_their_names() -> None:
    assert all(unit.name == name for name, unit in UNITS.items())


def test_what_divides_by_nothing_is_zero() -> None:
    nothing = np.zeros((3, 2))
    assert ratio(nothing).tolist() == f1(nothing).tolist() == [0, 0, 0]


def numbers(said: np.ndarray, gold: np.ndarray) -> Counts:  # type: ignore[type-arg]
    columns = (np.ones_like(gold), gold, said, gold**2, said**2, gold * said)
    return Counts(indices=np.arange(len(gold)), rows=np.column_stack(columns))


def test_a_correlation_is_resampled_and_permuted_as_any_function_of_sums() -> None:
    from scipy.stats import bootstrap as scipy_bootstrap
    from scipy.stats import pearsonr

    generator = np.random.default_rng(0)
    gold = generator.normal(size=200)
    near, far = (gold + generator.normal(size=200) * noise for noise in (0.5, 3.0))
    measure = RATINGS.selecting
    assert measure.score(numbers(near, gold).rows) == pytest.approx(pearsonr(near, gold).statistic)

    drawn = bootstrap.resampled({"en": numbers(far, gold)}, measure.of_sums, together=False, num_resamples=10_000)["en"]
    theirs = scipy_bootstrap(
        (far, gold), lambda one, other: pearsonr(one, other).statistic, paired=True, vectorized=False,
        n_resamples=2_000, method="percentile", rng=1,
    ).confidence_interval  # fmt: skip
    assert bootstrap.interval(drawn) == pytest.approx([theirs.low, theirs.high], abs=0.02)

    differences = swapped(
        {"en": (numbers(far, gold), numbers(near, gold))}, measure.of_sums, together=False, num_permutations=500
    )["en"]
    observed = measure.score(numbers(near, gold).rows) - measure.score(numbers(far, gold).rows)
    assert np.abs(differences).max() < observed


def test_rows_are_added_up_column_by_column() -> None:
    rows = np.random.default_rng(0).random((1000, 3))
    assert sums(rows).tolist() == [rows[:, column].copy().sum() for column in range(3)]
