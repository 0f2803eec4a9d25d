"""Span F1 is seqeval's on any tags, broken IOB2 included, and adds up over any parts of the data."""

import pytest
import torch
from babelfit.scoring.metrics import SpanF1
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from babelfit.datasets.wikiann import LABELS

tag = st.sampled_from(LABELS)
sentence = st.lists(st.tuples(tag, tag), min_size=1, max_size=12)
Sentences = list[list[tuple[str, str]]]


def update(metric: SpanF1, sentences: Sentences) -> None:
    pairs = [(LABELS.index(ours), LABELS.index(gold)) for one in sentences for ours, gold in one]
    predicted, gold = torch.tensor(pairs).T
    numbers = torch.tensor([number for number, one in enumerate(sentences) for _ in one])
    metric.update(preds=predicted, target=gold, sentences=numbers)


def computed(sentences: Sentences) -> dict[str, float]:
    metric = SpanF1(LABELS)
    update(metric, sentences)
    return {name: float(value) for name, value in metric.compute().items()}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.lists(sentence, min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_the_numbers_are_those_of_seqeval(sentences: Sentences) -> None:
    predicted = [[ours for ours, _ in one] for one in sentences]
    gold = [[theirs for _, theirs in one] for one in sentences]

    assert computed(sentences) == pytest.approx(
        {
            "f1": f1_score(gold, predicted),
            "precision": precision_score(gold, predicted),
            "recall": recall_score(gold, predicted),
            "f1_strict": f1_score(gold, predicted, mode="strict", scheme=IOB2),
        }
    )


@pytest.mark.parametrize(
    ("predicted", "gold", "f1", "strict"),
    [
        (["B-PER", "I-PER", "O"], ["B-PER", "I-PER", "O"], 1.0, 1.0),
        (["B-PER", "O", "O"], ["B-PER", "I-PER", "O"], 0.0, 0.0),  # a border is wrong
        (["B-ORG", "I-ORG"], ["B-PER", "I-PER"], 0.0, 0.0),  # the type is wrong
        (["I-PER", "I-PER"], ["B-PER", "I-PER"], 1.0, 0.0),  # conlleval begins a span at I
        (["B-PER", "I-LOC"], ["B-PER", "B-LOC"], 1.0, 2 / 3),
        (["O", "O"], ["O", "O"], 0.0, 0.0),
    ],
)
def test_the_rules_counted_by_hand(predicted: list[str], gold: list[str], f1: float, strict: float) -> None:
    scores = computed([list(zip(predicted, gold, strict=True))])

    assert (scores["f1"], scores["f1_strict"]) == pytest.approx((f1, strict))


def test_a_span_ends_with_its_sentence() -> None:
    together = computed([[("B-PER", "B-PER"), ("I-PER", "I-PER")]])
    apart = computed([[("B-PER", "B-PER")], [("I-PER", "B-PER")]])

    assert together["f1"] == apart["f1"] == 1.0
    assert apart["f1_strict"] == pytest.approx(2 / 3)


@given(st.lists(sentence, min_size=2, max_size=6), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_parts_add_up_to_the_whole(sentences: Sentences, cut: int) -> None:
    cut = min(cut, len(sentences) - 1)
    whole, first, second = SpanF1(LABELS), SpanF1(LABELS), SpanF1(LABELS)
    update(whole, sentences)
    update(first, sentences[:cut])
    update(second, sentences[cut:])

    assert torch.equal(first.spans + second.spans, whole.spans)
