"""What each choice of source languages is worth in each target language, from runs that are scored alike."""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from babelfit.comparing.scored_runs import answered, check_once, folders, read
from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import SHOWN, percent

SCHEMA = 1
MOST_COLUMNS = 9
"""So many languages fit beside each other into the terminal's 80 columns."""

MARK = "*"
"""Stands at the score of a language that the row was trained on."""


def matrix(given: Sequence[str], *, split: str | None) -> dict[str, Any]:
    """Put the scores of runs into a row each, by source languages; fractions of 1.

    Columns are the languages that all of them have. `target_mean` is over a row's own target languages, None where it
    has none. Raises UserError where runs were scored on different data, rows or gold.
    """
    found = [folder for one in given for folder in folders(one)]
    check_once(found)
    runs = read(found, split=split)
    languages = [one for one in runs[0].main if all(one in run.main for run in runs)]
    if not languages:
        raise UserError(f"{' and '.join(given)} have no language in common")
    runs.sort(key=lambda run: [_place(one, languages) for one in run.sources])
    by_language = {language: [parts.score for _, parts in answered(runs, language)] for language in languages}
    first = runs[0].scores
    rows = []
    for number, run in enumerate(runs):
        scores = {language: by_language[language][number] for language in languages}
        targets = [scores[one] for one in languages if one not in run.sources]
        rows.append(
            {
                "run": str(run.folder),
                "sources": run.sources,
                "scores": [scores[one] for one in languages],
                "target_mean": float(np.mean(targets)) if targets else None,
                "regime": run.regime,
                "contaminated": "contaminated" in run.scores,
                "notes": run.notes,
            }
        )
    return {
        "schema": SCHEMA,
        "data": first["data"],
        "split": first["split"],
        "metric": first["metric"],
        "synthetic": bool(first.get("synthetic")),
        "languages": languages,
        "rows": rows,
        "left_out": sorted({one for run in runs for one in run.main}.difference(languages)),
    }


def _place(language: str, languages: Sequence[str]) -> int:
    return languages.index(language) if language in languages else len(languages)


def _names(document: Mapping[str, Any]) -> list[str]:
    """Name the rows by their source languages and what makes them other, by their folder where several have the same.

    The picture has no lines below it: what must be known of a row is in its name.
    """
    names = [_name(row) for row in document["rows"]]
    return [
        f"{name} ({row['run']})" if names.count(name) > 1 else name
        for name, row in zip(names, document["rows"], strict=True)
    ]


def _name(row: Mapping[str, Any]) -> str:
    regime = [] if row["regime"] == "zero_shot" else [row["regime"]]
    return ", ".join(["+".join(row["sources"]), *regime, *(["contaminated"] if row["contaminated"] else [])])


def _title(document: Mapping[str, Any]) -> str:
    metric = SHOWN[document["metric"]][document["metric"]]
    synthetic = " (synthetic sample)" if document["synthetic"] else ""
    return f"{document['data']}{synthetic}, {document['split']}: {metric} in percent, by source languages"


def sheets(document: Mapping[str, Any], *, most_columns: int | None) -> list[Sheet]:
    """Lay out the matrix, in tables of so many languages where there is a limit; the last has the mean."""
    languages = document["languages"]
    width = most_columns or len(languages)
    num_tables = math.ceil(len(languages) / width)
    after = [
        f"{MARK} is a language that the row was trained on; the mean is over the row's other languages.",
        *(
            f"{name}: {line}"
            for name, row in zip(_names(document), document["rows"], strict=True)
            for line in (row["run"], *row["notes"])
        ),
    ]
    if document["left_out"]:
        after.append(f"Left out, for not all have them: {', '.join(document['left_out'])}.")
    laid_out = []
    for number in range(num_tables):
        columns = range(len(languages))[number * width : (number + 1) * width]
        is_last = number == num_tables - 1
        rows = []
        for name, row in zip(_names(document), document["rows"], strict=True):
            cells = [
                percent(row["scores"][one]) + (MARK if languages[one] in row["sources"] else "") for one in columns
            ]
            mean = "" if row["target_mean"] is None else percent(row["target_mean"])
            rows.append([name, *cells, *([mean] if is_last else [])])
        laid_out.append(
            Sheet(
                title=_title(document) if number == 0 else "",
                before=(),
                columns=["trained on", *(languages[one] for one in columns), *(["mean"] if is_last else [])],
                rows=rows,
                after=after if is_last else (),
            )
        )
    return laid_out


def write_page(document: Mapping[str, Any], *, path: Path) -> None:
    """Write the matrix as a page, HTML."""
    from babelfit.reports import matrix_page  # imports matplotlib

    *_, last = sheets(document, most_columns=None)
    matrix_page.write(document, title=_title(document), names=_names(document), after=last.after[1:], path=path)


def draw(document: Mapping[str, Any], *, path: Path) -> None:
    """Write the matrix as a picture, PNG; what a row was trained on has a frame."""
    # Only here: it takes a second to import.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it would tell of its fonts
    scores = 100 * np.array([row["scores"] for row in document["rows"]])
    languages = document["languages"]
    # What users wrote is no formula; letters that the font lacks are drawn as boxes.
    with rc_context({"text.parse_math": False, "font.size": 9}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(2.5 + 0.5 * len(languages), 1.6 + 0.4 * len(scores)), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(scores, cmap="cividis", aspect="auto")
        axes.set_xticks(range(len(languages)), languages)
        axes.set_yticks(range(len(scores)), _names(document))
        axes.set_ylabel("trained on")
        axes.set_title(_title(document), loc="left", fontsize=10)
        middle = (scores.min() + scores.max()) / 2
        for (row, column), score in np.ndenumerate(scores):
            colour = "black" if score > middle else "white"
            axes.text(column, row, f"{score:.1f}", ha="center", va="center", color=colour, fontsize=8)
            if languages[column] in document["rows"][row]["sources"]:
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2))
        figure.colorbar(image, ax=axes)
        temporary = path.with_name(f"{path.name}.tmp")
        figure.savefig(temporary, format="png", dpi=150)
    atomic_files.rename(temporary, path)
