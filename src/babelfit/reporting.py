"""Scores as a table on the terminal and as report.md. Computes nothing but differences."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from babelfit import durable
from babelfit.languages import LANGUAGE_NAMES

SOURCE = "source"
"""Stands where other languages have their distance to the source mean."""

SHOWN = {
    "accuracy": {"accuracy": "accuracy", "f1": "macro F1", "examples": "examples"},
    "f1": {
        "f1": "span F1",
        "precision": "precision",
        "recall": "recall",
        "f1_strict": "strict F1",
        "examples": "sentences",
    },
}
"""The columns of a table, by the metric that measures transfer: key in the scores, and its name."""


def table(scores: Mapping[str, Any]) -> Table:
    """Lay out one split's scores for the terminal: a row a language, the transfer numbers below."""
    caption = Text("\n".join([*_warnings(scores), *transfer_lines(scores)]), justify="left")
    laid_out = Table(
        title=escape(_title(scores)),
        caption=caption,
        caption_justify="left",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # so that the widest table fits into 80 columns
    )
    language, *numbers = _columns(scores)
    laid_out.add_column(language, no_wrap=True)
    for column in numbers:
        laid_out.add_column(column, justify="right")
    for row in _rows(scores):
        laid_out.add_row(*(escape(cell) for cell in row), style="bold" if row[-1] == SOURCE else None)
    return laid_out


def markdown(all_scores: Sequence[Mapping[str, Any]], *, facts: Mapping[str, str], doubts: Sequence[str] = ()) -> str:
    """Write report.md: what was scored, what is wrong with the data, a section a split, what the numbers mean."""
    lines = ["# Cross-lingual report", ""]
    if any(scores.get("synthetic") for scores in all_scores):
        lines += ["**Synthetic data.** The bundled sample shows how babelfit works, not how good a model is.", ""]
    lines += [line for doubt in doubts for line in (f"**Data.** {escaped(doubt)}", "")]
    lines += [f"- {key}: {escaped(value)}" for key, value in facts.items()]
    for scores in all_scores:
        lines += ["", f"## {escaped(_title(scores))}", ""]
        lines += [line for warning in _warnings(scores) for line in (f"**{escaped(warning)}**", "")]
        columns = _columns(scores)
        lines += [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
        lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in _rows(scores)]
        lines += ["", *(f"- {escaped(line)}" for line in transfer_lines(scores))]
    names = {SHOWN[scores["metric"]][scores["metric"]] for scores in all_scores}
    lines += [
        "",
        "## What the numbers mean",
        "",
        f"- **gap**: mean {' or '.join(sorted(names))} over the source languages less the mean over the target "
        "languages, in points (Hu et al. 2020, XTREME); 0 would be perfect transfer.",
        "- **retention**: the target mean as a share of the source mean.",
        "- Means are over languages, each counting the same.",
        *(_MEANINGS[name] for name in sorted(names)),
        "",
    ]
    return "\n".join(lines)


_MEANINGS = {
    "accuracy": "- **macro F1** is the mean over classes.",
    "span F1": "- **span F1**: a span counts with both borders and the type right; an I that begins a span is read as "
    "B, as conlleval and seqeval's default mode do. **strict F1** counts only spans that begin with B.",
}


def write_report(
    folder: Path, *, all_scores: Sequence[Mapping[str, Any]], facts: Mapping[str, str], doubts: Sequence[str] = ()
) -> None:
    """Write report.md into a run folder."""
    durable.write_text(folder / "report.md", markdown(all_scores, facts=facts, doubts=doubts))


def transfer_lines(scores: Mapping[str, Any]) -> list[str]:
    """Say the transfer numbers in words, leaving out what is undefined."""
    transfer = scores["transfer"]
    lines = []
    if transfer["source"] is not None:
        sources = [one for one in scores["source_languages"] if one in scores["languages"]]
        lines.append(f"source mean {percent(transfer['source'])} ({', '.join(sources)})")
    if transfer["target_mean"] is not None:
        lines.append(f"target mean {percent(transfer['target_mean'])}")
    if transfer["gap"] is not None:
        lines.append(f"gap {100 * transfer['gap']:.1f} points")
    if transfer["retention"] is not None:
        lines.append(f"retention {percent(transfer['retention'])} %")
    if transfer["worst"] is not None:
        lines.append(f"worst target {percent(transfer['worst']['score'])} ({transfer['worst']['language']})")
    return lines


def _warnings(scores: Mapping[str, Any]) -> list[str]:
    """Say what a reader must know before believing a number."""
    warnings = []
    if "contaminated" in scores:
        languages = [one for one in scores["languages"] if one in scores["contaminated"]["languages"]]
        warnings.append(
            f"Contaminated ({', '.join(languages)}): the model was {scores['contaminated']['why']}. These scores, and "
            "what is computed from them, are no measure of transfer."
        )
    absent = [one for one in scores["source_languages"] if one not in scores["languages"]]
    if absent and scores["transfer"]["source"] is not None:
        warnings.append(f"The source mean is without {', '.join(absent)}, trained on and not scored here.")
    if "unscored_languages" in scores:
        warnings.append(f"Predicted and not scored, for want of gold labels: {', '.join(scores['unscored_languages'])}")
    return warnings


def _columns(scores: Mapping[str, Any]) -> tuple[str, ...]:
    return ("language", *SHOWN[scores["metric"]].values(), "to source")


def _title(scores: Mapping[str, Any]) -> str:
    synthetic = " (synthetic sample)" if scores.get("synthetic") else ""
    return f"{scores['data']}{synthetic}, {scores['split']}, in percent"


def _rows(scores: Mapping[str, Any]) -> list[tuple[str, ...]]:
    source = scores["transfer"]["source"]
    rows: list[tuple[str, ...]] = []
    for language, values in scores["languages"].items():
        is_source = language in scores["source_languages"]
        named = f"{language} {LANGUAGE_NAMES.get(language, '')}".strip()
        unlabelled = f" + {values['unlabelled']:,} without label" if "unlabelled" in values else ""
        *shares, examples = SHOWN[scores["metric"]]
        rows.append(
            (
                named,
                *(percent(values[share]) for share in shares),
                f"{values[examples]:,}{unlabelled}",
                SOURCE if is_source else "" if source is None else f"{100 * (values[scores['metric']] - source):+.1f}",
            )
        )
    return rows


def percent(share: float) -> str:
    """Write a fraction of 1 in percent, with one decimal."""
    return f"{100 * share:.1f}"


def escaped(text: str) -> str:
    """Keep text from being read as Markdown or HTML, and on one line."""
    return re.sub(r"([\\`*_\[\]|<>&~])", r"\\\1", re.sub(r"\s+", " ", text))
