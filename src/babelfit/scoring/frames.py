"""Scores of run folders as a pandas frame: a row a language and measure, with what the run is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from babelfit.config import config_files
from babelfit.config.schema import EvaluateConfig, TrainConfig
from babelfit.run.run import CONFIG, EVALUATION
from babelfit.scoring import scores as score_files
from babelfit.scoring.scores import Scores

COLUMNS = {
    "language": "str",
    "measure": "str",
    "value": "float64",  # a fraction of 1 where the measure is in percent
    "low": "float64",  # the 95 % interval, of the measure that has one
    "high": "float64",
    "split": "str",
    "run": "str",  # its folder
    "data": "str",
    "task": "str",
    "trained_on": "str",  # the source languages, with commas
    "regime": "str",
    "encoder": "str",  # of an evaluation, its model
    "seed": "Int64",
}


def frame(folders: Sequence[Path]) -> pd.DataFrame:
    """Return the scores of all splits of run and evaluation folders; raise UserError for files that hold none."""
    rows = [
        {**row, **_what_it_is(folder, scores)}
        for folder in folders
        for scores in score_files.read_all(folder)
        for row in _rows(scores)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _rows(scores: Scores) -> Iterator[dict[str, Any]]:
    for language, given in scores.languages.items():
        for measure in scores.measures:
            if measure.shown != "nowhere":
                low, high = given.interval if given.interval and measure == scores.headline else (None, None)
                value = given.values[measure.key]
                yield {"language": language, "measure": measure.key, "value": value, "low": low, "high": high}


def _what_it_is(folder: Path, scores: Scores) -> dict[str, Any]:
    known = {
        "split": scores.split,
        "run": str(folder),
        "data": scores.data,
        "task": scores.task,
        "trained_on": ",".join(scores.source_languages),
        "regime": scores.regime,
        "encoder": None,
        "seed": None,
    }
    if (folder / CONFIG).is_file():
        config = config_files.load(folder / CONFIG, TrainConfig)
        return {**known, "encoder": config.encoder.path, "seed": config.seed}
    if (folder / EVALUATION).is_file():
        evaluation = config_files.load(folder / EVALUATION, EvaluateConfig)
        return {**known, "encoder": evaluation.run or evaluation.model}
    return known
