"""A run that compares selections trains and selects as one that does not, and scores what others would have chosen."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from babelfit import evaluation

LANGUAGES = ["en", "de", "sw", "zh"]
ARGUMENTS = ("data.languages=[en,de,sw,zh]", "validation.every=2", "optimization.max_steps=8", "name=run",
             "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, "
             "intermediate_size: 64, hidden_dropout_prob: 0.1}")  # fmt: skip
COMPARED = (*ARGUMENTS, "checkpoint.compare=true", "checkpoint.average=3")
RUN = Path("outputs/run")


def found(run: Path = RUN) -> dict[str, Any]:
    document = json.loads((run / "selections.json").read_text())
    return {one["by"]: one for one in document["selections"]}


def logged(run: Path) -> dict[str, dict[int, float]]:
    with (run / "metrics.csv").open(newline="") as file:
        values: dict[str, dict[int, float]] = {}
        for row in csv.DictReader(file):
            values.setdefault(row["metric"], {})[int(row["step"])] = float(row["value"])
    return values


def predicted(run: Path) -> dict[str, bytes]:
    folder = run / "selections"
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.jsonl")}


def best(values: dict[int, float]) -> int:
    return max(values, key=lambda step: (values[step], -step))


@pytest.mark.page
def test_what_others_would_have_chosen_is_scored(train: Callable[..., Any]) -> None:
    outcome = train(*COMPARED)

    assert outcome.status == 0, outcome.err
    one, dev = found(), logged(RUN)
    chosen = {name: {tuple(steps) for steps in values["steps"].values()} for name, values in one.items()}
    assert chosen["source_dev"] == {(best(dev["source_dev"]),)}
    assert chosen["mean_dev"] == {(best(dev["mean_dev"]),)}
    assert chosen["last"] == {(8,)}
    assert chosen["average"] == {(4, 6, 8)}
    assert one["oracle"]["steps"] == {
        language: [best(dev[f"validation/accuracy/{language}"])] for language in LANGUAGES
    }
    assert len({tuple(steps) for values in one.values() for steps in values["steps"].values()}) > 2, "different ones"
    # The run's own model is that of source dev.
    scores = json.loads((RUN / "scores" / "test.json").read_text())
    assert one["source_dev"]["languages"] == pytest.approx(
        {language: values["accuracy"] for language, values in scores["languages"].items()}
    )
    # It is told on the terminal, in report.md and on the page, and the checkpoints that nobody needs any more are gone.
    assert "Checkpoints otherwise selected: xnli (synthetic sample), test" in outcome.out
    assert "| own dev" in (RUN / "report.md").read_text()
    assert "own dev (oracle)" in (RUN / "report.html").read_text()
    assert len(list((RUN / "checkpoints").glob("*.ckpt"))) == 1
    assert not list((RUN / "selections").glob("*/model"))


def test_the_run_is_the_same_as_without_a_comparison(train: Callable[..., Any], finished: Callable[..., Any]) -> None:
    finished(*COMPARED)
    assert train(*ARGUMENTS, "name=plain").status == 0

    plain = Path("outputs/plain")
    assert (RUN / "scores" / "test.json").read_bytes() == (plain / "scores" / "test.json").read_bytes()
    own, theirs = logged(RUN), logged(plain)
    assert {name: own[name] for name in theirs} == theirs
    weights, others = (load_file(run / "model" / "model.safetensors") for run in (RUN, plain))
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert not (plain / "selections.json").exists()


def test_what_each_selection_scores_is_what_a_run_that_ends_there_scores(
    train: Callable[..., Any], finished: Callable[..., Any]
) -> None:
    """The last checkpoint scores as a run whose only validation is the last."""
    finished(*COMPARED)
    assert train(*ARGUMENTS, "validation.every=8", "name=last").status == 0
    scores = json.loads(Path("outputs/last/scores/test.json").read_text())["languages"]

    assert found()["last"]["languages"] == pytest.approx({one: values["accuracy"] for one, values in scores.items()})


def test_killed_between_two_models_it_goes_on_with_the_second(
    train: Callable[..., Any], finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(*COMPARED)
    shutil.move("outputs", "whole")
    predict, asked = evaluation.predict, []

    def killed(predictor: evaluation.Predictor, **options: Any) -> Any:
        asked.append(predictor.model)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return predict(predictor, **options)

    monkeypatch.setattr(evaluation, "predict", killed)
    assert train(*COMPARED).status != 0
    done = [Path(model).parent.name for model in asked[:2]]
    assert not (RUN / "selections.json").exists()
    assert train(*COMPARED).status == 0

    again = [Path(model).parent.name for model in asked[3:]]
    assert done[0] == "run"
    assert not set(done) & set(again), "nothing is predicted twice"
    assert found() == found(Path("whole/run"))
    assert predicted(RUN) == predicted(Path("whole/run"))


@pytest.mark.parametrize("lost", ["status.json", "selections.json"])
def test_a_lost_file_of_a_complete_run_is_made_again_without_training(
    train: Callable[..., Any], finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    finished(*COMPARED)
    before = found(), json.loads((RUN / "status.json").read_text())["selected"]
    (RUN / lost).unlink()
    monkeypatch.setattr("babelfit.training.train", None)
    monkeypatch.setattr(evaluation, "predict", None)
    outcome = train(*COMPARED)

    assert outcome.status == 0, outcome.err
    assert (found(), json.loads((RUN / "status.json").read_text())["selected"]) == before


def test_an_exported_candidate_does_not_outlive_its_predictions(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = evaluation.write_predictions

    def killed(columns: Any, *, folder: Path, **options: Any) -> None:
        written(columns, folder=folder, **options)
        if folder != RUN:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "write_predictions", killed)
        assert train(*COMPARED).status != 0
    assert list((RUN / "selections").glob("*/model"))
    assert train(*COMPARED).status == 0
    assert not list((RUN / "selections").glob("*/model"))


def test_few_shot_languages_that_are_not_evaluated_are_not_compared(train: Callable[..., Any]) -> None:
    outcome = train(*COMPARED, "data.regime=few_shot", "data.few_shot.k=2", "data.few_shot.languages=[fr]",
                    "objective=mean_dev", "data.limit.test=null", "data.limit.train=30")  # fmt: skip

    assert outcome.status == 0, outcome.err
    assert sorted(found()["oracle"]["languages"]) == sorted(LANGUAGES)
    assert "true zero-shot" not in outcome.out


def test_sentences_are_compared_by_span_f1_each_language_for_itself(train: Callable[..., Any]) -> None:
    outcome = train(*COMPARED, "data=wikiann", "data.folder=sample")

    assert outcome.status == 0, outcome.err
    document = json.loads((RUN / "selections.json").read_text())
    assert (document["metric"], document["resamples"]["of"]) == ("f1", "examples of each language")
    dev = logged(RUN)
    assert found()["oracle"]["steps"] == {one: [best(dev[f"validation/f1/{one}"])] for one in LANGUAGES}


def test_a_damaged_candidate_is_made_again(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # All stay: an earlier checkpoint serves only while those that were the best then are there.
    arguments = (*COMPARED, "checkpoint.keep=4")
    assert train(*arguments).status == 0
    shutil.move("outputs", "whole")
    predict = evaluation.predict

    def killed(predictor: evaluation.Predictor, **options: Any) -> Any:
        if Path(predictor.model).parent.name != "run":
            raise KeyboardInterrupt
        return predict(predictor, **options)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "predict", killed)
        assert train(*arguments).status != 0
    selected = json.loads((RUN / "status.json").read_text())["selected"]["file"]
    (*_, damaged) = (path for path in sorted((RUN / "checkpoints").glob("step-*.ckpt")) if path.name != selected)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    outcome = train(*arguments)

    assert outcome.status == 0, outcome.err
    assert f"{damaged.name} is damaged" in outcome.err
    assert found() == found(Path("whole/run"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("checkpoint.average=3",), "checkpoint.average=3 is scored beside other selections: add checkpoint.compare="),
        (("checkpoint.compare=true", "checkpoint.average=1"), "checkpoint.average=1: must be at least 2"),
        (("checkpoint.compare=true", "objective_languages=[sw]"), "objective_languages=[sw] with checkpoint.compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(train: Callable[..., Any], arguments: tuple[str, ...], told: str) -> None:
    outcome = train(*ARGUMENTS, *arguments)

    assert outcome.status == 2
    assert told in outcome.err
    assert not Path("outputs").exists()
