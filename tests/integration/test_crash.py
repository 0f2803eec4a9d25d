"""Runs survive what ends them: signals, kills, damaged files, full disks; what follows is equal bit for bit."""

import gc
import importlib
import json
import os
import platform
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from babelfit.files.lock import locked
from babelfit.finetuning.finetuner import Finetuner
from babelfit.run.run import Run

ARGUMENTS = (
    "validation.every=4",
    "data.languages=[en,de]",
    "logger.every=1",
    "trainer.tokens_per_device=300",
    "encoder.overrides.hidden_dropout_prob=0.1",
    "encoder.overrides.attention_probs_dropout_prob=0.1",
)
"""12 steps, 6 an epoch; validated at 4, 8 and 12, in several batches. Dropout is on."""

WHOLE, STOPPED = Path("outputs/whole"), Path("outputs/stopped")


def send(method: str, *, at: int, number: int, patch: pytest.MonkeyPatch) -> None:
    """Send this process a signal in a Finetuner method at (that is, on the way to) a step; in its second batch."""
    original = getattr(Finetuner, method)
    calls = []

    def signalled(self: Finetuner, *given: Any) -> Any:
        if self.global_step + (method == "training_step") == at:
            calls.append(method)
            if len(calls) == (2 if method == "validation_step" else 1):
                os.kill(os.getpid(), number)
        return original(self, *given)

    patch.setattr(Finetuner, method, signalled)


def stop(
    train: Callable[..., Any], *arguments: str, method: str = "training_step", at: int, number: int = signal.SIGTERM
) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        send(method, at=at, number=number, patch=patch)
        outcome = train("name=stopped", *ARGUMENTS, *arguments)
    assert outcome.status == 75, outcome.err
    return outcome


@pytest.fixture
def whole(finished: Callable[..., Any]) -> Callable[..., Any]:
    """Have an uninterrupted run."""
    return lambda *arguments: finished("name=whole", *ARGUMENTS, *arguments)


@pytest.fixture
def stopped(train: Callable[..., Any], once: Callable[..., Any]) -> Callable[..., Any]:
    """Have a run that was stopped on the way to a step."""
    return lambda *, at: once(lambda: stop(train, at=at), "stopped", at)


@pytest.fixture
def finish(train: Callable[..., Any], whole: Callable[..., Any]) -> Callable[..., Any]:
    """Go on with the stopped run, have an uninterrupted one, and compare all that they leave."""

    def compared(*arguments: str) -> Any:
        outcome = train("name=stopped", *ARGUMENTS, *arguments)
        assert outcome.status == 0, outcome.err
        whole(*arguments)
        assert_same()
        return outcome

    return compared


def assert_same() -> None:
    for path in ("metrics.csv", "predictions/test/en.jsonl", "predictions/test/de.jsonl", "scores/test.json"):
        assert (STOPPED / path).read_bytes() == (WHOLE / path).read_bytes(), path
    one, two = (load_file(run / "model" / "model.safetensors") for run in (WHOLE, STOPPED))
    assert all(torch.equal(value, two[key]) for key, value in one.items())
    assert status(STOPPED)["selected"] == status(WHOLE)["selected"]
    assert status(STOPPED)["state"] == "complete"


