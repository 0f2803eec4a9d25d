"""When checkpoints are written, which are kept, and how the selected one is found again."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.trainer.states import TrainerFn

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class Checkpoints(Callback):
    """Save at every validation, and every so many steps besides; keep the best by a score, the last and its forerunner.

    A checkpoint is written under another name first, so that one which could not be finished replaces nothing.
    """

    def __init__(self, folder: Path, *, selection: str, keep: int, every: int | None, validation_every: int) -> None:
        self._folder = folder
        self._selection = selection
        self._keep = keep
        self._every = every
        self._validation_every = validation_every
        self.best: list[dict[str, Any]] = []  # best first: {"file", "step", "score"}

    def state_dict(self) -> dict[str, Any]:
        """Carry the ranking in every checkpoint, for a resumed run."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the ranking up again."""
        self.best = state_dict["best"]

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Save in between, unless a validation is due at this step, whose scores belong in the checkpoint."""
        step = trainer.global_step
        validation_is_due = step % self._validation_every == 0 or trainer.should_stop
        if self._every and step % self._every == 0 and not validation_is_due:
            self._save_last(trainer)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Rank the step by its score and save."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        step = trainer.global_step
        entry: dict[str, Any] = {
            "file": f"step-{step}.ckpt",
            "step": step,
            "score": float(trainer.callback_metrics[self._selection]),
        }
        # Of equal scores the earlier wins: sorting is stable.
        ranked = sorted([*self.best, entry], key=lambda one: -one["score"])
        self.best, dropped = ranked[: self._keep], ranked[self._keep :]
        self._save_last(trainer)
        if entry in self.best:
            _same_file(self._folder / LAST, self._folder / entry["file"])
        for one in dropped:
            (self._folder / one["file"]).unlink(missing_ok=True)

    def _save_last(self, trainer: Trainer) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        last, temporary = self._folder / LAST, self._folder / "unfinished.tmp"
        try:
            trainer.save_checkpoint(temporary, weights_only=False)
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            # torch reports a full disk as a RuntimeError of its zip writer, without the reason.
            free = shutil.disk_usage(self._folder).free
            raise OSError(
                getattr(error, "errno", None) or errno.EIO,
                f"the checkpoint at step {trainer.global_step} could not be written ({_reason(error)}; "
                f"{free / 1e9:.2f} GB free); the one before it is kept. Make room and start the same command again",
                str(self._folder),
            ) from error
        if last.exists():
            last.replace(self._folder / PREVIOUS)
        temporary.replace(last)


def prune(folder: Path) -> None:
    """Leave only the best checkpoints, once the run needs no resume any more."""
    for name in (LAST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


def _same_file(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
