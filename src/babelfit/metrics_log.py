"""metrics.csv: one row per logged number, appended as training goes on."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

HEADER = ("step", "metric", "value")


class MetricsLog(Logger):
    """Append (step, metric, value) rows; a resumed run goes on behind the step it resumes from."""

    def __init__(self, path: Path, *, resumed_step: int) -> None:
        super().__init__()
        self._path = path
        kept = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                whole = [line for line in file if line.endswith("\n")]  # a kill may cut the last row
            kept = [row for row in list(csv.reader(whole))[1:] if int(row[0]) <= resumed_step]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *kept])

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append the numbers of one step. Lightning counts from 0; rows count the optimizer steps done."""
        done = 0 if step is None else step + 1
        rows = [(done, name, f"{value:.8g}") for name, value in metrics.items() if name != "epoch"]
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Write nothing: config.yaml holds them."""
