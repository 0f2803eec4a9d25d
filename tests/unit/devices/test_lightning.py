"""What is relied on in Lightning is so in this Lightning: when it validates and stops, signals, and checkpoints."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers.logger import DummyLogger
from small_fit import CONFIG, NUM_VALIDATION_BATCHES, Batches, Module, StopAt, Stopped, fitted
from torch import distributed

from babelfit.checkpoints.checkpoint_files import DurableCheckpointIO
from babelfit.checkpoints.checkpoints import Checkpoints
from babelfit.devices import lightning, preemption
from babelfit.devices.trainer import build_trainer
from babelfit.finetuning.watching import Patience


class MakeUp(Callback):
    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        lightning.validate_now(trainer)


# How long training goes on, and when it validates


@pytest.mark.parametrize(
    ("total", "per_epoch", "every", "expected"),
    [
        (12, 6, 4, [4, 8, 12]),
        (12, 6, 5, [5, 10, 12]),
        (12, 6, 6, [6, 12]),
        (7, 3, 2, [2, 4, 6, 7]),
        (5, 6, 5, [5]),
        (5, 6, 3, [3, 5]),
    ],
)
def test_validations_come_every_so_many_steps_over_epochs_and_after_the_last_step(
    tmp_path: Path, total: int, per_epoch: int, every: int, expected: list[int]
) -> None:
    module = Module(total)
    trainer = fitted(module, tmp_path, per_epoch=per_epoch, every=every)

    assert trainer.global_step == total
    assert module.that("validated") == [f"validated {step}" for step in expected]
    steps = range(1, total + 1)
    assert [one for one in steps if lightning.is_validated(one, total_steps=total, validation_every=every)] == expected


def test_training_that_is_ended_before_its_first_step_does_nothing(tmp_path: Path) -> None:
    class AtOnce(Callback):
        def on_train_start(self, trainer: Trainer, *_: Any) -> None:
            lightning.end_training(trainer)

    module = Module(12)
    fitted(module, tmp_path, AtOnce())
    assert module.events == []


def test_training_that_is_ended_between_validations_is_validated_once_more(tmp_path: Path) -> None:
    class Early(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 6:
                lightning.end_training(trainer)

    module = Module(12)
    trainer = fitted(module, tmp_path, Early())
    assert trainer.global_step == 6
    assert module.that("validated") == ["validated 4", "validated 6"]


@pytest.mark.parametrize("in_validation", [False, True])
@pytest.mark.parametrize(
    ("stopped", "every"),
    [
        pytest.param(4, 4, id="within an epoch"),
        pytest.param(6, 6, id="at the end of an epoch"),
        pytest.param(12, 4, id="at the last step"),
    ],
)
def test_a_validation_made_up_for_is_whole_and_training_goes_on_as_if_nothing_had_been(
    tmp_path: Path, stopped: int, every: int, in_validation: bool
) -> None:
    whole, resumed = Module(12), Module(12)
    fitted(whole, tmp_path, every=every)
    with pytest.raises(Stopped):
        fitted(Module(12), tmp_path, StopAt(stopped, tmp_path / "it.ckpt", in_validation=in_validation), every=every)
    trainer = fitted(resumed, tmp_path, MakeUp(), every=every, resumed=tmp_path / "it.ckpt")

    events = whole.that("step", "validat")
    assert resumed.that("step", "validat") == events[events.index(f"step {stopped}") + 1 :]
    assert resumed.events[1::2][:NUM_VALIDATION_BATCHES] == [f"validation batch at {stopped}"] * NUM_VALIDATION_BATCHES
    assert trainer.global_step == 12


def test_a_run_that_had_stopped_early_takes_no_step_when_it_is_resumed(tmp_path: Path) -> None:
    class SaveAt(Callback):
        def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 8:
                trainer.save_checkpoint(tmp_path / "it.ckpt", weights_only=False)

    first, second = (Module(12, score=lambda _: 0.5) for _ in range(2))
    assert fitted(first, tmp_path, Patience("score", patience=1), SaveAt()).global_step == 8
    trainer = fitted(second, tmp_path, Patience("score", patience=1), resumed=tmp_path / "it.ckpt")

    assert trainer.global_step == 8
    assert second.events == []


class Noted(DummyLogger):
    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.noted.append((step, metrics))


def test_scores_are_logged_at_the_step_that_is_logged_with_them_also_after_a_resume(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fitted(Module(12), tmp_path, StopAt(5, tmp_path / "it.ckpt"))
    logger = Noted()
    fitted(Module(12), tmp_path, resumed=tmp_path / "it.ckpt", logger=[logger])

    assert logger.noted == [(8, {"score": 8.0}), (12, {"score": 12.0})]


# Signals


def test_signals_are_ours_in_training_and_prediction_though_lightning_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(number) for number in preemption.SIGNALS]

    seen: list[list[Any]] = []

    class Look(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            seen.append(handlers())

        on_predict_batch_start = on_train_batch_start

    with preemption.handle_signals():
        ours = handlers()
        trainer = fitted(Module(1), tmp_path, Look(), every=1)
        assert handlers() == ours
        trainer.predict(Module(1), datamodule=Batches(1), return_predictions=False)
        assert seen == [ours] * (1 + NUM_VALIDATION_BATCHES)
        monkeypatch.setattr("babelfit.devices.trainer.leave_signals", lambda _: None)
        fitted(Module(1), tmp_path, Look(), every=1)
        assert seen[-1] != ours, "Lightning leaves signals alone by itself"


def test_no_step_of_several_devices_waits_for_a_signal_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(distributed, "broadcast", lambda *_, **__: asked.append(_))

    class AsOneOfSeveral(Callback):
        def on_train_start(self, *_: Any) -> None:
            monkeypatch.setattr(distributed, "is_initialized", lambda: True)
            monkeypatch.setattr(Trainer, "world_size", 2)

        def on_train_batch_end(self, *_: Any) -> None:
            monkeypatch.setattr(distributed, "is_initialized", lambda: False)
            monkeypatch.setattr(Trainer, "world_size", 1)

    fitted(Module(1), tmp_path, AsOneOfSeveral(), every=1)
    assert not asked
    monkeypatch.setattr("babelfit.devices.trainer.leave_signals", lambda _: None)
    fitted(Module(1), tmp_path, AsOneOfSeveral(), every=1)
    assert asked, "Lightning does not ask any more: nothing need be replaced"


def test_ctrl_c_is_a_keyboard_interrupt_and_another_exit_is_not(tmp_path: Path) -> None:
    class Raise(Callback):
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def setup(self, trainer: Trainer, *_: Any, **__: Any) -> None:
            self.trainer = trainer

        def on_train_batch_start(self, *_: Any) -> None:
            raise self.error

    before = signal.getsignal(signal.SIGINT)
    for error, expected in ((KeyboardInterrupt(), KeyboardInterrupt), (Stopped(), Stopped)):
        limits = lightning.limits(total_steps=1, steps_per_epoch=1, validation_every=1)
        trainer = build_trainer(
            CONFIG, folder=tmp_path, precision="32-true", callbacks=[Raise(error)], logger=False, **limits
        )
        with pytest.raises(expected), lightning.stopped_by_keyboard(trainer):
            trainer.fit(Module(1), datamodule=Batches(1))
    signal.signal(signal.SIGINT, before)


# Checkpoints


def test_a_checkpoint_is_written_by_our_plugin_and_holds_what_is_read_of_it(tmp_path: Path) -> None:
    io = DurableCheckpointIO()
    with pytest.raises(Stopped):
        fitted(Module(12), tmp_path, StopAt(5, tmp_path / "it.ckpt"), plugins=[io])

    assert len(io.sha256()) == 64
    assert torch.load(tmp_path / "it.ckpt", weights_only=True)["global_step"] == 5


def test_callbacks_keep_their_order_and_checkpoints_its_name(tmp_path: Path) -> None:
    last = Checkpoints(
        None,  # type: ignore[arg-type]
        io=DurableCheckpointIO(),
        keep={},
        every=None,
        validation_every=1,
        total_steps=1,
    )
    first = MakeUp()
    trainer = build_trainer(CONFIG, folder=tmp_path, precision="32-true", callbacks=[first, last], logger=False)

    assert trainer.callbacks[-2:] == [first, last]
    assert last.state_key == "Checkpoints", "by which checkpoint files are read"


def test_the_states_of_an_optimizer_are_numbered_as_the_model_and_are_restored(tmp_path: Path) -> None:
    class Numbered(Module):
        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            lightning.number_optimizer_states(checkpoint, module=self)

    whole, resumed = Numbered(12), Numbered(12)
    fitted(whole, tmp_path)
    with pytest.raises(Stopped):
        fitted(Numbered(12), tmp_path, StopAt(5, tmp_path / "it.ckpt"))
    (saved,) = torch.load(tmp_path / "it.ckpt", weights_only=True)["optimizer_states"]
    fitted(resumed, tmp_path, resumed=tmp_path / "it.ckpt")

    assert [group["params"] for group in saved["param_groups"]] == [[1], [0]]
    assert {place: state["exp_avg"].shape for place, state in saved["state"].items()} == {0: (1,), 1: (2,)}
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_double_weights_are_restored_bit_for_bit(tmp_path: Path) -> None:
    whole, resumed = Module(12), Module(12)
    for module in (whole, resumed):
        lightning.convert_before_restoring(module, precision="64-true")
    fitted(whole, tmp_path, precision="64-true")
    begun = Module(12)
    lightning.convert_before_restoring(begun, precision="64-true")
    with pytest.raises(Stopped):
        fitted(begun, tmp_path, StopAt(5, tmp_path / "it.ckpt"), precision="64-true")
    fitted(resumed, tmp_path, precision="64-true", resumed=tmp_path / "it.ckpt")

    assert whole.first.dtype == torch.float64
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
