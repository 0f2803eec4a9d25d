"""Scored runs made by hand: predictions, and the scores of them, in folders as runs leave them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.datasets.wikiann import LABELS as TAGS
from babelfit.datasets.xnli import LABELS
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import Prediction, TagPrediction
from babelfit.scoring import scoring


def labels(right: Sequence[int], *, gold: str = "entailment", wrong: str = "neutral") -> list[Prediction]:
    """Make a record of each right (1) and wrong (0) answer."""
    return [
        Prediction(index=index, gold=gold, predicted=gold if one else wrong, probabilities={})
        for index, one in enumerate(right)
    ]


def write_run(
    folder: Path,
    records: Mapping[str, Sequence[Prediction | TagPrediction]],
    *,
    data: str = "xnli",
    split: str = "test",
    sources: Sequence[str] = ("en",),
    dropped: Mapping[str, Collection[int]] | None = None,
    **notes: Any,
) -> Path:
    """Write a run's predictions and scores of one split."""
    for language, theirs in records.items():
        prediction_files.write(prediction_files.path(folder, split=split, language=language), theirs)
    is_tagging = data == "wikiann"
    scores = scoring.score(
        folder,
        data=data,
        split=split,
        head="token_classification" if is_tagging else "sequence_classification",
        label_names=TAGS if is_tagging else LABELS,
        is_parallel=not is_tagging,
        source_languages=sources,
        examples={},
        dropped=dropped or {},
        notes=notes,
    )
    scoring.write(scores, folder)
    return folder
