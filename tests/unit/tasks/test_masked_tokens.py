"""Perplexities come from records per example alone, count every masked token once, and know what was left out."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tasks import TOKENS

from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.rows.read import RowsRead
from babelfit.scoring import scoring
from babelfit.scoring.scores import Scores
from babelfit.scoring.scoring import SplitFacts
from babelfit.statistics.sums import sums
from babelfit.tasks.masked_tokens import MaskedPrediction

RECORDS = [
    MaskedPrediction(index=0, masked=3, right=1, nll=6.0),
    MaskedPrediction(index=1, masked=0, right=0, nll=0.0),
    MaskedPrediction(index=2, masked=5, right=4, nll=2.0),
]


def test_records_add_up_the_tokens_of_each_example() -> None:
    outputs = {
        "index": np.array([2, 2, 7, 7, 7]),
        "active": np.array([True, False, True, True, True]),
        "right": np.array([False, True, True, True, False]),
        "nll": np.array([1.0, 9.0, 0.5, 0.25, 2.0]),
    }
    found = TOKENS.answers(outputs, indices=np.array([2, 4, 7]))

    assert list(TOKENS.records(found)) == [
        MaskedPrediction(index=2, masked=1, right=0, nll=1.0, inactive=1),
        MaskedPrediction(index=4, masked=0, right=0, nll=0.0),
        MaskedPrediction(index=7, masked=3, right=2, nll=2.75),
    ]
    again = TOKENS.read(list(TOKENS.records(found)))
    for name in ("indices", "masked", "right", "nll", "inactive"):
        assert np.array_equal(getattr(again, name), getattr(found, name))


@given(
    st.lists(st.tuples(st.floats(0, 30, width=32), st.booleans()), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_masked_tokens_are_counted_alike_in_any_parts(tokens: list[tuple[float, bool]], cuts: list[int]) -> None:
    borders = sorted({0, len(tokens), *(cut for cut in cuts if cut < len(tokens))})
    whole = np.zeros(3)
    for start, end in pairwise(borders):
        nll, right = (np.array(column) for column in zip(*tokens[start:end], strict=True))
        outputs = {"index": np.zeros(end - start), "active": np.ones(end - start), "right": right, "nll": nll}
        whole += sums(TOKENS.counts(TOKENS.answers(outputs, indices=np.array([0]))).rows)
    mean, share = (sum(one[part] for one in tokens) / len(tokens) for part in (0, 1))

    assert {measure.key: measure.of_whole_sums(whole) for measure in TOKENS.measures} == pytest.approx(
        {"log_likelihood": -mean, "perplexity": math.exp(mean), "accuracy": share}, rel=1e-9, abs=1e-9
    )


def test_where_nothing_is_masked_there_is_no_perfect_score() -> None:
    log_likelihood, perplexity, _ = (measure.of_whole_sums(np.zeros(3)) for measure in TOKENS.measures)

    assert math.isnan(log_likelihood)
    assert math.isnan(perplexity)


def scored(folder: Path, **languages: list[MaskedPrediction]) -> Scores:
    for language, records in languages.items():
        prediction_files.write(prediction_files.path(folder, split="validation", language=language), records)
    facts = SplitFacts(
        data="text", split="validation", task=TOKENS, is_parallel=False, source_languages=["sw"],
        read={one: RowsRead(files=[], examples=len(records)) for one, records in languages.items()},
        vocabulary="all 10 ids",
    )  # fmt: skip
    return scoring.score(folder, facts)


def test_every_token_counts_once_and_intervals_are_over_examples(tmp_path: Path) -> None:
    found = scored(tmp_path, en=RECORDS, sw=[MaskedPrediction(index=0, masked=2, right=2, nll=0.0)])

    assert list(found.languages) == ["sw", "en"], "those trained on first"
    english = found.languages["en"]
    assert (english.masked, english.examples, english.values["accuracy"]) == (8, 3, 5 / 8)
    assert english.values["perplexity"] == pytest.approx(math.e)
    assert english.values["log_likelihood"] == -1.0
    assert english.interval is not None
    low, high = english.interval
    # From three times the better example to three times the worse one.
    assert math.exp(2 / 5) - 1e-9 <= low < math.e < high <= math.exp(6 / 3) + 1e-9
    assert found.languages["sw"].values["perplexity"] == 1.0
    assert (found.transfer, found.groups, found.vocabulary) == (None, None, "all 10 ids")


def test_the_interval_of_a_language_does_not_depend_on_the_others(tmp_path: Path) -> None:
    alone = scored(tmp_path / "alone", sw=RECORDS)
    together = scored(tmp_path / "together", de=RECORDS[:1], en=RECORDS, sw=RECORDS)

    assert together.languages["sw"] == alone.languages["sw"]


def test_what_was_left_out_is_counted(tmp_path: Path) -> None:
    record = MaskedPrediction(index=0, masked=2, right=1, nll=3.0, inactive=4)
    found = scored(tmp_path, en=RECORDS, sw=[record])

    assert found.languages["sw"].inactive == 4
    assert found.languages["en"].inactive is None


def test_nothing_to_guess_is_an_error_and_no_perfect_score(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"en.jsonl: none of its masked tokens could be guessed, so there is no perplexity"
    ):
        scored(tmp_path, en=[MaskedPrediction(index=0, masked=0, right=0, nll=0.0, inactive=3)])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"index": 0, "masked": 2, "right": 3, "nll": 1.0}, "3 right of 2 masked tokens: expected counts"),
        ({"index": 0, "masked": 2.5, "right": 1, "nll": 1.0}, "expected counts"),
        ({"index": 0, "masked": 2, "right": 1, "nll": -1.0}, "nll -1.0 is not a negative log-likelihood"),
        ({"index": 0, "masked": 2, "right": 1, "nll": float("nan")}, "is not a negative log-likelihood"),
        ({"index": 0, "gold": "a"}, 'expected {"index", "masked", "right", "nll"}'),
    ],
)
def test_a_damaged_record_is_named_with_its_line(tmp_path: Path, line: dict[str, Any], what: str) -> None:
    file = tmp_path / "predictions/validation/en.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"en.jsonl, line 1: ") as raised:
        scored(tmp_path)
    assert what in str(raised.value)


def test_no_example_is_a_mistake_as_a_whole() -> None:
    assert TOKENS.mistakes is None
    assert [TOKENS.is_right(record) for record in RECORDS] == [None] * 3
