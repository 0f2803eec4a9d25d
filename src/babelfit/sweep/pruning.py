"""A hopeless trial ends early: its own process asks the sweep's study after each validation."""

import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from babelfit.devices import ranks
from babelfit.errors import Pruned, first_line
from babelfit.ledger.study import Study, Trial, is_sweep

log = logging.getLogger(__name__)


class Pruning(Callback):
    """End a trial whose best dev score so far is below the median of the others' after the same share of their steps.

    That is Optuna's MedianPruner. A run that is no trial of a sweep that prunes goes on; so does one that cannot ask.
    """

    def __init__(self, folder: Path, *, objective: str, total_steps: int) -> None:
        self._folder = folder
        self._objective = objective
        self._total_steps = total_steps
        self._found: tuple[Study, Trial] | None = None
        self._is_hopeless = False
        self._reason = ""

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        """Find the trial in the study, on the first rank."""
        ranks.from_first(self._find)

    def _find(self) -> None:
        if not is_sweep(self._folder.parent):
            return
        try:
            study = Study(self._folder.parent)
            mine = [one for one in study.trials() if one.folder == self._folder and one.state == "running"]
            self._found = (study, mine[0]) if mine and study.prunes else None
        except Exception as error:
            log.warning("not compared with other trials: %s", first_line(error))

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Note the score, and ask."""
        step = trainer.global_step
        if step >= self._total_steps:
            return
        score = float(trainer.callback_metrics[self._objective])
        percent = 100 * step // self._total_steps
        self._is_hopeless = ranks.from_first(lambda: self._ask(score, percent=percent))
        self._reason = f"{self._objective} {100 * score:.1f} after {percent} % of its steps is below the others' median"

    def _ask(self, score: float, *, percent: int) -> bool:
        if self._found is None:
            return False
        study, trial = self._found
        try:
            return study.is_hopeless(trial, score, percent=percent)
        except Exception as error:
            # A file that is locked too long, or gone, is no reason to end a training that is sound.
            log.warning("not compared with other trials at this validation: %s", first_line(error))
            return False

    def on_train_batch_start(self, *_: Any) -> None:
        """End the trial, now that the validated step is saved."""
        if self._is_hopeless:
            raise Pruned(self._reason)
