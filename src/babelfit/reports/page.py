"""report.html: one file with all that a run's folder says of its scores, and figures beside it.

Gathers and lays out; charts.py draws, mistakes.py chooses what to read, report.html.jinja is the page itself.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from babelfit import tasks
from babelfit.devices import preemption
from babelfit.files import atomic_files
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports import by_language, charts, manifest_tables, summaries, words
from babelfit.reports.bars import Bars
from babelfit.reports.mistakes import most_of_each
from babelfit.reports.sheets import Sheet
from babelfit.rows.scripts import in_words
from babelfit.run import manifest, metrics
from babelfit.run.manifest import Manifest
from babelfit.run.run import CONFIG, EVALUATION
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Scores
from babelfit.tasks.task import Task

HERE = Path(__file__).parent
FILE = "report.html"
FIGURES = "figures"

LONGEST_DETAIL = 200_000
"""Characters of a file that are shown as it is."""

RIGHT_TO_LEFT = {"ar", "arc", "arz", "ckb", "dv", "fa", "he", "mzn", "pnb", "ps", "sd", "ug", "ur", "yi"}

TRANSFER = {"source": "source mean", "target_mean": "target mean", "mean": "mean of all", "gap": "gap"}
"""The transfer numbers that are written like scores."""


def template(name: str) -> jinja2.Template:
    """Open a template of this folder; whatever it is given is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: "" if share is None else words.percent(share)
    environment.filters["script"] = in_words
    environment.filters["direction"] = lambda language: "rtl" if language in RIGHT_TO_LEFT else "auto"
    environment.globals["shade"] = charts.shade
    return environment.get_template(name)


def style() -> Markup:
    """Return the style sheet of all pages."""
    return Markup((HERE / "report.css").read_text(encoding="utf-8"))


def write_page(
    folder: Path,
    *,
    all_scores: Sequence[Scores],
    facts: Mapping[str, str],
    selections: Sequence[Sheet] = (),
) -> None:
    """Write report.html and figures/ into a run folder, from what lies there and the data that its manifest names."""
    script = (HERE / "report.js").read_text(encoding="utf-8")
    read = manifest.read(folder)
    task = tasks.of_document(all_scores[0].task, all_scores[0].labels)
    most = most_of_each(2 * sum(len(scores.languages) for scores in all_scores))
    page = template("report.html.jinja").render(
        title=" · ".join(filter(None, [facts.get("run") or facts.get("model"), all_scores[0].data])),
        lead=f"{task.report_title} of babelfit" if task.compares_languages else task.report_title,
        facts=facts,
        is_synthetic=any(scores.synthetic for scores in all_scores),
        style=style(),
        script=Markup(script),
        # Nothing else runs on the page, whatever text it shows.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        splits=[_split(folder, scores=scores, task=task, read=read, most=most) for scores in all_scores],
        selections=selections,
        curves=_curves(folder, measure=all_scores[0].measure),
        data=manifest_tables.data(read),
        tokens=manifest_tables.tokens(read, reached=task.reached),
        doubts=manifest.doubts(read),
        details=_details(folder),
    )
    atomic_files.write_text(folder / FILE, page)
    for scores in all_scores:
        charts.write_figures(scores, folder=folder / FIGURES)


def _split(folder: Path, *, scores: Scores, task: Task, read: Manifest, most: int) -> dict[str, Any]:
    """Lay out what there is to say of one split."""
    preemption.answer()
    bars = Bars.of(scores)
    alike, left_out = None, ""
    if scores.consistency is not None:
        alike, left_out = summaries.least_alike(scores.consistency, sources=scores.source_languages)
    return {
        "id": scores.split,
        "title": f"{scores.data} {scores.split}" + (", synthetic sample" if scores.synthetic else ""),
        "warnings": words.warnings_of(scores),
        "caption": bars.caption,
        "columns": _columns(scores),
        "rows": _rows(scores, bars=bars),
        "transfer": None if scores.transfer is None else _transfer(scores),
        "resamples": scores.resamples,
        "groups": charts.groups(scores, key=f"groups-{scores.split}"),
        "unit": scores.measure.how,
        "group_rows": _group_rows(scores),
        "consistency": alike,
        "left_out": left_out,
        "alike": words.consistency_lines(scores),
        "languages": by_language.languages(folder, scores=scores, task=task, read=read, most=most),
    }


