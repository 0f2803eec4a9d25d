"""When checkpoints are written, and which of them is selected. How files are written and found: checkpoint_files.py.

A checkpoint holds all that decides the steps after it: weights, optimizer, schedule, gradient scaler, Lightning's
counters, the rankings, early stopping, and how long metrics.csv was. It holds no states of random generators: every
step seeds its own (see Finetuner.training_step), the order of the examples follows from seed and step, and nothing else
draws. The tests compare bits with dropout on. They are equal on the CPU, and while memory has not run out: a GPU may
add up in another order, and the halved token budget, which rounds otherwise, is not in a checkpoint.
"""

import errno
import shutil
from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from babelfit.checkpoints.checkpoint_files import CheckpointFiles, DurableCheckpointIO, rankings_in
from babelfit.checkpoints.rankings import LAST, Rankings, ranked, steps_of
from babelfit.devices import lightning, preemption, ranks
from babelfit.errors import UserError, first_line
from babelfit.files import documents


class Checkpoints(Callback):
    """Save at every validation, every so many steps besides, and when a signal comes; keep the best.

    `keep` is how many steps are kept by each score, under the name that this is logged by. Must be the last callback:
    what the others know after a step belongs in its checkpoint.
    """

    def __init__(
        self,
        files: CheckpointFiles,
        *,
        io: DurableCheckpointIO,
        keep: Mapping[str, int],
        every: int | None,
        validation_every: int,
        total_steps: int,
    ) -> None:
        self._files = files
        self._io = io
        self._keep = keep
        self._every = every
        self._validation_every = validation_every
        self._total_steps = total_steps
        self.rankings: Rankings = {}
        self._ranked_in_last: set[int] = set()
        self._owes_validation = False

    def state_dict(self) -> dict[str, Any]:
        """Return the rankings, and whether the validation of this step is still to come."""
        return {"rankings": documents.dumped(self.rankings), "owes_validation": self._owes_validation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from both."""
        self.rankings = rankings_in(state_dict)
        self._ranked_in_last = steps_of(self.rankings)
        self._owes_validation = bool(state_dict["owes_validation"])

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Make up for the validation that a signal prevented."""
        if self._owes_validation:
            lightning.validate_now(trainer)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Save in between, unless a validation is due at this step, whose scores belong in the checkpoint."""
        step = trainer.global_step
        validation_is_due = lightning.is_validated(
            step, total_steps=self._total_steps, validation_every=self._validation_every
        )
        if ranks.any_rank(preemption.is_requested()):
            self._owes_validation = validation_is_due
            self._save(trainer)
            preemption.raise_preempted()
        if self._every and step % self._every == 0 and not validation_is_due:
            self._save(trainer)

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Break a validation off when a signal comes: the machine may be gone before it ends."""
        if ranks.any_rank(preemption.is_requested()):
            if not self._owes_validation:
                self._owes_validation = True
                self._save(trainer)
            preemption.raise_preempted()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Rank the step by its scores and save."""
        scores = {name: float(trainer.callback_metrics[name]) for name in self._keep if name != LAST}
        self.rankings = ranked(self.rankings, step=trainer.global_step, scores=scores, keep=self._keep)
        # Also where it was made up for: the checkpoint of this step that there is already lacks its score.
        self._owes_validation = False
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """Write a checkpoint; on every rank, because gathering the weights may need them all."""
        trainer.save_checkpoint(self._files.temporary, weights_only=False)
        ranks.from_first(lambda: self._accept(trainer.global_step))
        self._ranked_in_last = steps_of(self.rankings)

    def _accept(self, step: int) -> None:
        """Make what was written the last checkpoint; raise OSError where it is not whole."""
        files = self._files
        try:
            files.accept(self._io.sha256(), step=step, ranked=steps_of(self.rankings), before=self._ranked_in_last)
        except UserError:
            raise
        except Exception as error:
            files.temporary.unlink(missing_ok=True)
            # torch reports a full disk as a RuntimeError of its zip writer, without the reason.
            free = shutil.disk_usage(files.folder).free
            raise OSError(
                getattr(error, "errno", None) or errno.EIO,
                f"the checkpoint at step {step} could not be written ({first_line(error)}; "
                f"{free / 1e9:.2f} GB free); the one before it is kept. Make room and start the same command again",
                str(files.folder),
            ) from error
