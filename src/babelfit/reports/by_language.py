"""One language of a split closely, for the page: what is confused, how sure the model is, and the errors to read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from babelfit.datasets import DATASETS
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.predictions import prediction_files
from babelfit.reports import summaries
from babelfit.reports.mistakes import Mistakes, mistakes
from babelfit.rows.read import dropped
from babelfit.rows.rereading import read_again
from babelfit.run.manifest import Manifest
from babelfit.scoring.scores import Scores
from babelfit.scoring.tables import Calibration
from babelfit.tasks.task import Task


def languages(folder: Path, *, scores: Scores, task: Task, read: Manifest, most: int) -> list[dict[str, Any]]:
    """Lay out each language of a split, given what a manifest says; none where the task has no errors to read.

    `most` is how many errors a list may have.
    """
    if task.mistakes is None:
        return []
    source = next((one for one in scores.source_languages if one in scores.languages), None)
    records = _records(folder, scores=scores, task=task, read=read)
    texts = _texts(scores, read=read)
    are_same_items = scores.parallel and scores.not_parallel is None and source is not None
    laid_out = []
    num_tables = sum(one.confusion is not None for one in scores.languages.values())
    most_labels = summaries.most_labels(num_tables)
    for language, values in scores.languages.items():
        is_compared = are_same_items and language != source
        text = texts[language]
        confusion, left_out = values.confusion, ""
        if confusion is not None:
            confusion, left_out = summaries.most_confused(confusion, most=most_labels)
        found: Mistakes | None = None
        if language in records:
            found = mistakes(
                task,
                records[language],
                source=records.get(str(source), []) if is_compared else [],
                text=text,
                source_text=texts[str(source)] if is_compared else "",
                most=most,
            )
        laid_out.append(
            {
                "code": language,
                "name": LANGUAGE_NAMES.get(language, ""),
                "source": source if is_compared else None,
                "confusion": confusion,
                "left_out": left_out,
                "calibration": _bins(values.calibration),
                "ece": values.ece,
                "mistakes": found,
                "called": task.mistakes,
                "gone": text if isinstance(text, str) else None,
            }
        )
    return laid_out


def _bins(calibration: Calibration | None) -> list[tuple[float | None, float | None, int]]:
    """List confidence, accuracy and count of the bins that hold a prediction."""
    if calibration is None:
        return []
    bins = zip(calibration.confidence, calibration.accuracy, calibration.count, strict=True)
    return [one for one in bins if one[-1]]


def _records(folder: Path, *, scores: Scores, task: Task, read: Manifest) -> dict[str, Sequence[Any]]:
    """Read the predictions of the scored languages, as far as they are still there."""
    files = {one: prediction_files.path(folder, split=scores.split, language=one) for one in scores.languages}
    return {
        language: prediction_files.read(file, task, dropped=dropped(read.of(scores.split, language)))
        for language, file in files.items()
        if file.is_file()
    }


def _texts(scores: Scores, *, read: Manifest) -> dict[str, pa.Table | str]:
    """Return the text of each language, or in words why it is missing."""
    # How the files of a dataset are read is code, which no manifest can hold.
    layouts = DATASETS[scores.data].dataset.layouts if scores.data in DATASETS else ()
    entries = read.splits.get(scores.split, {})
    return {
        language: read_again(entries[language], layouts=layouts, dataset=scores.data, language=language)
        if language in entries
        else "the manifest does not say which file it was"
        for language in scores.languages
    }
