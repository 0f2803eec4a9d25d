"""The transfer metric loads from its folder with Hugging Face `evaluate`, offline, and agrees with scoring."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import evaluate
import pytest

import babelfit.transfer
from babelfit.predictions import prediction_files
from babelfit.scoring import scoring
from babelfit.scoring.scoring import SplitFacts
from babelfit.tasks import Classification
from babelfit.tasks.classification import LabelPrediction

MODULE = Path(babelfit.transfer.__file__).parent
NAMES = ("yes", "no", "maybe")
# Predicted and gold ids by language.
PAIRS = {
    "en": [(0, 0), (1, 1), (2, 2), (1, 2)],
    "de": [(0, 0), (0, 1), (1, 2), (2, 2)],
    "sw": [(1, 1), (1, 0), (2, 0)],
}


@pytest.fixture
def transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> evaluate.EvaluationModule:
    """The metric, loaded with all caches in a folder of its own."""
    for module in (evaluate.config, evaluate.loading):
        for name in ("HF_EVALUATE_CACHE", "HF_METRICS_CACHE", "HF_MODULES_CACHE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name)
    return evaluate.load(str(MODULE), cache_dir=str(tmp_path / "cache"))


def examples() -> dict[str, list[Any]]:
    flat = [(language, predicted, gold) for language, pairs in PAIRS.items() for predicted, gold in pairs]
    languages, predicted, gold = zip(*flat, strict=True)
    return {"predictions": list(predicted), "references": list(gold), "languages": list(languages)}


def test_the_numbers_are_those_of_scoring(transfer: evaluate.EvaluationModule, tmp_path: Path) -> None:
    for language, pairs in PAIRS.items():
        prediction_files.write(
            prediction_files.path(tmp_path, split="test", language=language),
            [
                LabelPrediction(index=index, gold=NAMES[gold], predicted=NAMES[predicted], probabilities={})
                for index, (predicted, gold) in enumerate(pairs)
            ],
        )
    task = Classification(labels=NAMES)
    facts = SplitFacts(data="xnli", split="test", task=task, is_parallel=False, source_languages=["en"])
    scores = scoring.score(tmp_path, facts)

    computed = transfer.compute(**examples(), source_languages=["en"])

    assert scores.transfer is not None
    assert scores.transfer.worst is not None
    assert computed["transfer"]["worst"]["language"] == scores.transfer.worst.language == "sw"
    for name in ("source", "target_mean", "mean", "gap", "retention"):
        assert computed["transfer"][name] == pytest.approx(getattr(scores.transfer, name)), name
    for language, values in scores.languages.items():
        assert computed["languages"][language] == {
            "accuracy": pytest.approx(values.values["accuracy"]),
            "examples": values.examples,
        }


def test_batches_add_up_to_the_whole(transfer: evaluate.EvaluationModule) -> None:
    whole = transfer.compute(**examples(), source_languages=["en"])
    columns = examples()
    for start in range(0, len(columns["languages"]), 3):
        transfer.add_batch(**{name: values[start : start + 3] for name, values in columns.items()})

    assert transfer.compute(source_languages=["en"]) == whole


@pytest.mark.parametrize("column", ["predictions", "references", "languages"])
def test_inputs_of_different_lengths_are_refused(transfer: evaluate.EvaluationModule, column: str) -> None:
    columns = examples()
    columns[column].pop()

    with pytest.raises(ValueError, match=column):
        transfer.compute(**columns, source_languages=["en"])


def test_undefined_numbers_are_none(transfer: evaluate.EvaluationModule) -> None:
    computed = transfer.compute(**examples(), source_languages=["fr"])["transfer"]

    assert (computed["source"], computed["gap"], computed["retention"]) == (None, None, None)


def test_inputs_are_explained(transfer: evaluate.EvaluationModule) -> None:
    for name in ("predictions", "references", "languages", "source_languages"):
        assert f"{name} (" in transfer.inputs_description


def test_the_arithmetic_needs_no_library() -> None:
    code = "import sys, babelfit.transfer.numbers; sys.exit(bool({'evaluate', 'datasets', 'torch'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
