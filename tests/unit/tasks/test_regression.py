"""Regression is scored as scipy and sklearn score it, by sums where a score is one of them."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_squared_error

from babelfit.statistics.sums import Array, sums
from babelfit.tasks import Regression
from babelfit.tasks.regression import NumberPrediction
from babelfit.tasks.text_answers import TextAnswer

TASK = Regression()


def rows(gold: list[float], predicted: list[float]) -> Array:
    records = [
        NumberPrediction(index=index, gold=one, predicted=other)
        for index, (one, other) in enumerate(zip(gold, predicted, strict=True))
    ]
    return TASK.counts(TASK.read(records).with_gold()).rows


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scipy_and_sklearn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    gold, predicted = draw.uniform(-5, 5, 40).round(1).tolist(), draw.uniform(-5, 5, 40).round(1).tolist()
    counted = rows(gold, predicted)

    pearson, spearman, error = (measure.score(counted) for measure in TASK.measures)
    assert pearson == pytest.approx(pearsonr(gold, predicted).statistic, abs=1e-12)
    assert spearman == pytest.approx(spearmanr(gold, predicted).statistic, abs=1e-12)
    assert error == pytest.approx(mean_squared_error(gold, predicted))


def test_r_of_parts_adds_up_to_that_of_the_whole() -> None:
    gold, predicted = [1.0, 2.0, 4.0, 3.0, 5.0], [0.5, 2.5, 3.0, 3.5, 4.0]
    parts = sums(rows(gold[:2], predicted[:2])) + sums(rows(gold[2:], predicted[2:]))

    assert TASK.selecting.of_whole_sums(parts) == pytest.approx(pearsonr(gold, predicted).statistic)


@pytest.mark.parametrize("predicted", [[2.0, 2.0, 2.0], [1e9, 1e9, 1e9], [0.1, 0.1, 0.1]])
def test_what_does_not_vary_correlates_with_nothing(predicted: list[float]) -> None:
    counted = rows([1.0, 2.0, 3.0], predicted)

    assert [measure.score(counted) for measure in TASK.measures[:2]] == [0.0, 0.0]


def test_a_row_without_number_is_not_scored() -> None:
    records = [
        NumberPrediction(index=0, gold=None, predicted=1.0),
        NumberPrediction(index=1, gold=2.0, predicted=2.5),
    ]
    answers = TASK.read(records)

    assert answers.has_gold.tolist() == [False, True]
    assert TASK.counts(answers.with_gold()).indices.tolist() == [1]
    assert [record.gold for record in TASK.records(answers)] == [None, 2.0]


@pytest.mark.parametrize("value", ["1", None, True, math.nan, math.inf, [1.0]])
def test_a_prediction_is_a_finite_number(value: object) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        NumberPrediction(index=0, gold=1.0, predicted=value).check(())  # type: ignore[arg-type]


def test_numbers_of_others_are_read_and_checked_against_the_data() -> None:
    given = TextAnswer(index=3, gold=["2.50"], predicted=["1e0"])

    read = TASK.from_text(given, index=3, gold=[2.5], data="alike")
    assert read == NumberPrediction(index=3, gold=2.5, predicted=1.0)
    with pytest.raises(ValueError, match=r"gold 2\.5 is 3 in the data, row 3"):
        TASK.from_text(given, index=3, gold=[3.0], data="alike")
    with pytest.raises(ValueError, match="'high' is not a number"):
        TASK.from_text(TextAnswer(index=3, gold=None, predicted=["high"]), index=3, gold=[3.0], data="alike")
