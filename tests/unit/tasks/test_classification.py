"""Accuracy and macro F1 are sklearn's, and add up over any parts of the data."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from babelfit.batches.ragged import NO_LABEL
from babelfit.statistics.sums import Array, sums
from babelfit.tasks import Classification
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.task import TargetAnswers

Labels = tuple[int, list[tuple[int, int]]]


@st.composite
def labelled(draw: st.DrawFn) -> Labels:
    """A number of classes and (predicted, gold) pairs; classes may be absent from either or both."""
    num_classes = draw(st.integers(2, 4))
    label = st.integers(0, num_classes - 1)
    return num_classes, draw(st.lists(st.tuples(label, label), min_size=1, max_size=40))


def task(num_classes: int) -> Classification:
    return Classification(labels=[str(label) for label in range(num_classes)])


def counted(num_classes: int, pairs: Sequence[tuple[int, int]]) -> Array:
    predicted, gold = np.array(pairs).reshape(-1, 2).T
    rows = np.arange(len(pairs))
    answers = TargetAnswers(indices=rows, examples=rows, gold=gold, predicted=predicted)
    return task(num_classes).counts(answers).rows


def computed(num_classes: int, pairs: Sequence[tuple[int, int]]) -> dict[str, float]:
    rows = counted(num_classes, pairs)
    return {measure.key: measure.score(rows) for measure in task(num_classes).measures}


@given(labelled())
@settings(max_examples=60, deadline=None)
def test_the_numbers_are_those_of_sklearn(case: Labels) -> None:
    num_classes, pairs = case
    predicted, gold = zip(*pairs, strict=True)

    assert computed(num_classes, pairs) == pytest.approx(
        {"accuracy": accuracy_score(gold, predicted), "f1": f1_score(gold, predicted, average="macro")}, abs=1e-12
    )


@given(labelled(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_examples_changes_nothing(case: Labels, random: Random) -> None:
    num_classes, pairs = case
    shuffled = pairs[:]
    random.shuffle(shuffled)

    assert computed(num_classes, shuffled) == computed(num_classes, pairs)


@given(labelled(), st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=60, deadline=None)
def test_parts_of_any_size_add_up_to_the_whole(case: Labels, cuts: list[int]) -> None:
    num_classes, pairs = case
    borders = sorted({0, len(pairs), *(cut for cut in cuts if cut < len(pairs))})
    parts = [sums(counted(num_classes, pairs[start:end])) for start, end in pairwise(borders)]
    whole = np.sum(parts, axis=0)

    assert np.array_equal(whole, sums(counted(num_classes, pairs)))
    found = {measure.key: measure.of_whole_sums(whole) for measure in task(num_classes).measures}
    assert found == computed(num_classes, pairs)


@given(labelled())
@settings(max_examples=30, deadline=None)
def test_many_sums_at_once_score_as_each_alone(case: Labels) -> None:
    num_classes, pairs = case
    rows = counted(num_classes, pairs)
    for measure in task(num_classes).measures:
        mine = rows[:, list(measure.columns)]
        expected = [measure.score(rows[: place + 1]) for place in range(len(rows))]
        assert measure.of_sums(np.cumsum(mine, axis=0)).tolist() == pytest.approx(expected, abs=1e-12)


def test_a_model_s_outputs_become_records_and_back() -> None:
    yes_no = Classification(labels=("yes", "no"))
    outputs = {
        "logits": np.array([[0.0, 2.0], [3.0, 1.0], [0.5, 0.0]], dtype=np.float32),
        "gold": np.array([1, NO_LABEL, 1]),
        "index": np.array([2, 5, 9]),
    }
    answers = yes_no.answers(outputs, indices=np.array([2, 5, 9]))
    records = list(yes_no.records(answers))
    again = yes_no.read(records)

    assert [(one.index, one.gold, one.predicted) for one in records] == [
        (2, "no", "no"),
        (5, None, "yes"),
        (9, "no", "yes"),
    ]
    assert records[0].probabilities == pytest.approx({"yes": 1 / (1 + np.e**2), "no": 1 / (1 + np.e**-2)})
    for name in ("indices", "examples", "gold", "predicted", "confidences"):
        assert np.array_equal(getattr(again, name), getattr(answers, name))
    assert answers.has_gold.tolist() == [True, False, True]
    assert yes_no.counts(answers.with_gold()).indices.tolist() == [2, 9]


def test_a_model_s_labels_may_be_in_another_order() -> None:
    outputs = {"logits": np.array([[0.0, 2.0, 1.0]]), "gold": np.array([0]), "index": np.array([0])}
    answers = task(3).answers(outputs, indices=np.array([0]), order=[2, 0, 1])

    assert answers.predicted.tolist() == [2]


def test_the_surest_label_is_right_or_wrong_and_shown_beside_gold() -> None:
    one = LabelPrediction(index=0, gold="1", predicted="0", probabilities={"0": 0.75, "1": 0.25})
    bare = LabelPrediction(index=0, gold=None, predicted="0", probabilities={})
    two = task(2)

    assert (two.is_right(one), two.is_right(bare)) == (False, None)
    assert (two.extent(one), two.extent(bare)) == (0.75, None)
    shown = two.shown(one, {})
    assert (shown.extent, shown.gold, shown.predicted) == ("75.0 %", "1", "0")
    assert two.shown(bare, {}).extent == ""
