"""What watches a training and ends it or warns: numbers that are none, scores at chance, no better score any more."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.trainer.states import TrainerFn

from babelfit.devices import ranks
from babelfit.errors import UserError

log = logging.getLogger(__name__)


class FiniteLoss(Callback):
    """End a run whose loss is no number, and say which step and examples did it.

    The first such step is kept on the device, where it costs no waiting; it is asked for when the loss is logged
    anyway, before each validation, and before each checkpoint, which must hold finite weights. Under a gradient scaler
    infinite gradients are no mistake: it leaves out such a step and scales less.
    """

    def __init__(self, *, every: int, examples_of: Callable[[int], str]) -> None:
        self._every = every
        self._examples_of = examples_of  # says in words what a step was made of, counted from 1
        self._first: torch.Tensor | None = None  # step of the first loss, and of the first gradient, that is no number

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        """Note whether this step's loss and gradient are numbers; ask only now and then."""
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
        """Ask before time goes into scores that mean nothing."""
        if trainer.state.fn == TrainerFn.FITTING:
            self.check()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let nothing be saved that cannot be gone on from."""
        self.check()
        weights = [value for value in checkpoint["state_dict"].values() if value.is_floating_point()]
        # By the largest of each, because torch.isfinite takes more memory than the weights themselves.
        largest = [torch.linalg.vector_norm(value, torch.inf) for value in weights]
        broken = bool(weights) and not bool(torch.isfinite(torch.stack(largest)).all())
        if ranks.any_rank(broken):
            raise UserError(self._told(trainer.global_step, "the weights after step {step} are not finite"))

    def check(self) -> None:
        """Raise UserError if a step since the start had no number for its loss or gradient.

        Both are of the whole step, so that all ranks come to the same.
        """
        loss, gradient = (0, 0) if self._first is None else self._first.tolist()
        if gradient and (gradient < loss or not loss):
            raise UserError(self._told(gradient, "the gradient of step {step} is not finite, though its loss is"))
        if loss:
            raise UserError(self._told(loss, "the loss of step {step} is not finite"))

    def _told(self, step: int, what: str) -> str:
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
            trainer.should_stop = True


class AtChance(Callback):
    """Warn, or stop, when the score stays where guessing would be."""

    def __init__(self, selection: str, *, level: float, patience: int, stops: bool) -> None:
        self._selection = selection
        self._level = level
        self._patience = patience
        self._stops = stops
        self._in_a_row = 0
        self._score = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Carry the count, and the score of the latest validation."""
        return {"in_a_row": self._in_a_row, "score": self._score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take both up again."""
        self._in_a_row, self._score = int(state_dict["in_a_row"]), float(state_dict["score"])

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Count the validations in a row at chance, and warn each time that patience ends."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self._score = float(trainer.callback_metrics[self._selection])
        self._in_a_row = self._in_a_row + 1 if self._score <= self._level else 0
        if self._is_at_end() and not self._stops and trainer.is_global_zero:
            log.warning("%s", self._told(trainer.global_step))

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Raise UserError where patience ended and that is to stop the run, also a resumed one.

        Only now, when the validated step is saved. All ranks have the same score, and come to the same.
        """
        if self._stops and self._is_at_end():
            raise UserError(f"{self._told(trainer.global_step)}; or go on with validation.at_chance=warn")

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Do the same after the last step."""
        self.on_train_batch_start(trainer)

    def _is_at_end(self) -> bool:
        return self._in_a_row > 0 and self._in_a_row % self._patience == 0

    def _told(self, step: int) -> str:
        return (
            f"AT CHANCE: {self._selection} is {100 * self._score:.1f} after step {step}; for {self._in_a_row} "
            f"validations in a row it was no better than guessing ({100 * self._level:.1f}), so the model has learned "
            "nothing yet. Look at the labels, the learning rate and the warmup"
        )


def chance_level(labels: Sequence[np.ndarray[Any, Any]]) -> float:
    """Say up to which accuracy a score is no better than guessing; the mean over languages, given the gold of each.

    It is that of always saying the most frequent label, and two standard errors more: on so many examples, one guess in
    forty looks that good.
    """
    levels = []
    for gold in labels:
        share = np.unique(gold, return_counts=True)[1].max() / len(gold)
        levels.append(share + 2 * np.sqrt(share * (1 - share) / len(gold)))
    return float(np.mean(levels))
