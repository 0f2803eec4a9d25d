"""The ledger of a sweep as one picture: groups, learning curves, importance, languages. Imports matplotlib."""

import logging
import math
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.files import atomic_files
from babelfit.ledger.groups import Group
from babelfit.ledger.ledger import COMPLETE, Ledger
from babelfit.reports.sweep_tables import count_in_words, label

# All kinds of eyes see their differences: Okabe & Ito 2008, without black and without yellow, which is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
OTHERS = "#999999"

MOST_GROUPS = 12
MOST_NUMBERS = 150
"""A heat map of more cells has no numbers in them."""

PANEL = (6.4, 4.2)  # inches
STYLE: dict[Any, Any] = {
    # What users wrote is no formula.
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

Panel = Callable[[Axes, Ledger], None]


def draw(ledger: Ledger, *, path: Path) -> None:
    """Write the picture as PNG, with the panels that there is something to show in."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it would log its fonts
    panels = _panels(ledger)
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / columns)
    with rc_context(STYLE), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; sweep.md has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.5), layout="constrained")
        figure.suptitle(f"{_shorten(ledger.name, 60)}: {ledger.objective}\n{count_in_words(ledger)}", fontsize=12)
        for place, panel in enumerate(panels, start=1):
            # The last of an odd number has the whole row.
            where = (rows, columns, place) if place < len(panels) else (rows, columns, (place, rows * columns))
            panel(figure.add_subplot(*where), ledger)
        temporary = path.with_name(f"{path.name}.tmp")
        figure.savefig(temporary, format="png", dpi=150)
    atomic_files.rename(temporary, path)


def _panels(ledger: Ledger) -> list[Panel]:
    """Choose the panels that have something to show; at least one."""
    scored = _scored(ledger)
    languages = [group for group in scored if group.languages.get("validation")]
    panels: list[tuple[Panel, bool]] = [
        (_groups, bool(scored)),
        (_curves, any(row.curve is not None for row in ledger.rows)),
        (_importance, bool(ledger.importance.shares)),
        (_heat_map, len(languages) > 1),
        (_languages, len(languages) == 1),
    ]
    return [panel for panel, shows in panels if shows] or [_nothing]


def _scored(ledger: Ledger) -> list[Group]:
    return [group for group in ledger.groups if ledger.objective in group.objectives]


def _colour(number: int) -> str:
    return COLOURS[number - 1] if number <= len(COLOURS) else OTHERS


def _groups(axes: Axes, ledger: Ledger) -> None:
    """Draw each group's trials, their mean and standard deviation, the best on top."""
    scored = _scored(ledger)
    chosen = scored[:MOST_GROUPS]
    beside = 0.06 * min(len(chosen), 4)  # trials below their mean, at the same distance on paper
    for height, group in enumerate(chosen):
        spread, colour = group.objectives[ledger.objective], _colour(group.number)
        many = spread.count > 1
        axes.plot(
            [100 * value for value in spread.values],
            [height + beside * many] * spread.count,
            "o",
            color=colour,
            markersize=4 if many else 7,
            alpha=0.55 if many else 1,
            markeredgewidth=0,
        )
        if spread.sd is not None:
            axes.errorbar(
                100 * spread.mean, height, xerr=100 * spread.sd, fmt="D", color=colour, capsize=4, markersize=6
            )
    axes.set_yticks(range(len(chosen)), [_tick(group, ledger=ledger) for group in chosen])
    axes.set_ylim(len(chosen) - 0.5, -0.5)
    axes.set_xlabel(f"{ledger.objective}, in percent")
    axes.grid(axis="x", alpha=0.3)
    many = any(group.objectives[ledger.objective].sd is not None for group in chosen)
    what = "mean and standard deviation over seeds; dots: trials" if many else "one trial each"
    which = f"the best {len(chosen)} of {len(scored)} groups" if len(chosen) < len(scored) else "groups"
    verdict = ledger.comparison.verdict if ledger.comparison is not None else ""
    verdict_line = f"\n1 against 2: {verdict.split(':')[0]}" if verdict else ""
    axes.set_title(f"{which}: {what}{verdict_line}")


def _tick(group: Group, *, ledger: Ledger) -> str:
    text = f"{group.number}: {label(group.settings, keys=ledger.swept)}"
    return "\n".join(textwrap.wrap(text, width=32, max_lines=2, placeholder=" …")) or str(group.number)


def _curves(axes: Axes, ledger: Ledger) -> None:
    """Draw how the objective went in each trial, the best groups in their colours and above the others."""
    rows = [row for row in ledger.rows if row.curve is not None]
    # The best last, so that nothing hides them.
    for row in reversed(rows):
        assert row.curve is not None
        is_coloured, is_complete = row.group <= len(COLOURS), row.trial.state == COMPLETE
        axes.plot(
            row.curve.steps,
            [100 * value for value in row.curve.values],
            ".-" if is_complete else "x--",
            color=_colour(row.group),
            linewidth=1.3 if is_coloured else 0.8,
            alpha=0.9 if is_coloured else 0.5,
            markersize=4,
        )
    shown = sorted({min(row.group, len(COLOURS) + 1) for row in rows})
    for number in shown if len(shown) > 1 else []:
        axes.plot([], [], color=_colour(number), label=f"group {number}" if number <= len(COLOURS) else "other groups")
    if any(row.trial.state != COMPLETE for row in rows):
        axes.plot([], [], "x--", color="black", markersize=4, label="not complete")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    instead = any(row.curve is not None and row.curve.metric != ledger.objective for row in rows)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(f"{ledger.objective}, in percent")
    logged = f" ({SOURCE_DEV} where it was not logged)" if instead else ""
    axes.set_title(f"learning curves: {ledger.objective}{logged}")
    axes.grid(alpha=0.3)


def _importance(axes: Axes, ledger: Ledger) -> None:
    """Draw the share of each key as a bar with its number."""
    found = ledger.importance
    shares = [100 * share for share in found.shares.values()]
    bars = axes.barh(range(len(shares)), shares, color=COLOURS[0], height=0.6)
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_yticks(range(len(shares)), [_shorten(key, 36) for key in found.shares])
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max(shares))
    axes.set_xlabel("importance, in percent")
    axes.set_title(f"importance: PED-ANOVA, the best {found.num_best} of {found.num_trials} trials against all")


