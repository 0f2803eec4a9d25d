"""Charts by matplotlib: as SVG within the page, in the colours of the page, and as PNG for papers."""

import html
import io
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from babelfit.devices import preemption
from babelfit.files import atomic_files
from babelfit.files.untrusted_files import inside
from babelfit.reports import summaries, words
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Group, Scores
from babelfit.scoring.tables import Consistency
from babelfit.statistics.sums import PERCENT

# Told apart by all kinds of eyes: Okabe & Ito 2008, without black, and without what is faint on white or on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINES = ("-", "--", ":", "-.")
INK = "#010203"
"""Stands for the colour of text until the page decides which that is."""

MOST_NUMBERED = 24
"""Languages: a picture of more pairs has no numbers in it."""

GROUPINGS = {key: f"by {name}" for key, name in words.GROUPINGS.items()}

Points = Mapping[str, Sequence[tuple[int, float]]]
"""Lines of a chart: name -> (step, value)."""

_STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # what users wrote is no formula
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
}
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")


def _drawn(figure: Figure, *, key: str, title: str, description: str) -> Markup:
    """Write a figure as an SVG element that is the same bytes each time, with words for who does not see it."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it would tell of its fonts
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The reader's fonts write the text, not matplotlib's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # not asked for by anybody, and twice on a page
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    svg = svg.replace(INK, "currentColor")
    key = html.escape(key)
    caption = (
        f'<title id="{key}-title">{html.escape(title)}</title><desc id="{key}-desc">{html.escape(description)}</desc>'
    )
    opened = f'<svg role="img" aria-labelledby="{key}-title {key}-desc"'
    svg = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", lambda found: f"{opened} {found[1]}>{caption}", svg, count=1)
    return Markup(re.sub(r"\n\s*", "\n", svg))


def _style(*, key: str) -> Any:
    return rc_context(_STYLE | dict.fromkeys(_INKED, INK) | {"svg.hashsalt": key})


def curves(panels: Mapping[str, Points], *, key: str) -> Markup:
    """Draw numbers of training by optimizer step, a panel each: name of the panel -> its lines."""
    with _style(key=key):
        figure = Figure(figsize=(4.4 * len(panels), 3.6), layout="constrained")
        for place, (name, every) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(1, len(panels), place)
            lines, left_out = summaries.worst_lines(every)
            styles = cycle((colour, line) for line in LINES for colour in COLOURS)
            for (label, points), (colour, line) in zip(lines.items(), styles, strict=False):
                steps, values = zip(*points, strict=True)
                marker = "." if len(steps) < 30 else ""
                axes.plot(steps, values, color=colour, linestyle=line, marker=marker, linewidth=1.3, label=label)
            axes.set_title(f"{name}{left_out}")
            axes.set_xlabel("optimizer step")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axes.grid(alpha=0.25)
            if len(lines) > 1:
                beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
                axes.legend(fontsize=7, frameon=False, ncols=1 + len(lines) // 20, handlelength=2.6, **beside)
        ends = [
            f"{name}: " + ", ".join(f"{label} ends at {points[-1][1]:.4g}" for label, points in lines.items())
            for name, lines in panels.items()
        ]
        return _drawn(figure, key=key, title="Learning curves", description="; ".join(ends))


def groups(scores: Scores, *, key: str) -> Markup | None:
    """Draw the means of groups of target languages as bars, a panel for each way of grouping; None: there are none."""
    found = groups_of(scores)
    if not found:
        return None
    measure = scores.measure
    with _style(key=key):
        figure = _groups(found, scores=scores)
        parts = [
            f"{GROUPINGS[grouping]}: "
            + ", ".join(f"{group} {measure.how.text(one.mean)}" for group, one in members.items())
            for grouping, members in found.items()
        ]
        title = f"Mean {measure.title} of target languages by group"
        return _drawn(figure, key=key, title=title, description="; ".join(parts))


def groups_of(scores: Scores) -> dict[str, dict[str, Group]]:
    """Return the groupings that have groups."""
    every = {} if scores.groups is None else {key: scores.groups.by(key) for key in GROUPINGS}
    return {key: members for key, members in every.items() if members}


def _groups(found: Mapping[str, Mapping[str, Group]], *, scores: Scores) -> Figure:
    measure, how = scores.measure, scores.measure.how
    source = None if scores.transfer is None else scores.transfer.source
    sizes = [len(members) for members in found.values()]
    figure = Figure(figsize=(7, 0.24 * sum(sizes) + 0.55 * len(sizes) + 0.5), layout="constrained")
    panels = figure.subplots(len(found), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": sizes})
    for (axes,), (key, members) in zip(panels, found.items(), strict=True):
        means = [how.scale * one.mean for one in members.values()]
        bars = axes.barh(range(len(means)), means, color=COLOURS[0], height=0.7)
        if how is PERCENT:
            for height, one in enumerate(members.values()):
                axes.text(101, height, how.text(one.mean), va="center", fontsize=8)
        else:
            axes.bar_label(bars, [how.text(one.mean) for one in members.values()], padding=3, fontsize=8)
        axes.set_yticks(range(len(means)), [_cut(f"{group} ({len(one.languages)})") for group, one in members.items()])
        axes.set_ylim(len(means) - 0.4, -0.6)
        axes.set_title(GROUPINGS[key])
        if source is not None:
            axes.axvline(how.scale * source, color=COLOURS[1], linestyle="--", linewidth=1.2)
    if how is PERCENT:
        panels[-1][0].set_xlim(0, 112)
        panels[-1][0].set_xticks(range(0, 101, 20))
    else:
        panels[-1][0].margins(x=0.15)
    line = "" if source is None else "; dashed: source mean"
    panels[-1][0].set_xlabel(f"mean {_label(measure)}{line}")
    return figure


def shade(share: float) -> tuple[str, str]:
    """Choose the background of a cell for a number from 0 to 1, and the colour of text that can be read on it."""
    return _shade(max(0, min(255, int(256 * share))))


@cache
def _shade(place: int) -> tuple[str, str]:
    red, green, blue, _ = colormaps["cividis"](place)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2  # relative luminance, roughly
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}", "#000" if light > 0.18 else "#fff"


def write_figures(scores: Scores, *, folder: Path) -> None:
    """Write one split's scores, groups and consistency as PNG files for papers."""
    drawn: dict[str, Figure] = {}
    with rc_context(_STYLE):
        drawn["scores"] = _scores(scores)
        if found := groups_of(scores):
            drawn["groups"] = _groups(found, scores=scores)
        if scores.consistency is not None:
            drawn["consistency"] = _consistency(scores.consistency, scores=scores)
        folder.mkdir(exist_ok=True)
        for name, figure in drawn.items():
            path = inside(folder, f"{name}-{scores.split}.png")
            temporary = path.with_name(f"{path.name}.tmp")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Glyph .* missing from font")
                figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
            atomic_files.rename(temporary, path)
            preemption.answer()


