"""What each choice of source languages is worth in each target language, from runs that are scored alike."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from babelfit.comparing.scored_runs import ScoredRun, check_once, folders, read, read_answers
from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.reports.sheets import Sheet
from babelfit.scoring.measure_facts import MeasureFacts

SCHEMA = 1
MARK = "*"
"""Stands at the score of a language that the row was trained on."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run: its scores by language, and what a reader of them must know."""

    run: str
    sources: list[str]
    scores: list[float]
    target_mean: float | None  # over its own target languages; None where it has none
    regime: str
    contaminated: bool
    notes: list[str]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Runs by languages, those that all of the runs have; scores are fractions of 1 where their unit is percent."""

    schema: int
    data: str
    task: str
    split: str
    metric: str
    measure: MeasureFacts
    synthetic: bool
    languages: list[str]
    rows: list[Row]
    left_out: list[str]

    @property
    def title(self) -> str:
        """Return what it is of, in words."""
        synthetic = " (synthetic sample)" if self.synthetic else ""
        return f"{self.data}{synthetic}, {self.split}: {self.measure.with_unit}, by source languages"

    @property
    def names(self) -> list[str]:
        """Return a name for each row: its sources and what else tells it apart, or its folder where names are the same.

        The picture has no lines below it: what must be known of a row is in its name.
        """
        names = [_name(row) for row in self.rows]
        return [
            f"{name} ({row.run})" if names.count(name) > 1 else name for name, row in zip(names, self.rows, strict=True)
        ]

    @property
    def lines(self) -> list[str]:
        """Return what must be known of the rows, in words."""
        lines = [
            f"{name}: {line}" for name, row in zip(self.names, self.rows, strict=True) for line in (row.run, *row.notes)
        ]
        return [*lines, *([f"Left out, for not all have them: {', '.join(self.left_out)}."] if self.left_out else [])]


def _name(row: Row) -> str:
    regime = [] if row.regime == "zero_shot" else [row.regime]
    return ", ".join(["+".join(row.sources), *regime, *(["contaminated"] if row.contaminated else [])])


def matrix(given: Sequence[str], *, split: str | None) -> Matrix:
    """Put the scores of runs into a row each, by source languages.

    Raise UserError where runs were scored on different data, rows or gold.
    """
    found = [folder for one in given for folder in folders(one)]
    check_once(found)
    runs = read(found, split=split)
    languages = [one for one in runs[0].scores.main if all(one in run.scores.main for run in runs)]
    if not languages:
        raise UserError(f"{' and '.join(given)} have no language in common")
    runs.sort(key=lambda run: [_place(one, languages) for one in run.scores.source_languages])
    by_language = [[answered.score for answered in read_answers(runs, language)] for language in languages]
    first = runs[0].scores
    return Matrix(
        schema=SCHEMA,
        data=first.data,
        task=first.task,
        split=first.split,
        metric=first.metric,
        measure=first.measure,
        synthetic=first.synthetic,
        languages=languages,
        rows=[
            _row(run, languages=languages, scores=list(scores))
            for run, scores in zip(runs, zip(*by_language, strict=True), strict=True)
        ],
        left_out=sorted({one for run in runs for one in run.scores.main}.difference(languages)),
    )


def _place(language: str, languages: Sequence[str]) -> int:
    return languages.index(language) if language in languages else len(languages)


def _row(run: ScoredRun, *, languages: Sequence[str], scores: list[float]) -> Row:
    sources = run.scores.source_languages
    targets = [score for language, score in zip(languages, scores, strict=True) if language not in sources]
    return Row(
        run=str(run.folder),
        sources=sources,
        scores=scores,
        target_mean=float(np.mean(targets)) if targets else None,
        regime=run.regime,
        contaminated=run.scores.contaminated is not None,
        notes=run.notes,
    )


def sheet(crossed: Matrix) -> Sheet:
    """Lay out a matrix: a row per run, a column per language, the mean last."""
    languages, unit = crossed.languages, crossed.measure.how
    rows = []
    for name, row in zip(crossed.names, crossed.rows, strict=True):
        scores = zip(languages, row.scores, strict=True)
        cells = [unit.text(score) + (MARK if language in row.sources else "") for language, score in scores]
        rows.append([name, *cells, "" if row.target_mean is None else unit.text(row.target_mean)])
    mark = f"{MARK} is a language that the row was trained on; the mean is over the row's other languages."
    return Sheet(
        title=crossed.title,
        columns=["trained on", *languages, "mean"],
        rows=rows,
        after=[mark, *crossed.lines],
    )


def write_page(crossed: Matrix, *, path: Path) -> None:
    """Write a matrix as a page, HTML."""
    from babelfit.reports import matrix_page  # imports matplotlib

    matrix_page.write(
        title=crossed.title,
        languages=crossed.languages,
        rows=[
            matrix_page.Row(name=name, scores=row.scores, trained_on=row.sources, mean=row.target_mean)
            for name, row in zip(crossed.names, crossed.rows, strict=True)
        ],
        unit=crossed.measure.how,
        after=crossed.lines,
        path=path,
    )


def draw(crossed: Matrix, *, path: Path) -> None:
    """Write a matrix as a picture, PNG; what a row was trained on has a frame."""
    # Only here: it takes a second to import.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it would tell of its fonts
    unit, languages = crossed.measure.how, crossed.languages
    scores = unit.scale * np.array([row.scores for row in crossed.rows])
    # What users wrote is no formula; letters that the font lacks are drawn as boxes.
    with rc_context({"text.parse_math": False, "font.size": 9}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(2.5 + 0.5 * len(languages), 1.6 + 0.4 * len(scores)), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(scores, cmap="cividis", aspect="auto")
        axes.set_xticks(range(len(languages)), languages)
        axes.set_yticks(range(len(scores)), crossed.names)
        axes.set_ylabel("trained on")
        axes.set_title(crossed.title, loc="left", fontsize=10)
        middle = (scores.min() + scores.max()) / 2
        for (row, column), score in np.ndenumerate(scores):
            colour = "black" if score > middle else "white"
            theirs = crossed.rows[row]
            text = unit.text(theirs.scores[column])
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
            if languages[column] in theirs.sources:
                axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2))
        figure.colorbar(image, ax=axes)
        temporary = path.with_name(f"{path.name}.tmp")
        figure.savefig(temporary, format="png", dpi=150)
    atomic_files.rename(temporary, path)
