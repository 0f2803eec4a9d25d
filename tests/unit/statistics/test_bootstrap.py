"""Intervals are those of scipy's bootstrap, and cover what they promise to cover."""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from babelfit.statistics import bootstrap
from babelfit.statistics.bootstrap import Key, interval, transfer_intervals
from babelfit.statistics.sums import Array, Counts, ratio


def parts(numerators: Array, denominators: Array | None = None, *, indices: Array | None = None) -> Counts:
    below = np.ones_like(numerators) if denominators is None else denominators
    return Counts(
        indices=np.arange(len(numerators)) if indices is None else indices,
        rows=np.column_stack([numerators, below]).astype(float),
    )


def resampled(
    given: Mapping[Key, Counts], *, together: bool, num_resamples: int = bootstrap.NUM_RESAMPLES
) -> dict[Key, Array]:
    return bootstrap.resampled(given, ratio, together=together, num_resamples=num_resamples)


def sentences(generator: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Draw what sentences add to span F1: twice the right spans, predicted and gold ones."""
    gold, predicted = generator.poisson(1.5, count), generator.poisson(1.4, count)
    return 2 * generator.binomial(np.minimum(gold, predicted), 0.7), gold + predicted


def test_a_tiny_case_is_as_all_its_resamples_counted_by_hand() -> None:
    right = np.array([1, 0, 1])
    every = np.array([np.mean(drawn) for drawn in product(right, repeat=3)])  # 27 resamples, equally likely
    [drawn] = resampled({"en": parts(right)}, together=False, num_resamples=100_000).values()

    for score in (0, 1 / 3, 2 / 3, 1):
        assert np.isclose(drawn, score).mean() == pytest.approx(np.isclose(every, score).mean(), abs=0.006)


def test_accuracy_has_the_interval_of_scipy() -> None:
    right = (np.random.default_rng(1).random(400) < 0.7).astype(int)
    [drawn] = resampled({"en": parts(right)}, together=False, num_resamples=20_000).values()
    theirs = scipy_bootstrap((right,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval

    assert interval(drawn) == pytest.approx([theirs.low, theirs.high], abs=0.003)


def test_span_f1_has_the_interval_of_scipy_over_sentences() -> None:
    numerators, denominators = sentences(np.random.default_rng(3), 300)
    [drawn] = resampled({"en": parts(numerators, denominators)}, together=False, num_resamples=20_000).values()
    theirs = scipy_bootstrap(
        (numerators, denominators),
        lambda top, bottom, axis: top.sum(axis) / bottom.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=4,
    ).confidence_interval

    assert interval(drawn) == pytest.approx([theirs.low, theirs.high], abs=0.004)


def test_items_drawn_together_have_the_interval_of_scipy_for_the_gap() -> None:
    generator = np.random.default_rng(5)
    easy = generator.random(300)
    en, de = (easy + generator.normal(0, 0.1, 300) > 0.3).astype(int), (easy > 0.4).astype(int)
    drawn = resampled({"en": parts(en), "de": parts(de)}, together=True, num_resamples=20_000)
    theirs = scipy_bootstrap(
        (en, de),
        lambda one, other, axis: one.mean(axis) - other.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=6,
    ).confidence_interval

    ours = transfer_intervals(drawn, source_languages=["en"])["gap"]
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.004)


def test_an_item_is_drawn_as_often_in_each_language() -> None:
    right = np.random.default_rng(7).integers(0, 2, 50)
    drawn = resampled({"en": parts(right), "de": parts(1 - right)}, together=True, num_resamples=100)
    assert np.allclose(drawn["en"] + drawn["de"], 1)

    apart = resampled({"en": parts(right), "de": parts(1 - right)}, together=False, num_resamples=100)
    assert not np.allclose(apart["en"] + apart["de"], 1)


def test_an_item_that_one_language_lacks_is_no_example_there() -> None:
    whole = parts(np.array([1, 0, 1, 1]))
    part = parts(np.array([1, 1]), indices=np.array([0, 3]))
    drawn = resampled({"en": whole, "de": part}, together=True, num_resamples=500)

    undefined = np.isnan(drawn["de"])
    assert undefined.mean() == pytest.approx((2 / 4) ** 4, abs=0.05), "where neither of its items was drawn"
    assert set(drawn["de"][~undefined]) == {1.0}
    assert not np.isnan(drawn["en"]).any()
    assert interval(drawn["de"]) == [1, 1]
    assert transfer_intervals(drawn, source_languages=["en"])["target_mean"] == [1, 1]


def test_sentences_without_spans_score_0() -> None:
    nothing = np.zeros(3, dtype=int)
    drawn = resampled({"en": parts(nothing, nothing), "de": parts(nothing, nothing)}, together=True)

    assert set(drawn["en"]) == {0.0}


def test_the_same_predictions_give_the_same_interval() -> None:
    right = np.array([1, 0, 1, 1, 0])
    first, second = (resampled({"en": parts(right)}, together=True)["en"] for _ in range(2))
    assert np.array_equal(first, second)


def covered(intervals: list[list[float] | None], truth: float) -> float:
    return float(np.mean([one is not None and one[0] <= truth <= one[1] for one in intervals]))


def test_intervals_of_accuracy_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(11)
    samples = (generator.random((1000, 500)) < 0.8).astype(int)
    drawn = resampled(dict(enumerate(map(parts, samples))), together=False, num_resamples=1000)

    assert 0.93 <= covered([interval(one) for one in drawn.values()], 0.8) <= 0.97


def test_intervals_of_span_f1_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(12)
    numerators, denominators = sentences(generator, 1_000_000)
    truth = numerators.sum() / denominators.sum()
    samples = [parts(*sentences(generator, 500)) for _ in range(1000)]
    drawn = resampled(dict(enumerate(samples)), together=False, num_resamples=1000)

    assert 0.93 <= covered([interval(one) for one in drawn.values()], truth) <= 0.97


def test_intervals_of_the_target_mean_cover_the_truth_only_when_items_are_drawn_together() -> None:
    """An item that is hard is hard in every language: languages drawn for themselves would promise too much."""
    generator = np.random.default_rng(13)
    rates = {"en": 0.85, "de": 0.8, "sw": 0.6, "ur": 0.65}
    truth = np.mean([rates[one] for one in ("de", "sw", "ur")])
    found: dict[bool, list[list[float] | None]] = {True: [], False: []}
    for _ in range(1000):
        # An item's difficulty is shared by half of the languages' draws.
        shared, own = generator.random(500), generator.random((4, 500))
        noise = np.where(generator.random((4, 500)) < 0.7, shared, own)
        given = {one: parts((noise[row] < rate).astype(int)) for row, (one, rate) in enumerate(rates.items())}
        for together, intervals in found.items():
            drawn = resampled(given, together=together, num_resamples=300)
            intervals.append(transfer_intervals(drawn, source_languages=["en"])["target_mean"])

    assert 0.93 <= covered(found[True], truth) <= 0.97
    assert covered(found[False], truth) < 0.9


def test_undefined_transfer_numbers_have_no_interval() -> None:
    drawn = resampled({"de": parts(np.array([1, 0, 1]))}, together=False)
    found = transfer_intervals(drawn, source_languages=["en"])

    assert found["source"] is found["gap"] is found["retention"] is None
    assert found["target_mean"] == found["mean"] == interval(drawn["de"])


def test_a_source_that_is_zero_in_a_resample_has_no_interval_of_retention() -> None:
    given = {"en": parts(np.array([1, 0])), "de": parts(np.array([1, 1]))}
    found = transfer_intervals(resampled(given, together=True), source_languages=["en"])

    assert found["retention"] is None
    assert found["gap"] is not None
