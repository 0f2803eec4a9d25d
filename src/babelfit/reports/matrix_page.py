"""Sources by targets as a page of its own: what `matrix --html` writes. Self-contained, without a script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from babelfit.files import atomic_files
from babelfit.reports.page import style, template
from babelfit.statistics.sums import Unit


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run's scores."""

    name: str
    scores: Sequence[float]  # by language
    trained_on: Sequence[str]
    mean: float | None


def write(
    *, title: str, languages: Sequence[str], rows: Sequence[Row], unit: Unit, after: Sequence[str], path: Path
) -> None:
    """Write a matrix of scores as a page, shaded from the lowest score to the highest; `after` stands below it."""
    scores = [score for row in rows for score in row.scores]
    low, high = min(scores), max(scores)
    page = template("matrix.html.jinja").render(
        title=title,
        style=style(),
        languages=languages,
        rows=[
            {
                "name": row.name,
                "mean": "" if row.mean is None else unit.text(row.mean),
                "cells": [
                    {
                        "score": unit.text(score),
                        "shade": (score - low) / (high - low) if high > low else 0.5,
                        "is_trained": language in row.trained_on,
                    }
                    for language, score in zip(languages, row.scores, strict=True)
                ],
            }
            for row in rows
        ],
        after=after,
    )
    atomic_files.write_text(path, page)
