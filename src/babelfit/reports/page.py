"""report.html: one file with all that a run's folder says of its scores, and figures beside it.

Gathers and lays out; charts.py draws, mistakes.py chooses what to read, report.html.jinja is the page itself.
"""

import base64
import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
from markupsafe import Markup

from babelfit.data import LabelledDataModule, MultilingualDataModule
from babelfit.datasets import DATASETS as DATA
from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import AnyPrediction
from babelfit.reports import charts, manifest_tables, words
from babelfit.reports.mistakes import Mistakes, mistakes, most_of_each
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import SHOWN
from babelfit.rows.rereading import read_again
from babelfit.run import manifest
from babelfit.run.run import CONFIG, EVALUATION
from babelfit.scoring.scoring import RECORDS

HERE = Path(__file__).parent
FILE = "report.html"
FIGURES = "figures"

RIGHT_TO_LEFT = {"ar", "arc", "arz", "ckb", "dv", "fa", "he", "mzn", "pnb", "ps", "sd", "ug", "ur", "yi"}

TRANSFER = {
    "source": "source mean",
    "target_mean": "target mean",
    "mean": "mean of all",
    "gap": "gap, in points",
    "retention": "retention, in percent",
}


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
    environment.filters["within"] = words.within
    environment.filters["direction"] = lambda language: "rtl" if language in RIGHT_TO_LEFT else "auto"
    environment.globals["shade"] = charts.shade
    return environment.get_template(name)


def style() -> Markup:
    """Return the style sheet of all pages."""
    return Markup((HERE / "report.css").read_text(encoding="utf-8"))


def write_page(
    folder: Path,
    *,
    all_scores: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
    selections: Sequence[Sheet] = (),
) -> None:
    """Write report.html and figures/ into a run folder, from what lies there and the data that its manifest names."""
    script = (HERE / "report.js").read_text(encoding="utf-8")
    read = manifest.read(folder)
    page = template("report.html.jinja").render(
        title=" · ".join(filter(None, [facts.get("run") or facts.get("model"), str(all_scores[0]["data"])])),
        facts=facts,
        is_synthetic=any(scores.get("synthetic") for scores in all_scores),
        style=style(),
        script=Markup(script),
        # Nothing else runs on the page, whatever text it shows.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        splits=_splits(folder, all_scores=all_scores, read=read),
        selections=selections,
        curves=_curves(folder / "metrics.csv", metric=str(all_scores[0]["metric"])),
        data=manifest_tables.data(read),
        tokens=manifest_tables.tokens(read),
        doubts=manifest.doubts(read),
        details=_details(folder),
    )
    atomic_files.write_text(folder / FILE, page)
    for scores in all_scores:
        charts.write_figures(scores, metric=SHOWN[scores["metric"]][scores["metric"]], folder=folder / FIGURES)


def _splits(folder: Path, *, all_scores: Sequence[Mapping[str, Any]], read: Mapping[str, Any]) -> list[dict[str, Any]]:
    most = most_of_each(2 * sum(len(scores["languages"]) for scores in all_scores))
    return [_split(folder, scores=scores, read=read, most=most) for scores in all_scores]


def _split(folder: Path, *, scores: Mapping[str, Any], read: Mapping[str, Any], most: int) -> dict[str, Any]:
    """Lay out what there is to say of one split."""
    split, main = str(scores["split"]), str(scores["metric"])
    metric = SHOWN[main][main]
    transfer, intervals = scores["transfer"], scores["transfer"].get("intervals", {})
    found_groups = {key: values for key, values in scores.get("groups", {}).items() if key in charts.GROUPINGS}
    return {
        "id": split,
        "title": f"{scores['data']} {split}" + (", synthetic sample" if scores.get("synthetic") else ""),
        "metric": metric,
        "warnings": words.warnings_of(scores),
        "columns": _columns(scores),
        "rows": [_row(scores, language) for language in scores["languages"]],
        "transfer": [
            {"name": name, "value": transfer[key], "interval": intervals.get(key)}
            for key, name in TRANSFER.items()
            if transfer.get(key) is not None
        ],
        "worst": transfer.get("worst"),
        "resamples": scores.get("resamples"),
        "groups": charts.groups(found_groups, source=transfer["source"], metric=metric, key=f"groups-{split}")
        if any(found_groups.values())
        else None,
        "group_rows": [
            {"grouping": charts.GROUPINGS[key], "name": name, "interval": None, **values}
            for key, members in found_groups.items()
            for name, values in members.items()
        ],
        "consistency": scores.get("consistency"),
        "alike": words.consistency_lines(scores),
        "languages": _languages(folder, scores=scores, read=read, most=most),
        "most": most,
    }


def _columns(scores: Mapping[str, Any]) -> list[str]:
    calibrated = ["ECE"] if any("ece" in values for values in scores["languages"].values()) else []
    main, *others = SHOWN[scores["metric"]].values()
    return ["language", main, f"{main} with interval", *others, *calibrated, "to source"]


