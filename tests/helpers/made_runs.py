"""Scored runs made by hand: predictions, and the scores of them, in folders as runs leave them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from made_tasks import NER, NLI

from babelfit.files import documents
from babelfit.predictions import prediction_files
from babelfit.rows.read import RowsRead
from babelfit.scoring import scores as score_files
from babelfit.scoring import scoring
from babelfit.scoring.scoring import SplitFacts
from babelfit.tasks import Task
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.regression import NumberPrediction

TASKS: Mapping[str, Task] = {"xnli": NLI, "wikiann": NER}


def labels(right: Sequence[int], *, gold: str = "entailment", wrong: str = "neutral") -> list[LabelPrediction]:
    """Make a record of each right (1) and wrong (0) answer."""
    return [
        LabelPrediction(index=index, gold=gold, predicted=gold if one else wrong, probabilities={})
        for index, one in enumerate(right)
    ]


def ratings(correlation: float, *, seed: int, count: int = 300) -> list[NumberPrediction]:
    """Make records of numbers that go together with gold about so much; of all seeds the gold is the same."""
    gold, noise = (np.random.default_rng(one).normal(size=count) for one in (0, seed))
    predicted = correlation * gold + np.sqrt(1 - correlation**2) * noise
    pairs = zip(gold.tolist(), predicted.tolist(), strict=True)
    return [NumberPrediction(index=index, gold=one, predicted=other) for index, (one, other) in enumerate(pairs)]


def write_run(
    folder: Path,
    records: Mapping[str, Sequence[Any]],
    *,
    data: str = "xnli",
    task: Task | None = None,
    is_parallel: bool | None = None,
    split: str = "test",
    sources: Sequence[str] = ("en",),
    dropped: Mapping[str, Collection[int]] | None = None,
    **notes: Any,
) -> Path:
    """Write a run's predictions and scores of one split; `notes` are what its scores say besides."""
    for language, theirs in records.items():
        prediction_files.write(prediction_files.path(folder, split=split, language=language), theirs)
    facts = SplitFacts(
        data=data,
        split=split,
        task=task or TASKS[data],
        is_parallel=data != "wikiann" if is_parallel is None else is_parallel,
        source_languages=sources,
        read={one: RowsRead(files=[], dropped={"none": [*rows]}) for one, rows in (dropped or {}).items()},
    )
    document = score_files.as_document(scoring.score(folder, facts)) | documents.dumped(notes)
    score_files.write(score_files.from_document(document), folder)
    return folder