def _columns(scores: Scores) -> list[str]:
    language, main, *others, last = words.columns_of(scores)
    return [language, main, f"{main} with interval", *others, last or "trained on"]


def _rows(scores: Scores, *, bars: Bars) -> list[dict[str, Any]]:
    """Lay out each language: cells are pairs of text and what they are sorted by."""
    texts = words.rows_of(scores)
    return [
        {
            "code": language,
            "name": LANGUAGE_NAMES.get(language, ""),
            "is_source": language in scores.source_languages,
            "bar": bars.of_language(values),
            "cells": list(zip(cells, _sorted_by(scores, language), strict=True)),
        }
        for (language, values), (_, *cells) in zip(scores.languages.items(), texts, strict=True)
    ]


def _sorted_by(scores: Scores, language: str) -> list[float]:
    """Return the numbers by which the cells of a row are sorted."""
    values, away = scores.languages[language], words.distance(scores, language)
    is_trained = float(language in scores.source_languages)
    return [
        *(values.values[measure.key] for measure in words.measures_of(scores)),
        *([values.masked or 0] if words.counts_masked(scores) else []),
        values.examples,
        *([-1 if values.ece is None else values.ece] if scores.calibrated else []),
        is_trained if scores.transfer is None else -math.inf if away is None else away,
    ]


def _transfer(scores: Scores) -> list[tuple[str, str, str]]:
    """List the transfer numbers that are defined: name, value, and its interval or its language."""
    transfer, how = scores.transfer, scores.measure.how
    assert transfer is not None
    points = f", in {how.of_differences}" if how.of_differences else ""
    numbers = [
        (f"{name}{points if key == 'gap' else ''}", how.text(value), words.span(transfer.intervals.get(key), how.text))
        for key, name in TRANSFER.items()
        if (value := getattr(transfer, key)) is not None
    ]
    if transfer.retention is not None:
        interval = words.span(transfer.intervals.get("retention"), words.percent)
        numbers.append(("retention, in percent", words.percent(transfer.retention), interval))
    if transfer.worst is not None:
        numbers.append(("worst target", how.text(transfer.worst.score), transfer.worst.language))
    return numbers


def _group_rows(scores: Scores) -> list[dict[str, Any]]:
    """Lay out the groups of target languages as rows of text."""
    how = scores.measure.how
    return [
        {
            "grouping": charts.GROUPINGS[key],
            "name": name,
            "languages": group.languages,
            "has_interval": group.interval is not None,
            "mean": f"{how.text(group.mean)}{words.within(group.interval, how.text)}",
            "gap": "" if group.gap is None else how.text(group.gap),
        }
        for key, members in charts.groups_of(scores).items()
        for name, group in members.items()
    ]


def _curves(folder: Path, *, measure: MeasureFacts) -> Markup | None:
    """Draw what metrics.csv says of the loss, of each language's dev score, and of the objectives."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    validation = f"validation/{measure.key}/"
    for step, name, value in metrics.read(folder):
        if name == "train/loss":
            panel, line = "training loss", "loss"
        elif name.startswith(validation):
            panel, line = f"dev {measure.title} by language", name.removeprefix(validation)
        elif name.endswith("_dev"):
            panel, line = "objectives on dev", name
        else:
            continue
        panels.setdefault(panel, {}).setdefault(line, []).append((step, value))
    return charts.curves(panels, key="curves") if panels else None


def _details(folder: Path) -> dict[str, str]:
    """Return the files that say how the run came about, by name, as they are."""
    names = (CONFIG, EVALUATION, "environment.json", "manifest.json")
    found = {name: folder / name for name in names if (folder / name).is_file()}
    return {name: _cut(path.read_text(encoding="utf-8", errors="replace"), path) for name, path in found.items()}


def _cut(text: str, path: Path) -> str:
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}\n… {path} has all of it"
