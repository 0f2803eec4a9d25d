"""What a trial's folder says: its scores by language, and how its dev score went. Nothing is computed here."""

import math
from dataclasses import dataclass
from pathlib import Path

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.run import metrics
from babelfit.scoring.scores import Scores, read_all

MEANS = {"source": "source mean", "target_mean": "target mean", "worst": "worst target", "gap": "gap"}
"""The transfer numbers that are shown, by key in the scores, and their names."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A dev score by optimizer step."""

    metric: str
    steps: list[int]
    values: list[float]


def read_scores(folder: Path) -> dict[str, Scores]:
    """Return a run's scores, by split; raise UserError for a file that holds none."""
    return {scores.split: scores for scores in read_all(folder)}


def means(scores: Scores) -> dict[str, float]:
    """Return those of MEANS that are defined."""
    transfer = scores.transfer
    if transfer is None:
        return {}
    worst = None if transfer.worst is None else transfer.worst.score
    found = {"source": transfer.source, "target_mean": transfer.target_mean, "worst": worst, "gap": transfer.gap}
    return {key: value for key, value in found.items() if value is not None}


def remarks(scores: Scores) -> list[str]:
    """Return what a reader must know before believing scores."""
    found = []
    if scores.synthetic:
        found.append("Synthetic data: the bundled sample shows how babelfit works, not how good a model is.")
    if scores.contaminated is not None:
        found.append(
            f"Contaminated: a model was {scores.contaminated.why}; its {scores.split} scores in these "
            f"languages are no measure of transfer: {', '.join(scores.contaminated.languages)}."
        )
    return found


def read_curve(folder: Path, *, objective: str) -> Curve | None:
    """Read how the objective went in a run that may still go on, or source_dev where the run did not log it.

    None where neither was logged yet. Raises UserError for a damaged file.
    """
    found: dict[str, dict[int, float]] = {objective: {}, SOURCE_DEV: {}}
    for step, metric, value in metrics.read(folder):
        if metric in found and math.isfinite(value):
            found[metric][step] = value
    for metric, by_step in found.items():
        if by_step:
            steps = sorted(by_step)
            return Curve(metric=metric, steps=steps, values=[by_step[step] for step in steps])
    return None
