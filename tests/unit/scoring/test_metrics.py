"""Accuracy and macro F1 are sklearn's, and add up over any parts of the data."""

import math
from itertools import pairwise
from random import Random

import pytest
import torch
from babelfit.scoring.metrics import build_metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score
from torchmetrics import MetricCollection

Labels = tuple[int, list[tuple[int, int]]]


@st.composite
def labelled(draw: st.DrawFn) -> Labels:
    """A number of classes and (predicted, gold) pairs; classes may be absent from either or both."""
    num_classes = draw(st.integers(2, 4))
    label = st.integers(0, num_classes - 1)
    return num_classes, draw(st.lists(st.tuples(label, label), min_size=1, max_size=40))


def classification(num_classes: int) -> MetricCollection:
    return build_metrics(
        "sequence_classification", label_names=[str(label) for label in range(num_classes)], across_ranks=False
    )


def update(metrics: torch.nn.Module, pairs: list[tuple[int, int]]) -> None:
    predicted, gold = torch.tensor(pairs).T
    metrics.update(preds=predicted, target=gold, sentences=torch.arange(len(pairs)))  # type: ignore[operator]


def computed(num_classes: int, pairs: list[tuple[int, int]]) -> dict[str, float]:
    metrics = classification(num_classes)
    update(metrics, pairs)
    return {name: float(value) for name, value in metrics.compute().items()}


@given(labelled())
@settings(max_examples=60, deadline=None)
def test_the_numbers_are_those_of_sklearn(case: Labels) -> None:
    num_classes, pairs = case
    predicted, gold = zip(*pairs, strict=True)

    assert computed(num_classes, pairs) == pytest.approx(
        {"accuracy": accuracy_score(gold, predicted), "f1": f1_score(gold, predicted, average="macro")}, abs=1e-6
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
    parts = [classification(num_classes) for _ in borders[1:]]
    for part, start, end in zip(parts, borders[:-1], borders[1:], strict=True):
        update(part, pairs[start:end])
    merged, *others = parts
    for other in others:
        for name, metric in merged.items(copy_state=False):
            metric.merge_state(other[name])

    assert {name: float(value) for name, value in merged.compute().items()} == computed(num_classes, pairs)


@given(labelled())
@settings(max_examples=30, deadline=None)
def test_states_are_sums_so_that_ranks_can_add_them(case: Labels) -> None:
    num_classes, pairs = case
    ranks = [classification(num_classes) for _ in range(2)]
    for rank, metrics in enumerate(ranks):
        if mine := pairs[rank::2]:
            update(metrics, mine)
    whole = classification(num_classes)
    update(whole, pairs)

    for name, metric in whole.items(copy_state=False):
        for state, value in metric.metric_state.items():
            parts = [torch.as_tensor(metrics[name].metric_state[state]) for metrics in ranks]
            assert torch.equal(torch.as_tensor(sum(part.broadcast_to(value.shape) for part in parts)), value)


@given(
    st.lists(st.tuples(st.floats(0, 30, width=32), st.booleans()), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_masked_tokens_are_counted_alike_in_any_parts(tokens: list[tuple[float, bool]], cuts: list[int]) -> None:
    borders = sorted({0, len(tokens), *(cut for cut in cuts if cut < len(tokens))})
    metrics = build_metrics("masked_language_modeling", label_names=[], across_ranks=False)
    for start, end in pairwise(borders):
        nll, right = zip(*tokens[start:end], strict=True)
        metrics.update(nll=torch.tensor(nll), right=torch.tensor(right), sentences=torch.arange(end - start))
    mean, share = (sum(one[part] for one in tokens) / len(tokens) for part in (0, 1))

    assert {name: float(value) for name, value in metrics.compute().items()} == pytest.approx(
        {"log_likelihood": -mean, "perplexity": math.exp(mean), "accuracy": share},
        rel=1e-9,
        abs=1e-9,
    )


def test_where_nothing_is_masked_there_is_no_perfect_score() -> None:
    metrics = build_metrics("masked_language_modeling", label_names=[], across_ranks=False)
    metrics.update(nll=torch.zeros(0), right=torch.zeros(0, dtype=torch.bool), sentences=torch.zeros(0))
    assert all(value.isnan() for value in metrics.compute().values())
