"""What a trial's folder says: its scores by language, and how its dev score went. Nothing is computed here."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.errors import UserError
from babelfit.scoring import scoring

MEANS = {"source": "source mean", "target_mean": "target mean", "worst": "worst target", "gap": "gap, in points"}
"""The transfer numbers that are shown, by key in the scores, and their names."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One split's scores in the metric that measures transfer, fractions of 1."""

    metric: str
    languages: dict[str, float]
    means: dict[str, float]  # those of MEANS that are defined
    remarks: list[str]  # what a reader must know before believing them


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A dev score by optimizer step."""

    metric: str
    steps: list[int]
    values: list[float]


def read_scores(folder: Path) -> dict[str, Scores]:
    """Read a run's scores, by split; raises UserError for a file that holds none."""
    return {str(scores.get("split")): _scores(scores, folder=folder) for scores in scoring.read_all(folder)}


def _scores(scores: Mapping[str, Any], *, folder: Path) -> Scores:
    split, metric = scores.get("split"), str(scores["metric"])
    try:
        worst = scores["transfer"]["worst"]
        means = scores["transfer"] | {"worst": None if worst is None else worst["score"]}
        return Scores(
            metric=metric,
            languages={str(language): _number(values[metric]) for language, values in scores["languages"].items()},
            means={key: _number(means[key]) for key in MEANS if means[key] is not None},
            remarks=_remarks(scores),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{folder / 'scores' / f'{split}.json'} is damaged ({error!r}): delete it, and python evaluate.py "
            f"run={folder} split={split} writes it anew"
        ) from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no score")
    return float(value)


def _remarks(scores: Mapping[str, Any]) -> list[str]:
    remarks = []
    if scores.get("synthetic"):
        remarks.append("Synthetic data: the bundled sample shows how babelfit works, not how good a model is.")
    if "contaminated" in scores:
        remarks.append(
            f"Contaminated: a model was {scores['contaminated']['why']}; its {scores['split']} scores in these "
            f"languages are no measure of transfer: {', '.join(scores['contaminated']['languages'])}."
        )
    return remarks


def read_curve(folder: Path, *, objective: str) -> Curve | None:
    """Read how the objective went in a run that may still go on, or source_dev where the run did not log it.

    None where neither was logged yet. Raises UserError for a damaged file.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        return None
    found: dict[str, dict[int, float]] = {objective: {}, SOURCE_DEV: {}}
    try:
        # What stands behind the last line's end is being written.
        complete, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        for row in csv.reader(complete.split("\n")[1:]):
            step, metric, value = row
            if metric in found and math.isfinite(float(value)):
                found[metric][int(step)] = float(value)
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path} is damaged ({error}): it must have rows of step,metric,value. Mend or delete it"
        ) from (error)
    for metric, by_step in found.items():
        if by_step:
            steps = sorted(by_step)
            return Curve(metric=metric, steps=steps, values=[by_step[step] for step in steps])
    return None
