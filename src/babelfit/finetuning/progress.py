"""How far training and prediction are, as lines of the log: a bar is nothing for a file."""

import logging
import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console

log = logging.getLogger(__name__)

SECONDS_BETWEEN = 120
"""A line comes at least as often, as far as a step or a batch ends."""


class ProgressLines(Callback):
    """Log how far a training is, at each validation and every few minutes."""

    def __init__(self, *, total_steps: int, rows_per_step: int) -> None:
        self._total_steps = total_steps
        self._rows_per_step = rows_per_step
        self._clock = _Clock()
        self._first = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Count from here."""
        self._clock, self._first = _Clock(), trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Speak up where it is time."""
        if self._clock.is_due():
            self._say(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Speak up with the scores."""
        self._say(trainer, module)

    def _say(self, trainer: Trainer, module: Any) -> None:
        step, done = trainer.global_step, trainer.global_step - self._first
        numbers = [f"{name} {value:.4g}" for name, value in module.shown.items()]
        if done:
            numbers.append(f"{done * self._rows_per_step / self._clock.seconds():,.0f} rows/s")
            numbers.append(f"{self._clock.left(done, of=self._total_steps - self._first)} left")
        log.info("%s", ", ".join([f"step {step} of {self._total_steps}", *numbers]))
        self._clock.said()


class PredictionLines(Callback):
    """Log how far a prediction is every few minutes."""

    def on_predict_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Count from here."""
        self._clock = _Clock()

    def on_predict_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, number: int, *_: Any
    ) -> None:
        """Speak up where it is time."""
        if self._clock.is_due():
            of = int(trainer.num_predict_batches[0])
            log.info("predicted batch %d of %d, %s left", number + 1, of, self._clock.left(number + 1, of=of))
            self._clock.said()


def without_a_bar(*lines: Callback) -> list[Callback]:
    """Return what logs lines where nothing draws a bar: neither a terminal nor a notebook."""
    console = Console()
    return [] if console.is_terminal or console.is_jupyter else list(lines)


class _Clock:
    """Time since something began, and since it was last spoken of."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._said >= SECONDS_BETWEEN

    def said(self) -> None:
        self._said = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def left(self, done: int, *, of: int) -> str:
        seconds = self.seconds() / done * (of - done)
        return f"{seconds / 60:,.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
