"""metrics.csv: one row per logged number, appended as training goes on."""

import csv
import logging
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from babelfit.files import atomic_files
from babelfit.run.metrics import HEADER

log = logging.getLogger(__name__)


class MetricsLog(Logger):
    """Append (step, metric, value) rows; a resumed run goes on after the rows that its checkpoint counted."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._is_mended = False  # by this process

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @property
    def size(self) -> int:
        """Return the size of the file in bytes."""
        return self._path.stat().st_size if self._path.exists() else 0

    @rank_zero_only
    def rewind(self, size: int) -> None:
        """Drop what came after so many bytes; 0 starts an empty file."""
        if size < len(HEADER):
            atomic_files.write_text(self._path, HEADER)
        elif self.size >= size:
            os.truncate(self._path, size)
        else:
            log.warning("%s has lost rows: it has %d bytes, and had %d at the checkpoint", self._path, self.size, size)
            self._mend()

    def _mend(self) -> None:
        """Drop a row that was not written to its end: what is appended must not go on behind it."""
        lines = self._path.read_bytes() if self.size else b""
        whole = lines.rfind(b"\n") + 1
        if whole < len(HEADER):
            atomic_files.write_text(self._path, HEADER)
        elif whole < len(lines):
            log.warning("%s ended within a row, which is dropped", self._path)
            os.truncate(self._path, whole)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append the numbers of one step: that of the optimizer steps done."""
        if not self._is_mended:
            self._mend()
            self._is_mended = True
        rows = [(step or 0, name, f"{value:.8g}") for name, value in metrics.items()]
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
            # A checkpoint may follow, which is on the disk for certain: it must not know rows that are not.
            file.flush()
            os.fsync(file.fileno())

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Write nothing: config.yaml holds them."""


class TrainingLog(Callback):
    """Log the numbers of a training step, before a checkpoint of the same step is written.

    Lightning would log them after it, and a kill in between would lose a row.
    """

    def __init__(self, metrics: MetricsLog, *, every: int, total_steps: int) -> None:
        self._metrics = metrics
        self._every = every
        self._total_steps = total_steps

    def state_dict(self) -> dict[str, Any]:
        """Return how far metrics.csv goes at this checkpoint."""
        return {"size": self._metrics.size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Drop what was logged after this checkpoint: those steps are taken again."""
        self._metrics.rewind(int(state_dict["size"]))

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Log every so many steps, and the last; in between, the device is not asked and need not be waited for."""
        step = trainer.global_step
        if step % self._every and step != self._total_steps:
            return
        numbers = {name: float(value) for name, value in module.numbers.items()}  # type: ignore[union-attr, operator]
        module.shown["train/loss"] = numbers["train/loss"]  # type: ignore[index, operator]
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=step)
            logger.save()
