"""Perplexities come from records per example alone, count every masked token once, and say what was left out."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import MaskedPrediction
from babelfit.scoring import perplexity, scoring

RECORDS = [
    MaskedPrediction(index=0, masked=3, right=1, nll=6.0),
    MaskedPrediction(index=1, masked=0, right=0, nll=0.0),
    MaskedPrediction(index=2, masked=5, right=4, nll=2.0),
]


def columns(**changes: list[Any]) -> dict[str, np.ndarray[Any, Any]]:
    given = {
        "index": [7, 2, 2, 7, 7],
        "active": [True, True, False, True, True],
        "right": [True, False, False, True, False],
        "nll": [0.5, 1.0, 0.0, 0.25, 2.0],
    } | changes
    return {name: np.array(values) for name, values in given.items()}


def test_records_add_up_the_tokens_of_each_example() -> None:
    found = perplexity.records(columns(), indices=np.array([2, 4, 7]), expected=np.array([2, 0, 3]))
    assert found == [
        MaskedPrediction(index=2, masked=1, right=0, nll=1.0, inactive=1),
        MaskedPrediction(index=4, masked=0, right=0, nll=0.0),
        MaskedPrediction(index=7, masked=3, right=2, nll=2.75),
    ]


@pytest.mark.parametrize("expected", [[2, 0, 4], [2, 1, 3], [1, 0, 3]])
def test_a_token_too_many_or_too_few_is_an_error(expected: list[int]) -> None:
    with pytest.raises(RuntimeError, match="predictions for"):
        perplexity.records(columns(), indices=np.array([2, 4, 7]), expected=np.array(expected))


def scored(folder: Path, **languages: list[MaskedPrediction]) -> dict[str, Any]:
    for language, records in languages.items():
        prediction_files.write(prediction_files.path(folder, split="validation", language=language), records)
    return perplexity.score(
        folder, data="text", split="validation", source_languages=["sw"], vocabulary="all 10 ids",
        examples={language: len(records) for language, records in languages.items()}, dropped={}, notes={},
    )  # fmt: skip


def test_scores_are_ratios_of_sums_with_intervals(tmp_path: Path) -> None:
    found = scored(tmp_path, en=RECORDS, sw=[MaskedPrediction(index=0, masked=2, right=2, nll=0.0)])

    assert list(found["languages"]) == ["sw", "en"], "those trained on first"
    english = found["languages"]["en"]
    assert (english["masked"], english["examples"], english["accuracy"]) == (8, 3, 5 / 8)
    assert english["perplexity"] == pytest.approx(math.e)
    assert english["log_likelihood"] == -1.0
    low, high = english["interval"]
    # From three times the better example to three times the worse one.
    assert math.exp(2 / 5) - 1e-9 <= low < math.e < high <= math.exp(6 / 3) + 1e-9
    assert found["languages"]["sw"]["perplexity"] == 1.0
    assert "transfer" not in found


def test_what_was_left_out_is_told(tmp_path: Path) -> None:
    record = MaskedPrediction(index=0, masked=2, right=1, nll=3.0, inactive=4)
    found = scored(tmp_path, en=RECORDS, sw=[record])
    assert found["languages"]["sw"]["inactive"] == 4
    assert "inactive" not in found["languages"]["en"]
    told = perplexity.markdown([found], facts={"run": "a|b"})
    assert "does not have them (sw 4)" in told
    assert "a\\|b" in told
    assert "| en English | 2.72 (" in told
    assert "each masked token is guessed from all 10 ids" in told


def test_nothing_to_guess_is_an_error_and_no_perfect_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"en.jsonl: none of its masked tokens could be guessed"):
        scored(tmp_path, en=[MaskedPrediction(index=0, masked=0, right=0, nll=0.0, inactive=3)])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"index": 0, "masked": 2, "right": 3, "nll": 1.0}, "3 right of 2 masked tokens are no counts"),
        ({"index": 0, "masked": 2.5, "right": 1, "nll": 1.0}, "are no counts"),
        ({"index": 0, "masked": 2, "right": 1, "nll": -1.0}, "nll -1.0 is no negative log-likelihood"),
        ({"index": 0, "masked": 2, "right": 1, "nll": float("nan")}, "is no negative log-likelihood"),
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


def test_scores_are_read_again_and_are_no_scores_of_a_task(tmp_path: Path) -> None:
    found = scored(tmp_path, en=RECORDS)
    scoring.write(found, tmp_path)
    assert perplexity.read_all(tmp_path) == [found]
    with pytest.raises(UserError, match="scores of masked tokens, which this command does not read"):
        scoring.read_all(tmp_path)
    (tmp_path / "scores/validation.json").write_text(json.dumps(found | {"metric": "accuracy"}))
    with pytest.raises(UserError, match="metric 'accuracy' are not known here"):
        perplexity.read_all(tmp_path)
