"""Sweeps made by hand: the trials' records, and folders with as much as the ledger reads of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from made_scores import document
from made_tasks import NLI

from babelfit.ledger.study import Sweep, Trial
from babelfit.tasks import Task


def write_scores(folder: Path, split: str, languages: Mapping[str, float], *, task: Task = NLI, **notes: Any) -> None:
    """Write scores/<split>.json as scoring does; the first language is the source."""
    values = {
        language: {**dict.fromkeys((measure.key for measure in task.measures), 0.1), task.selecting.key: score}
        for language, score in languages.items()
    }
    counted = {language: {**theirs, "examples": 100} for language, theirs in values.items()}
    (folder / "scores").mkdir(parents=True, exist_ok=True)
    written = document(task, counted, split=split, sources=(next(iter(languages)),), **notes)
    (folder / "scores" / f"{split}.json").write_text(json.dumps(written))


def write_metrics(folder: Path, rows: Sequence[tuple[int, str, float]]) -> None:
    """Write metrics.csv as a run does."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["step,metric,value", *(f"{step},{metric},{value}" for step, metric, value in rows)]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


class MadeSweep:
    """A sweep in `outputs/NAME`, trial by trial."""

    def __init__(self, outputs: Path, *, name: str = "made", objective: str = "mean_dev", search: str = "grid") -> None:
        self.folder = outputs / name
        self.folder.mkdir(parents=True)
        self.objective = objective
        self.search = search
        self.trials: list[Trial] = []

    @property
    def sweep(self) -> Sweep:
        """Return it as read_sweep would."""
        return Sweep(folder=self.folder, search=self.search, objective=self.objective, trials=list(self.trials))

    def add(
        self,
        overrides: Mapping[str, str],
        *,
        state: str = "complete",
        why: str | None = None,
        folder: Path | None = None,
        fixed: Sequence[str] = (),
        **objectives: float,
    ) -> Path:
        """Add a trial and return its folder, which knows its command."""
        number = len(self.trials)
        own = folder or self.folder / f"{number:08x}"
        own.mkdir(exist_ok=True)
        swept = [f"{key}={value}" for key, value in overrides.items()]
        command = ["train.py", *fixed, *swept, f"name={self.folder.name}/{own.name}"]
        (own / "environment.json").write_text(json.dumps({"command": command}))
        self.trials.append(
            Trial(number=number, state=state, overrides=dict(overrides), folder=own, why=why, objectives=objectives)
        )
        return own