def status(run: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((run / "status.json").read_text())
    return values


def damage(path: Path) -> None:
    """Flip a bit in the middle, for all its names."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finetuner, "training_step", lambda *_: pytest.fail("trained again"))


# Signals


@pytest.mark.parametrize(
    ("method", "at", "saved"),
    [
        ("training_step", 5, 5),
        ("training_step", 4, 4),  # validation is due and owed
        ("training_step", 6, 6),  # the end of an epoch
        ("training_step", 12, 12),  # the last step, its validation owed
        ("validation_step", 8, 8),
        ("validation_step", 12, 12),
        ("on_validation_epoch_end", 12, 12),  # when all is done but the end
    ],
)
def test_a_signal_is_answered_with_a_checkpoint_and_changes_nothing(
    train: Callable[..., Any], finish: Callable[..., Any], method: str, at: int, saved: int
) -> None:
    outcome = stop(train, method=method, at=at)

    assert "stopped by SIGTERM" in outcome.err
    assert status(STOPPED)["state"] == "interrupted"
    assert status(STOPPED)["why"] == "by SIGTERM"
    last = torch.load(STOPPED / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == saved
    assert not list(STOPPED.rglob("*.tmp"))
    resumed = finish()
    assert f"going on from {STOPPED}/checkpoints/last.ckpt, step {saved}" in resumed.err


@pytest.mark.parametrize("method", ["training_step", "validation_step"])
def test_a_validation_at_the_end_of_an_epoch_is_made_up_for(
    train: Callable[..., Any], finish: Callable[..., Any], method: str
) -> None:
    stop(train, "validation.every=epoch", method=method, at=6)
    stop(train, "validation.every=epoch", method="validation_step", at=6)  # while it is made up for
    stop(train, "validation.every=epoch", at=7)
    finish("validation.every=epoch")


def test_a_run_stopped_at_every_step_ends_the_same(train: Callable[..., Any], finish: Callable[..., Any]) -> None:
    for step in range(1, 13):
        stop(train, "validation.every=3", "validation.patience=3", at=step)
    finish("validation.every=3", "validation.patience=3")


@pytest.mark.parametrize(
    ("at", "arguments"),
    [(4, ()), (6, ("validation.every=epoch",)), (12, ())],
)
def test_a_validation_made_up_for_is_not_made_again(
    train: Callable[..., Any],
    whole: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    arguments: tuple[str, ...],
) -> None:
    validated: list[int] = []
    started = Finetuner.on_validation_epoch_start

    def noted(self: Finetuner) -> None:
        validated.append(self.global_step)
        started(self)

    def broken(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    stop(train, *arguments, at=at)
    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        patch.setattr("babelfit.training._outcome", broken)  # where no step is left
        patch.setattr(Finetuner, "on_validation_epoch_start", noted)
        assert train("name=stopped", *ARGUMENTS, *arguments).status == 130
        assert validated == [at]
    last = torch.load(STOPPED / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == at
    assert not last["callbacks"]["Checkpoints"]["owes_validation"]
    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "on_validation_epoch_start", noted)
        assert train("name=stopped", *ARGUMENTS, *arguments).status == 0
        assert at not in validated[1:]
    whole(*arguments)
    assert_same()


def test_a_lost_status_after_a_validation_made_up_for_is_no_loss(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ever better, so that the last step is the one selected.
    monkeypatch.setattr(Trainer, "callback_metrics", property(lambda self: {"source_dev": self.global_step / 100}))
    stop(train, at=12)
    assert train("name=stopped", *ARGUMENTS).status == 0
    before = status(STOPPED)
    assert before["selected"]["step"] == 12
    (STOPPED / "status.json").unlink()
    no_training(monkeypatch)
    outcome = train("name=stopped", *ARGUMENTS)
    assert outcome.status == 0, outcome.err
    assert status(STOPPED)["selected"] == before["selected"]


def test_a_training_that_ends_too_soon_is_no_success(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("babelfit.batches.steps.Steps.__iter__", lambda self: iter([(0, 0)]))
    outcome = train("name=stopped", *ARGUMENTS)
    assert outcome.status == 1
    assert "training ended at step 2 of 12" in outcome.err
    assert status(STOPPED)["state"] == "failed"


def test_sigusr1_too(train: Callable[..., Any]) -> None:
    assert "stopped by SIGUSR1" in stop(train, at=3, number=signal.SIGUSR1).err
    assert status(STOPPED)["why"] == "by SIGUSR1"


def test_a_signal_before_training_ends_at_once(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("babelfit.training.Prepared.model", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
        assert train("name=stopped", *ARGUMENTS).status == 75
    assert not STOPPED.exists()


def test_a_signal_during_evaluation_ends_at_once(
    train: Callable[..., Any], whole: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop(train, method="predict_step", at=0)
    assert status(STOPPED)["state"] == "interrupted"
    with monkeypatch.context() as patch:
        no_training(patch)
        assert train("name=stopped", *ARGUMENTS).status == 0
    whole()
    assert_same()


class Sends:
    """Send a signal in a destructor, as the collector of garbage calls it: whatever is raised there is swallowed."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.page
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "place",
    [
        "babelfit.training.return_freed_memory",
        "babelfit.training.export",
        "babelfit.training.facts_of",
        "babelfit.evaluation.load_fine_tuned",
        "babelfit.evaluation.write_predictions",
        "babelfit.scoring.scoring.resample",
        "babelfit.reports.page.write_page",
        "babelfit.reports.charts.curves",
    ],
)
def test_a_signal_after_training_is_not_lost(
    train: Callable[..., Any], whole: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, _, name = place.rpartition(".")
    called = getattr(importlib.import_module(module), name)

    def sending(*given: Any, **more: Any) -> Any:
        Sends()
        gc.collect()
        return called(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(place, sending)
        outcome = train("name=stopped", *ARGUMENTS)
    assert (outcome.status, status(STOPPED)["state"]) == (75, "interrupted"), outcome.err
    assert train("name=stopped", *ARGUMENTS).status == 0
    whole()
    assert_same()


def test_ctrl_c_during_evaluation_is_ctrl_c(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Finetuner, "predict_step", interrupted)
    assert train("name=stopped", *ARGUMENTS).status == 130
    assert (status(STOPPED)["state"], status(STOPPED)["why"]) == ("interrupted", "by the keyboard")


def test_the_handlers_of_before_are_there_afterwards(train: Callable[..., Any]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    stop(train, at=3)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.fixture
def scontrol(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake scontrol on PATH, which notes how it was called; and a job that Lightning takes for SLURM's too."""
    script, calls = in_folder / "bin" / "scontrol", in_folder / "calls"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    job = {"JOB_ID": "123", "NTASKS": "1", "NTASKS_PER_NODE": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in (job | {"NNODES": "1", "JOB_NAME": "train"}).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_slurm_job_is_put_back_into_the_queue_once(train: Callable[..., Any], scontrol: Path, number: int) -> None:
    outcome = stop(train, at=3, number=number)
    assert scontrol.read_text() == "requeue 123\n"
    assert "job 123 is requeued" in outcome.err
    assert not list(STOPPED.rglob("hpc_ckpt*")), "Lightning answered, too"


def test_a_task_of_a_slurm_array_is_put_back_by_its_own_number(
    train: Callable[..., Any], scontrol: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "120")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    stop(train, at=3)
    assert scontrol.read_text() == "requeue 120_7\n"


def test_a_second_signal_does_not_keep_a_job_out_of_the_queue(train: Callable[..., Any], scontrol: Path) -> None:
    script = scontrol.parent / "bin" / "scontrol"
    script.write_text(script.read_text() + "kill -TERM $PPID\nsleep 0.2\n")
    passed_by: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: passed_by.append(number))
    try:
        outcome = stop(train, at=3)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "job 123 is requeued" in outcome.err
    assert not passed_by


@pytest.mark.parametrize("how", ["refusing", "missing"])
def test_a_job_that_cannot_be_put_back_says_so(
    train: Callable[..., Any], scontrol: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "missing":
        monkeypatch.setenv("PATH", "/nowhere")
    else:
        (scontrol.parent / "bin" / "scontrol").write_text("#!/bin/sh\necho not allowed >&2\nexit 1\n")
    outcome = stop(train, at=3)
    assert "submit it again" in outcome.err
    assert ("not allowed" in outcome.err) == (how == "refusing")


# Damage


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_it_used(
    stopped: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    stopped(at=10)
    damage(STOPPED / "checkpoints" / "last.ckpt")
    outcome = finish()
    assert f"{STOPPED}/checkpoints/last.ckpt is damaged" in outcome.err
    assert "(step 8) instead" in outcome.err


def test_a_torn_last_checkpoint_is_no_better(stopped: Callable[..., Any], finish: Callable[..., Any]) -> None:
    stopped(at=10)
    os.truncate(STOPPED / "checkpoints" / "last.ckpt", 1000)
    assert "last.ckpt is damaged" in finish().err


def test_a_damaged_selected_checkpoint_is_made_again(
    train: Callable[..., Any], whole: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("babelfit.training.export", killed)
        assert train("name=stopped", *ARGUMENTS, "checkpoint.keep=3").status == 130
    selected = status(STOPPED)["selected"]
    damage(STOPPED / "checkpoints" / selected["file"])
    outcome = train("name=stopped", *ARGUMENTS, "checkpoint.keep=3")

    if selected["step"] == 4:  # nothing is older
        assert outcome.status == 2
        assert "trains again from the start" in outcome.err
        for path in (STOPPED / "checkpoints").iterdir():
            path.unlink()
        outcome = train("name=stopped", *ARGUMENTS, "checkpoint.keep=3")
    assert outcome.status == 0, outcome.err
    whole("checkpoint.keep=3")
    assert_same()


def test_nothing_but_damaged_checkpoints_are_not_taken_for_none(
    train: Callable[..., Any], stopped: Callable[..., Any]
) -> None:
    stopped(at=10)
    for path in (STOPPED / "checkpoints").glob("*.ckpt"):
        path.write_bytes(b"nothing")
    outcome = train("name=stopped", *ARGUMENTS)
    assert outcome.status == 2
    assert "delete this folder" in outcome.err


def test_a_lost_checksum_list_is_told(stopped: Callable[..., Any], finish: Callable[..., Any]) -> None:
    stopped(at=10)
    (STOPPED / "checkpoints" / "checksums.json").unlink()
    assert "last.ckpt is used unchecked" in finish().err


# The log


def test_tensorboard_shows_each_step_once_after_a_resume(train: Callable[..., Any], finish: Callable[..., Any]) -> None:
    def broken(self: Finetuner, *given: Any) -> torch.Tensor:
        if self.global_step == 7:
            raise KeyboardInterrupt
        return step(self, *given)

    step = Finetuner.training_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        assert train("name=stopped", *ARGUMENTS).status == 130
    assert "step 4" in finish().err, "steps 5 to 7 are logged twice"
    events = EventAccumulator(str(STOPPED / "tensorboard"))
    events.Reload()
    assert [one.step for one in events.Scalars("train/loss")] == list(range(1, 13))
    assert [one.step for one in events.Scalars("source_dev")] == [4, 8, 12]


# Early stopping


def test_a_run_that_had_stopped_early_does_not_train_on(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("name=stopped", "data.languages=[en]", "validation.every=1", "validation.patience=2")
    arguments += ("optimization.learning_rate=0",)

    def killed(self: Run, state: str, **facts: Any) -> None:
        if "selected" in facts:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "set_status", killed)
        assert train(*arguments).status == 130
    no_training(monkeypatch)
    outcome = train(*arguments)
    assert outcome.status == 0, outcome.err
    assert status(STOPPED)["selected"]["step"] == 1
    assert "step 3" in outcome.err


# Sentries


def rows_of(outcome: Any) -> list[int]:
    (line,) = (line for line in outcome.err.splitlines() if line.startswith("  en: rows"))
    return [int(number) for number in line.removeprefix("  en: rows ").split(" (")[0].split()]


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_no_number_ends_the_run_and_names_step_and_rows(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    loss, seen = Finetuner._loss, []

    def broken(self: Finetuner, batch: Any) -> torch.Tensor:
        if self.global_step != 5:
            return loss(self, batch)
        seen.extend(batch.indices.tolist())
        return loss(self, batch) * float(value)

    monkeypatch.setattr(Finetuner, "_loss", broken)
    validated: list[int] = []
    monkeypatch.setattr(Finetuner, "on_validation_epoch_start", lambda self: validated.append(self.global_step))
    # Asked for only at step 10, or before the validation at step 8.
    outcome = train("name=stopped", *ARGUMENTS, "logger.every=10")

    assert outcome.status == 2
    assert "the loss of step 6 is not finite" in outcome.err
    assert rows_of(outcome) == sorted(seen)
    assert "train-en.tsv" in outcome.err
    assert status(STOPPED)["state"] == "failed"
    assert "step 6" in status(STOPPED)["why"]
    last = torch.load(STOPPED / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 4
    assert validated == [4]


def test_a_loss_that_is_no_number_is_noticed_when_it_is_logged(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, steps = Finetuner._loss, []

    def broken(self: Finetuner, batch: Any) -> torch.Tensor:
        steps.append(self.global_step + 1)
        return loss(self, batch) * (float("nan") if self.global_step == 4 else 1)

    monkeypatch.setattr(Finetuner, "_loss", broken)
    outcome = train("name=stopped", *ARGUMENTS, "logger.every=3", "validation.every=12")
    assert "the loss of step 5 is not finite" in outcome.err
    assert steps[-1] == 6


@pytest.mark.parametrize("clip", ["1.0", "null"])
def test_a_gradient_that_is_no_number_is_told_from_the_loss(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, clip: str
) -> None:
    loss = Finetuner._loss

    def broken(self: Finetuner, batch: Any) -> torch.Tensor:
        right = loss(self, batch)
        return right + (right * 0).sqrt() if self.global_step == 3 else right

    monkeypatch.setattr(Finetuner, "_loss", broken)
    outcome = train("name=stopped", *ARGUMENTS, f"optimization.clip={clip}")

    assert outcome.status == 2
    assert "the gradient of step 4 is not finite" in outcome.err
    assert not (STOPPED / "checkpoints" / "last.ckpt").exists()


def test_weights_that_are_no_numbers_are_not_saved(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Finetuner.on_validation_epoch_end

    def broken(self: Finetuner) -> None:
        ended(self)
        if self.global_step == 8:
            next(self.parameters()).data[0] = float("nan")

    monkeypatch.setattr(Finetuner, "on_validation_epoch_end", broken)
    outcome = train("name=stopped", *ARGUMENTS)

    assert outcome.status == 2
    assert "the weights after step 8 are not finite" in outcome.err
    assert torch.load(STOPPED / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4


def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note which steps are taken from now on."""
    step, taken = Finetuner.training_step, []

    def noted(self: Finetuner, *given: Any) -> Any:
        taken.append(self.global_step + 1)
        return step(self, *given)

    monkeypatch.setattr(Finetuner, "training_step", noted)
    return taken


def test_a_score_at_chance_is_warned_about(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    never = ("optimization.learning_rate=0", "validation.every=1", "optimization.max_steps=4", "data.languages=[en]")
    outcome = train("name=stopped", *never)
    assert [line.count("for 3 validations in a row") for line in outcome.err.splitlines() if "AT CHANCE" in line] == [1]
    assert "AT CHANCE" not in train("name=patient", *never, "validation.chance_patience=5").err
    assert "AT CHANCE" not in train("name=silent", *never, "validation.chance_patience=null").err
    stopped = train("name=strict", *never, "validation.at_chance=stop")
    assert stopped.status == 2
    assert "AT CHANCE" in stopped.err
    assert "validation.at_chance=warn" in stopped.err
    assert json.loads(Path("outputs/strict/status.json").read_text())["state"] == "failed"
    assert torch.load("outputs/strict/checkpoints/last.ckpt", weights_only=True)["global_step"] == 3
    again = train("name=strict", *never, "validation.at_chance=stop")
    assert again.status == 2
    assert "AT CHANCE" in again.err, "the same command comes to the same"
    taken = steps_taken(monkeypatch)
    assert train("name=strict", *never, "validation.at_chance=warn").status == 0, "the same run goes on"
    assert taken == [4], "and repeats nothing"


def test_a_score_at_chance_stops_a_run_after_its_last_step(train: Callable[..., Any]) -> None:
    never = ("optimization.learning_rate=0", "validation.every=1", "optimization.max_steps=3", "data.languages=[en]")
    for _ in range(2):
        stopped = train("name=strict", *never, "validation.at_chance=stop")
        assert (stopped.status, "AT CHANCE" in stopped.err) == (2, True)
    assert train("name=strict", *never, "validation.at_chance=warn").status == 0


def test_a_tagger_that_finds_no_span_is_warned_about(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Finetuner._outputs
    # The first label is O.
    monkeypatch.setattr(Finetuner, "_outputs", lambda self, batch: {"logits": outputs(self, batch)["logits"] * 0})
    never = ("optimization.learning_rate=0", "validation.every=1", "optimization.max_steps=3", "data.languages=[en]")
    outcome = train("data=wikiann", "data.folder=sample", *never)
    assert "AT CHANCE: source_dev is 0.0 after step 3" in outcome.err


# Power cuts


def test_all_that_a_complete_run_consists_of_is_on_the_disk(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, synced = os.fsync, set()

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    assert train("name=whole", *ARGUMENTS, "logger.tensorboard=false").status == 0
    there = {str(path.relative_to(WHOLE)): path.stat().st_ino for path in WHOLE.rglob("*")}
    assert {name for name, inode in there.items() if inode not in synced} <= {"lock", "metrics.csv"}


# Who works in a run, and how it stands


def test_a_second_process_in_the_same_run_is_refused(
    train: Callable[..., Any], command: Callable[..., Any], whole: Callable[..., Any]
) -> None:
    whole()
    holder = f"process {os.getpid()} on {platform.node()}"
    before = {path: path.read_bytes() for path in WHOLE.rglob("*") if path.is_file() and path.name != "lock"}
    with locked(WHOLE):
        for outcome in (train("name=whole", *ARGUMENTS), command("evaluate.py", f"run={WHOLE}")):
            assert outcome.status == 2
            assert f"{holder} works in {WHOLE}" in outcome.err
    assert {path: path.read_bytes() for path in WHOLE.rglob("*") if path.is_file() and path.name != "lock"} == before
    assert train("name=whole", *ARGUMENTS).status == 0


def test_a_second_evaluation_into_the_same_folder_is_refused(
    command: Callable[..., Any], whole: Callable[..., Any]
) -> None:
    whole()
    arguments = (f"model={WHOLE}/model", "data=xnli_sample", "languages=[de]", "name=other")
    Path("outputs/other").mkdir()
    with locked(Path("outputs/other")):
        assert "works in outputs/other" in command("evaluate.py", *arguments).err
    assert command("evaluate.py", *arguments).status == 0


@pytest.mark.parametrize("alive", [True, False])
def test_evaluate_says_what_a_run_without_model_is(
    command: Callable[..., Any], stopped: Callable[..., Any], alive: bool
) -> None:
    stopped(at=5)
    (STOPPED / "status.json").write_text(json.dumps({"state": "running", "process": 99, "host": "far"}))
    if alive:
        with locked(STOPPED):
            outcome = command("evaluate.py", f"run={STOPPED}")
        assert "its training is running" in outcome.err
    else:
        outcome = command("evaluate.py", f"run={STOPPED}")
        assert "its training is killed (process 99 on far is gone without a word" in outcome.err
    assert outcome.status == 2


def test_a_killed_run_says_so_and_goes_on(stopped: Callable[..., Any], finish: Callable[..., Any]) -> None:
    stopped(at=5)
    (STOPPED / "status.json").write_text(json.dumps({"state": "running", "process": 99, "host": "far"}))
    assert "process 99 on far is gone without a word" in finish().err


@pytest.mark.parametrize("content", ["{", "", "[]", '{"selected": 1}', "[" * 100_000])
def test_a_damaged_status_can_be_deleted_without_training_again(
    train: Callable[..., Any],
    command: Callable[..., Any],
    whole: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    content: str,
) -> None:
    whole("checkpoint.keep=2")
    before = status(WHOLE)
    (WHOLE / "status.json").write_text(content)
    for outcome in (train("name=whole", *ARGUMENTS, "checkpoint.keep=2"), command("evaluate.py", f"run={WHOLE}")):
        assert outcome.status == 2
        assert "status.json is damaged" in outcome.err
        assert "Delete it" in outcome.err
    assert (WHOLE / "status.json").read_text() == content
    (WHOLE / "status.json").unlink()
    no_training(monkeypatch)
    assert train("name=whole", *ARGUMENTS, "checkpoint.keep=2").status == 0
    after = status(WHOLE)
    assert (after["state"], after["selected"]) == ("complete", before["selected"])


def test_a_status_that_is_gone_with_all_checkpoints_is_not_guessed(
    train: Callable[..., Any], whole: Callable[..., Any]
) -> None:
    whole()
    (WHOLE / "status.json").unlink()
    for path in (WHOLE / "checkpoints").iterdir():
        path.unlink()
    outcome = train("name=whole", *ARGUMENTS)
    assert outcome.status == 2
    assert "babelfit evaluate model=outputs/whole/model" in outcome.err


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError])
def test_a_complete_run_that_is_started_in_vain_stays_complete(
    train: Callable[..., Any], whole: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        assert status(WHOLE)["state"] == "running"
        raise end("changed")

    whole()
    before = (WHOLE / "status.json").read_bytes()
    monkeypatch.setattr("babelfit.run.manifest.add", broken)
    assert train("name=whole", *ARGUMENTS).status in (1, 130)
    assert (WHOLE / "status.json").read_bytes() == before
    # Without its model it is complete no more.
    shutil.rmtree(WHOLE / "model")
    assert train("name=whole", *ARGUMENTS).status in (1, 130)
    assert status(WHOLE)["state"] in ("failed", "interrupted")


def test_a_run_killed_before_its_configuration_was_written_starts(train: Callable[..., Any]) -> None:
    STOPPED.mkdir(parents=True)
    for name in ("lock", "config.yaml.tmp"):
        (STOPPED / name).write_text("vers")
    assert train("name=stopped", *ARGUMENTS, "resume=never").status == 0


def test_a_checkpoint_that_reads_back_otherwise_replaces_nothing(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Trainer.save_checkpoint

    def unsound(self: Trainer, path: Path, **options: Any) -> None:
        save(self, path, **options)
        if self.global_step == 8:
            damage(Path(path))

    monkeypatch.setattr(Trainer, "save_checkpoint", unsound)
    outcome = train("name=stopped", *ARGUMENTS)
    assert outcome.status == 2
    assert "the checkpoint at step 8 could not be written" in outcome.err
    assert "does not read back" in outcome.err
    assert torch.load(STOPPED / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
