"""A tracked run is one run there, however often it is started, with its settings, losses and scores."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny import RANDOM

from babelfit.finetuning import tracking
from babelfit.finetuning.finetuner import Finetuner

mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
pytest.importorskip("wandb", reason="the extra wandb is not installed")

SMALL = (
    *("name=run", "data.languages=[en,de]", "data.limit={train: 64, validation: 16, test: 16}", "logger.every=1"),
    *("logger.tensorboard=false", "optimization.epochs=2", "checkpoint.every=1", *RANDOM),
)
RUN = Path("outputs/run")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.fixture
def stopped_once(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Train, stopped within the third step, and again."""

    def run(*arguments: str) -> None:
        training_step = Finetuner.training_step

        def stopping(self: Finetuner, *given: Any) -> Any:
            if self.global_step == 2:
                raise KeyboardInterrupt
            return training_step(self, *given)

        with monkeypatch.context() as patch:
            patch.setattr(Finetuner, "training_step", stopping)
            assert train(*SMALL, *arguments).status == 130
        outcome = train(*SMALL, *arguments)
        assert outcome.status == 0, outcome.err

    return run


def database() -> Any:
    return mlflow.MlflowClient(f"sqlite:///{Path('outputs/mlflow.db').absolute()}")


def tracked_runs() -> Sequence[Any]:
    client = database()
    experiment = client.get_experiment_by_name("babelfit")
    return list(client.search_runs([experiment.experiment_id]))


def test_mlflow_has_one_run_of_one_that_was_resumed(stopped_once: Callable[..., None]) -> None:
    stopped_once("logger=mlflow", "name=made/trial")
    [run] = tracked_runs()

    assert (run.info.run_name, run.data.tags["sweep"]) == ("made/trial", "made")
    assert run.info.status == "FINISHED"
    assert run.data.params["optimization/learning_rate"]
    steps = database().get_metric_history(run.info.run_id, "train/loss")
    assert {one.step for one in steps} == {1, 2, 3, 4}
    scores = json.loads(Path("outputs/made/trial/scores/test.json").read_text())
    assert run.data.metrics["test/accuracy/de"] == scores["languages"]["de"]["accuracy"]
    assert run.data.metrics["test/target_mean"] == scores["transfer"]["target_mean"]


def test_wandb_goes_on_in_the_same_run(stopped_once: Callable[..., None]) -> None:
    stopped_once("logger=wandb")
    known = json.loads((RUN / "tracking.json").read_text())

    assert known["tracker"] == "wandb"
    written = list(Path("outputs/wandb").glob("offline-run-*"))
    assert len(written) == 2
    assert {path.name.rpartition("-")[2] for path in written} == {known["id"]}


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_read(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    outcome = train(*SMALL, "logger=wandb")

    assert outcome.status == 2
    assert "pip install 'babelfit[wandb]'" in outcome.err
    assert not RUN.exists()


def test_a_file_that_names_no_run_is_told_with_the_next_move(train: Callable[..., Any]) -> None:
    assert train(*SMALL, "logger=mlflow").status == 0
    damaged = "tracking.json is damaged", "delete it, and the run is tracked as a new one"
    gone = "Run with id=gone not found", "to be tracked as a new run, delete outputs/run/tracking.json"
    for content, told in {
        "{": damaged,
        '{"tracker": 3, "id": "a"}': damaged,
        '{"tracker": "mlflow"}': damaged,
        '{"tracker": "mlflow", "id": "gone"}': gone,
    }.items():
        (RUN / "tracking.json").write_text(content)
        outcome = train(*SMALL, "logger=mlflow")

        assert outcome.status == 2
        for part in told:
            assert part in " ".join(outcome.err.split())