def _scores(scores: Scores) -> Figure:
    """Draw each language's score with its interval, the best on top, source languages in another colour and shape."""
    measure = scores.headline
    scale, best_first = measure.how.scale, -1 if measure.better == "higher" else 1
    ordered = sorted(scores.languages, key=lambda one: best_first * scores.languages[one].values[measure.key])
    figure = Figure(figsize=(6, 0.22 * len(ordered) + 1.2), layout="constrained")
    axes: Axes = figure.add_subplot()
    heights = {language: height for height, language in enumerate(ordered)}
    for is_source in (True, False):
        drawn = [one for one in ordered if (one in scores.source_languages) == is_source]
        values, lower, upper = [], [], []
        for language in drawn:
            theirs = scores.languages[language]
            score = theirs.values[measure.key]
            value, low, high = (scale * one for one in (score, *(theirs.interval or (score, score))))
            values.append(value)
            lower.append(max(0, value - low))
            upper.append(max(0, high - value))
        axes.errorbar(
            values,
            [heights[one] for one in drawn],
            xerr=[lower, upper],
            fmt="D" if is_source else "o",
            color=COLOURS[1] if is_source else COLOURS[0],
            capsize=2,
            markersize=5,
        )
    axes.set_yticks(range(len(ordered)), [_cut(language) for language in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xlabel(f"{_label(measure)}; diamonds: trained on")
    axes.set_title(_title(scores))
    axes.grid(axis="x", alpha=0.3)
    return figure


def _consistency(whole: Consistency, *, scores: Scores) -> Figure:
    """Draw the share of items that each pair of languages answers alike; of very many, those that agree least."""
    found, left_out = summaries.least_alike(whole, sources=scores.source_languages)
    cells = [[float("nan") if share is None else 100 * share for share in row] for row in found.alike]
    languages = [_cut(language) for language in found.languages]
    side = 0.42 * len(languages) + 1.6
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes: Axes = figure.add_subplot()
    image = axes.imshow(cells, cmap="cividis", vmin=0, vmax=100)
    for height, row in enumerate(cells):
        for place, value in enumerate(row):
            if value == value and len(languages) <= MOST_NUMBERED:
                axes.text(
                    place, height, f"{value:.0f}", ha="center", va="center", color=shade(value / 100)[1], fontsize=7
                )
    axes.set_xticks(range(len(languages)), languages)
    axes.set_yticks(range(len(languages)), languages)
    axes.set_title("items answered alike, in percent" + (f"\n{left_out}" if left_out else ""))
    figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    return figure


def _label(measure: MeasureFacts) -> str:
    return ", ".join(filter(None, [measure.title, measure.how.title]))


def _title(scores: Scores) -> str:
    contaminated = "" if scores.contaminated is None else " (contaminated)"
    return f"{words.named_data(scores.data, is_synthetic=scores.synthetic)}, {scores.split}{contaminated}"


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
