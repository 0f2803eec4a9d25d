"""Sweeps made by hand: the trials' records, and folders with as much as the ledger reads of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.ledger.study import Sweep, Trial


def write_scores(folder: Path, split: str, languages: Mapping[str, float], **notes: Any) -> None:
    """Write scores/<split>.json as scoring does; the first language is the source."""
    source, *targets = languages
    mean = sum(languages[one] for one in targets) / len(targets) if targets else None
    worst = min(targets, key=lambda one: languages[one]) if targets else None
    scores = {
        "schema": 1,
        "data": "xnli",
        **notes,
        "split": split,
        "metric": "accuracy",
        "source_languages": [source],
        "languages": {one: {"accuracy": value, "f1": 0.1, "examples": 100} for one, value in languages.items()},
        "transfer": {
            "source": languages[source],
            "target_mean": mean,
            "mean": sum(languages.values()) / len(languages),
            "gap": None if mean is None else languages[source] - mean,
            "retention": None if mean is None else mean / languages[source],
            "worst": None if worst is None else {"language": worst, "score": languages[worst]},
        },
    }
    (folder / "scores").mkdir(parents=True, exist_ok=True)
    (folder / "scores" / f"{split}.json").write_text(json.dumps(scores))


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
