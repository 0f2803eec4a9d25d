"""What ends a training or warns: a loss that is not finite, scores at chance, no better score any more."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping

from babelfit.devices import lightning, ranks
from babelfit.errors import UserError
from babelfit.statistics.sums import Unit

log = logging.getLogger(__name__)


class FiniteLoss(Callback):
    """Raise UserError for a loss, gradient or weight that is not finite, naming the step and its examples.

    The first such step is kept on the device, where it costs no waiting; it is read when the loss is logged anyway,
    before each validation, and before each checkpoint, which must hold finite weights. Under a gradient scaler
    infinite gradients are no mistake: it leaves out such a step and scales less.
    """

    def __init__(self, *, every: int, examples_of: Callable[[int], str]) -> None:
        self._every = every
        self._examples_of = examples_of  # names the examples of a step, counted from 1
        self._first: torch.Tensor | None = None  # step of the first loss, and of the first gradient, not finite; or 0

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        """Note whether this step's loss and gradient are finite; read it only now and then."""
        step = trainer.global_step
        loss = module.numbers["train/loss"]
        norm = loss if module.gradient_norm is None else module.gradient_norm
        finite = torch.stack([torch.isfinite(loss), torch.isfinite(norm)])
        if self._first is None:
            self._first = torch.zeros(2, dtype=torch.long, device=finite.device)
        self._first = torch.where((self._first == 0) & ~finite, step, self._first)
        if step % self._every == 0:
            self.check()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Check before time goes into scores that mean nothing."""
        self.check()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check before a checkpoint is written that nothing could go on from."""
        self.check()
        weights = [value for value in checkpoint["state_dict"].values() if value.is_floating_point()]
        # By the largest of each, because torch.isfinite takes more memory than the weights themselves.
        largest = [torch.linalg.vector_norm(value, torch.inf) for value in weights]
        broken = bool(weights) and not bool(torch.isfinite(torch.stack(largest)).all())
        if ranks.any_rank(broken):
            raise UserError(self._message(trainer.global_step, "the weights after step {step} are not finite"))

    def check(self) -> None:
        """Raise UserError if the loss or gradient of a step since the start was not finite.

        Both are of the whole step, so that all ranks come to the same.
        """
        loss, gradient = (0, 0) if self._first is None else self._first.tolist()
        if gradient and (gradient < loss or not loss):
            raise UserError(self._message(gradient, "the gradient of step {step} is not finite, though its loss is"))
        if loss:
            raise UserError(self._message(loss, "the loss of step {step} is not finite"))

    def _message(self, step: int, what: str) -> str:
        return (
            f"{what.format(step=step)}: stopped; the checkpoints are from before it. The step was made of\n"
            f"{self._examples_of(step)}\nLook at these rows. If they are sound, take a lower "
            "optimization.learning_rate, a longer optimization.warmup, or trainer.precision=32-true, under another "
            "name=: the same command would end here again"
        )


class Patience(EarlyStopping):
    """Stop after so many validations without a better score, also where a resumed run had stopped already."""

    def __init__(self, selection: str, *, patience: int) -> None:
        super().__init__(selection, mode="max", patience=patience, check_on_train_epoch_end=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train no further where patience was at its end when the checkpoint was written."""
        if self.wait_count >= self.patience:
            lightning.end_training(trainer)


class AtChance(Callback):
    """Warn, or raise UserError, when so many validations in a row score no better than guessing.

    `level` is the highest score that is no better, `selection` the name under which the score is logged, `unit` how it
    is written.
    """

    def __init__(self, selection: str, *, level: float, unit: Unit, patience: int, stops: bool) -> None:
        self._selection = selection
        self._level = level
        self._unit = unit
        self._patience = patience
        self._stops = stops
        self._in_a_row = 0
        self._score = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the count, and the score of the latest validation."""
        return {"in_a_row": self._in_a_row, "score": self._score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from both."""
        self._in_a_row, self._score = int(state_dict["in_a_row"]), float(state_dict["score"])

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Count the validations in a row at chance, and warn each time that patience ends."""
        self._score = float(trainer.callback_metrics[self._selection])
        self._in_a_row = self._in_a_row + 1 if self._score <= self._level else 0
        if self._is_at_end() and not self._stops and trainer.is_global_zero:
            log.warning("%s", self._message(trainer.global_step))

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Raise UserError where patience ended and that is to stop the run, also a resumed one.

        Only now, when the validated step is saved. All ranks have the same score, and come to the same.
        """
        if self._stops and self._is_at_end():
            raise UserError(f"{self._message(trainer.global_step)}; or go on with validation.at_chance=warn")

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Do the same after the last step."""
        self.on_train_batch_start(trainer)

    def _is_at_end(self) -> bool:
        return self._in_a_row > 0 and self._in_a_row % self._patience == 0

    def _message(self, step: int) -> str:
        score, level = self._unit.text(self._score), self._unit.text(self._level)
        return (
            f"AT CHANCE: {self._selection} is {score} after step {step}; for {self._in_a_row} "
            f"validations in a row it was no better than guessing ({level}), so the model has learned "
            "nothing yet. Look at the labels, the learning rate and the warmup"
        )