def _heat_map(axes: Axes, ledger: Ledger) -> None:
    """Draw languages by groups on dev as colours with numbers."""
    chosen = [group for group in _scored(ledger) if group.languages.get("validation")][:MOST_GROUPS]
    languages = list(dict.fromkeys(one for group in chosen for one in group.languages["validation"]))
    spreads = [[group.languages["validation"].get(one) for one in languages] for group in chosen]
    cells = [[math.nan if spread is None else 100 * spread.mean for spread in row] for row in spreads]
    image = axes.imshow(cells, cmap="cividis", aspect="auto")
    known = [value for row in cells for value in row if not math.isnan(value)]
    middle = (min(known) + max(known)) / 2
    if len(chosen) * len(languages) <= MOST_NUMBERS:
        for height, row in enumerate(cells):
            for place, value in enumerate(row):
                text = "" if math.isnan(value) else f"{value:.0f}" if len(languages) > 10 else f"{value:.1f}"
                colour = "white" if value < middle else "black"
                axes.text(place, height, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(languages)), [_shorten(one, 8) for one in languages])
    axes.set_yticks(range(len(chosen)), [f"group {group.number}" for group in chosen])
    axes.set_title("languages by groups, on dev: means, in percent")
    axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)


def _languages(axes: Axes, ledger: Ledger) -> None:
    """Draw the languages of the only group on dev, with the spread over its seeds."""
    [group] = [group for group in _scored(ledger) if group.languages.get("validation")]
    for place, spread in enumerate(group.languages["validation"].values()):
        axes.errorbar(
            place, 100 * spread.mean, yerr=100 * (spread.sd or 0), fmt="D", color=COLOURS[0], capsize=4, markersize=5
        )
    names = [_shorten(language, 8) for language in group.languages["validation"]]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("in percent")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title("languages on dev: mean and standard deviation over seeds")


def _nothing(axes: Axes, ledger: Ledger) -> None:
    """Write that there is nothing to draw yet, in the place of an older picture."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no trial is complete yet", ha="center", va="center")


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
