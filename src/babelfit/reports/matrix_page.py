"""Sources by targets as a page of its own: what `matrix --html` writes. Self-contained, without a script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.files import atomic_files
from babelfit.reports.page import style, template
from babelfit.statistics.sums import Unit


def write(
    document: Mapping[str, Any], *, how: Unit, title: str, names: Sequence[str], after: Sequence[str], path: Path
) -> None:
    """Write a matrix of scores as a page; `names` are those of its rows, `after` what must be known of them."""
    scores = [score for row in document["rows"] for score in row["scores"]]
    low, high = min(scores), max(scores)
    page = template("matrix.html.jinja").render(
        title=title,
        style=style(),
        languages=document["languages"],
        rows=[
            {
                "name": name,
                "mean": "" if row["target_mean"] is None else how.text(row["target_mean"]),
                "cells": [
                    {
                        "score": how.text(score),
                        "shade": (score - low) / (high - low) if high > low else 0.5,
                        "is_trained": language in row["sources"],
                    }
                    for language, score in zip(document["languages"], row["scores"], strict=True)
                ],
            }
            for name, row in zip(names, document["rows"], strict=True)
        ],
        after=after,
    )
    atomic_files.write_text(path, page)
