"""Scores in words, in rows, and as a table on the terminal. Computes nothing but differences."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from babelfit.languages.facts import LANGUAGE_NAMES

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

ON_THE_PAGE = ("precision", "recall")
"""Columns that report.md alone has: the terminal's 80 columns do not."""

GROUPINGS = {
    "family": "family",
    "script": "script",
    "pretraining": "size in XLM-R's pretraining corpus",
}


def table(scores: Mapping[str, Any]) -> Table:
    """Lay out one split's scores for the terminal: a row a language, the transfer numbers below."""
    lines = [*warnings_of(scores), *transfer_lines(scores), *_group_lines(scores), *consistency_lines(scores)]
    caption = Text("\n".join(lines), justify="left")
    laid_out = Table(
        title=escape(title(scores)),
        caption=caption,
        caption_justify="left",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # so that the widest table fits into 80 columns
    )
    language, *numbers = columns_of(scores, without=ON_THE_PAGE)
    laid_out.add_column(language, overflow="fold")
    for column in numbers:
        laid_out.add_column(column, justify="right", no_wrap=column != "examples")
    for row in rows_of(scores, without=ON_THE_PAGE):
        laid_out.add_row(*(escape(cell) for cell in row), style="bold" if row[-1] == SOURCE else None)
    return laid_out


def has(scores: Mapping[str, Any], key: str) -> bool:
    """Tell whether scores, or those of any language, say something that only newer ones do."""
    return key in scores or any(key in values for values in scores["languages"].values())


def transfer_lines(scores: Mapping[str, Any]) -> list[str]:
    """Say the transfer numbers in words, leaving out what is undefined."""
    transfer = scores["transfer"]
    intervals = transfer.get("intervals", {})
    lines = []
    if transfer["source"] is not None:
        sources = ", ".join(one for one in scores["source_languages"] if one in scores["languages"])
        inside = "; ".join(filter(None, [_span(intervals.get("source")), sources]))
        lines.append(f"source mean {percent(transfer['source'])} ({inside})")
    if transfer["target_mean"] is not None:
        lines.append(f"target mean {percent(transfer['target_mean'])}{within(intervals.get('target_mean'))}")
    if transfer["gap"] is not None:
        lines.append(f"gap {100 * transfer['gap']:.1f} points{within(intervals.get('gap'))}")
    if transfer["retention"] is not None:
        lines.append(f"retention {percent(transfer['retention'])} %{within(intervals.get('retention'))}")
    if transfer["worst"] is not None:
        lines.append(f"worst target {percent(transfer['worst']['score'])} ({transfer['worst']['language']})")
    return lines


def _group_lines(scores: Mapping[str, Any]) -> list[str]:
    """Say the means of groups of target languages, a line a grouping."""
    lines = []
    for key, name in GROUPINGS.items():
        members = scores.get("groups", {}).get(key)
        if members:
            means = ", ".join(f"{group} {percent(values['mean'])}" for group, values in members.items())
            lines.append(f"by {name}: {means}{correlation(scores) if key == 'pretraining' else ''}")
    return lines


def correlation(scores: Mapping[str, Any]) -> str:
    """Say how score and size go together; nothing where too few languages tell."""
    found = scores["groups"].get("size_correlation")
    return "" if found is None else f"; rho {found['spearman']:+.2f} over {found['languages']} languages"


def consistency_lines(scores: Mapping[str, Any]) -> list[str]:
    """Say which share of a parallel dataset's items is answered alike in all languages."""
    found = scores.get("consistency")
    if found is None or found["all_alike"] is None:
        return []
    line = (
        f"answered alike in all {len(found['languages'])} languages: {percent(found['all_alike'])} % of "
        f"{found['items']:,} items, and right in all: {percent(found['all_right'])} %"
    )
    for source, share in found["all_alike_if_right"].items():
        if share is not None:
            line += f"; of those right in {source}, {percent(share)} % alike in all"
    lines = [line]
    if found["left_out"]:
        lines.append(f"{found['left_out']:,} items left out: not every language has them, with gold")
    if found["different_gold"]["items"]:
        lines.append(f"gold differs by language in {found['different_gold']['items']:,} items")
    return lines


def warnings_of(scores: Mapping[str, Any]) -> list[str]:
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
    if "not_parallel" in scores:
        warnings.append(f"Rows are not compared, and languages resampled each for itself: {scores['not_parallel']}.")
    if "unscored_languages" in scores:
        warnings.append(f"Predicted and not scored, for want of gold labels: {', '.join(scores['unscored_languages'])}")
    return warnings


def columns_of(scores: Mapping[str, Any], *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Name the columns of a split's table."""
    shown = (name for key, name in SHOWN[scores["metric"]].items() if key not in without)
    return ("language", *shown, *(("ECE",) if has(scores, "ece") else ()), "to source")


def title(scores: Mapping[str, Any]) -> str:
    """Say which scores a table has."""
    synthetic = " (synthetic sample)" if scores.get("synthetic") else ""
    return f"{scores['data']}{synthetic}, {scores['split']}, in percent"


def rows_of(scores: Mapping[str, Any], *, without: Collection[str] = ()) -> list[tuple[str, ...]]:
    """Write a split's scores as cells of text, a row a language."""
    source = scores["transfer"]["source"]
    rows: list[tuple[str, ...]] = []
    for language, values in scores["languages"].items():
        is_source = language in scores["source_languages"]
        named = f"{language} {LANGUAGE_NAMES.get(language, '')}".strip()
        unlabelled = f" + {values['unlabelled']:,} without label" if "unlabelled" in values else ""
        main, *others, examples = (key for key in SHOWN[scores["metric"]] if key not in without)
        calibrated = [percent(values["ece"]) if "ece" in values else ""] if has(scores, "ece") else []
        rows.append(
            (
                named,
                f"{percent(values[main])}{within(values.get('interval'))}",
                *(percent(values[share]) for share in others),
                f"{values[examples]:,}{unlabelled}",
                *calibrated,
                SOURCE if is_source else "" if source is None else f"{100 * (values[main] - source):+.1f}",
            )
        )
    return rows


def _span(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def within(interval: Sequence[float] | None) -> str:
    """Say an interval in brackets, to stand behind its number; nothing where there is none."""
    return "" if interval is None else f" ({_span(interval)})"


def percent(share: float) -> str:
    """Write a fraction of 1 in percent, with one decimal."""
    return f"{100 * share:.1f}"


def perplexity(value: float) -> str:
    """Write a perplexity with two decimals, where these say anything."""
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"
