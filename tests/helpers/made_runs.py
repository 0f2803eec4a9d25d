"""Scored runs made by hand: predictions, and the scores of them, in folders as runs leave them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.data import DATA
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import Record
from babelfit.scoring import scores as score_files
from babelfit.scoring.scoring import SplitFacts, score
from babelfit.tasks import Task
from babelfit.tasks.classification import LabelPrediction


def labels(right: Sequence[int], *, gold: str = "entailment", wrong: str = "neutral") -> list[LabelPrediction]:
    """Make a record of each right (1) and wrong (0) answer."""
    return [
        LabelPrediction(index=index, gold=gold, predicted=gold if one else wrong, probabilities={})
        for index, one in enumerate(right)
    ]


def write_run(
    folder: Path,
    records: Mapping[str, Sequence[Record]],
    *,
    data: str = "xnli",
    task: Task | None = None,
    is_parallel: bool | None = None,
    split: str = "test",
    sources: Sequence[str] = ("en",),
    dropped: Mapping[str, Collection[int]] | None = None,
    **facts: Any,
) -> Path:
    """Write a run's predictions and scores of one split; the task is that of the dataset, if none is given."""
    for language, theirs in records.items():
        prediction_files.write(prediction_files.path(folder, split=split, language=language), theirs)
    scores = score(
        folder,
        SplitFacts(
            data=data,
            split=split,
            task=task or DATA[data].task,
            is_parallel=DATA[data].is_parallel if is_parallel is None else is_parallel,
            source_languages=sources,
            dropped=dropped or {},
            **facts,
        ),
    )
    score_files.write(scores, folder)
    return folder
