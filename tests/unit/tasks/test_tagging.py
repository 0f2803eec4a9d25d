"""Span F1 is seqeval's on any tags, broken IOB2 included, and adds up over any parts of the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tasks import NER
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from babelfit.batches.ragged import NO_LABEL
from babelfit.statistics.sums import Array, sums
from babelfit.tasks.tagging import TagPrediction

tag = st.sampled_from(NER.labels)
sentence = st.lists(st.tuples(tag, tag), min_size=1, max_size=12)
Sentences = list[list[tuple[str, str]]]


def counted(sentences: Sentences) -> Array:
    records = [
        TagPrediction(
            index=index, gold=[gold for _, gold in one], predicted=[ours for ours, _ in one], probabilities=[]
        )
        for index, one in enumerate(sentences)
    ]
    return NER.counts(NER.read(records)).rows


def computed(sentences: Sentences) -> dict[str, float]:
    rows = counted(sentences)
    return {measure.key: measure.score(rows) for measure in NER.measures}


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
    parts = [counted(sentences[:cut]), counted(sentences[cut:])]

    assert np.array_equal(np.concatenate(parts), counted(sentences))
    assert np.array_equal(sum(map(sums, parts)), sums(counted(sentences)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@given(st.lists(sentence, min_size=1, max_size=8), st.sets(st.integers(0, 7), min_size=1))
@settings(max_examples=50, deadline=None)
def test_the_counts_of_sentences_make_the_span_f1_of_any_choice_of_them(sentences: Sentences, chosen: set[int]) -> None:
    picked = sorted({place % len(sentences) for place in chosen})
    mine = [sentences[place] for place in picked]
    expected = f1_score([[gold for _, gold in one] for one in mine], [[ours for ours, _ in one] for one in mine])

    assert NER.selecting.score(counted(sentences)[picked]) == pytest.approx(expected)


def test_a_model_s_outputs_become_a_record_a_sentence_and_back() -> None:
    logits = np.full((4, len(NER.labels)), -30.0)
    said = [NER.labels.index(name) for name in ("B-PER", "I-PER", "O", "B-LOC")]
    logits[np.arange(4), said] = 0.0
    gold = np.array([said[0], said[1], NO_LABEL, NO_LABEL])
    outputs = {"logits": logits, "gold": gold, "index": np.array([3, 3, 3, 8])}
    # A sentence of which a word has no gold has none at all.
    answers = NER.answers(outputs, indices=np.array([3, 8]))
    records = list(NER.records(answers))

    assert [(one.index, one.gold, list(one.predicted)) for one in records] == [
        (3, None, ["B-PER", "I-PER", "O"]),
        (8, None, ["B-LOC"]),
    ]
    assert NER.read(records).predicted.tolist() == said
    assert answers.has_gold.tolist() == [False, False]


def test_a_wrong_sentence_is_as_sure_as_its_surest_wrong_tag_and_shows_its_words() -> None:
    one = TagPrediction(
        index=0, gold=["O", "B-PER", "O"], predicted=["O", "B-ORG", "B-LOC"], probabilities=[0.9, 0.7, 0.8]
    )
    bare = TagPrediction(index=0, gold=["O"], predicted=["B-PER"], probabilities=[])  # as made elsewhere

    assert (NER.is_right(one), NER.extent(one), NER.extent(bare)) == (False, 0.8, None)
    shown = NER.shown(one, {"words": ["a", "b", "c"]})
    assert shown.extent == "80.0 %"
    assert [(word.text, word.gold, word.predicted) for word in shown.words] == [
        ("a", "", None),
        ("b", "B-PER", "B-ORG"),
        ("c", "O", "B-LOC"),
    ]
    assert [word.text for word in NER.shown(one, {}).words] == ["…"] * 3