def _row(scores: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Lay out one language: cells are pairs of text and what they are sorted by."""
    values, source = scores["languages"][language], scores["transfer"]["source"]
    main, *others, examples = SHOWN[scores["metric"]]
    interval = values.get("interval")
    is_source = language in scores["source_languages"]
    unlabelled = f" + {values['unlabelled']:,} without label" if "unlabelled" in values else ""
    calibrated = any("ece" in one for one in scores["languages"].values())
    distance = None if source is None else values[main] - source
    return {
        "code": language,
        "name": LANGUAGE_NAMES.get(language, ""),
        "is_source": is_source,
        "score": values[main],
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
        "main": (f"{words.percent(values[main])}{words.within(interval)}", values[main]),
        "cells": [
            *((words.percent(values[key]), values[key]) for key in others),
            (f"{values[examples]:,}{unlabelled}", values[examples]),
            *([(words.percent(values["ece"]) if "ece" in values else "", values.get("ece", -1))] if calibrated else []),
            (
                words.SOURCE if is_source else "" if distance is None else f"{100 * distance:+.1f}",
                -math.inf if distance is None else distance,
            ),
        ],
    }


def _languages(folder: Path, *, scores: Mapping[str, Any], read: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """Lay out each language closely: confusion, calibration, and the errors to read."""
    split = str(scores["split"])
    data = DATA.get(str(scores["data"]))
    source = next((one for one in scores["source_languages"] if one in scores["languages"]), None)
    records = _records(folder, data=data, scores=scores, read=read)
    texts = _texts(read, data=data, split=split, languages=list(scores["languages"]))
    are_same_items = data is not None and data.is_parallel and "not_parallel" not in scores and source is not None
    laid_out = []
    for language, values in scores["languages"].items():
        is_compared = are_same_items and language != source
        text = texts[language]
        found: Mistakes | None = None
        if language in records:
            found = mistakes(
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
                "confusion": values.get("confusion"),
                "calibration": _bins(values.get("calibration")),
                "ece": values.get("ece"),
                "mistakes": found,
                "gone": text if isinstance(text, str) else None,
            }
        )
    return laid_out


def _bins(calibration: Mapping[str, Sequence[Any]] | None) -> list[dict[str, Any]]:
    """List the bins of confidence that hold a prediction."""
    if calibration is None:
        return []
    keys = ("count", "confidence", "accuracy")
    bins = zip(*(calibration[key] for key in keys), strict=True)
    return [dict(zip(keys, values, strict=True)) for values in bins if values[0]]


def _records(
    folder: Path,
    *,
    data: type[MultilingualDataModule] | None,
    scores: Mapping[str, Any],
    read: Mapping[str, Any],
) -> dict[str, list[AnyPrediction]]:
    """Read the predictions of the scored languages, as far as they are still there."""
    if data is None:
        return {}
    entries = read.get("splits", {}).get(scores["split"], {})
    files = {
        language: prediction_files.path(folder, split=str(scores["split"]), language=language)
        for language in scores["languages"]
    }
    return {
        language: prediction_files.read(
            file,
            RECORDS[data.head],
            label_names=data.label_names,
            dropped=set(chain(*entries.get(language, {}).get("dropped", {}).values())),
        )
        for language, file in files.items()
        if file.is_file()
    }


def _texts(
    read: Mapping[str, Any], *, data: type[MultilingualDataModule] | None, split: str, languages: Sequence[str]
) -> dict[str, pa.Table | str]:
    """Read the text of each language, or say why it is not there."""
    entries = read.get("splits", {}).get(split, {})
    texts: dict[str, pa.Table | str] = {}
    for language in languages:
        if data is None or language not in entries:
            texts[language] = "the manifest does not say which file it was"
        elif not issubclass(data, LabelledDataModule):
            texts[language] = f"{data.data_name} is not laid out in rows with labels"
        else:
            texts[language] = read_again(
                entries[language], layouts=data.layouts, dataset=data.data_name, language=language
            )
    return texts


def _curves(path: Path, *, metric: str) -> Markup | None:
    """Draw what metrics.csv says of the loss, of each language's dev score, and of the objectives."""
    if not path.is_file():
        return None
    panels: dict[str, dict[str, list[tuple[int, float]]]] = {}
    by_language = f"validation/{metric}/"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name, point = row["metric"], (int(row["step"]), float(row["value"]))
                if name == "train/loss":
                    panel, line = "training loss", "loss"
                elif name.startswith(by_language):
                    panel, line = f"dev {SHOWN[metric][metric]} by language", name.removeprefix(by_language)
                elif name.endswith("_dev"):
                    panel, line = "objectives on dev", name
                else:
                    continue
                panels.setdefault(panel, {}).setdefault(line, []).append(point)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path} is damaged ({error!r}): it must have rows of step,metric,value. Mend or delete it"
        ) from error
    return charts.curves(panels, key="curves") if panels else None


def _details(folder: Path) -> dict[str, str]:
    """Return the files that say how the run came about, by name, as they are."""
    names = (CONFIG, EVALUATION, "environment.json", "manifest.json")
    return {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file()}
