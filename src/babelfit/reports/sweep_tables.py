"""The ledger in words and in sheets of cells, for terminal and Markdown alike: rounded, short names, no markup."""

from collections.abc import Mapping, Sequence

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.ledger.comparison import NO_NOISE, SEEDS, TEST, TOO_FEW
from babelfit.ledger.groups import Group, number
from babelfit.ledger.importance import ENOUGH_BEST, METHOD
from babelfit.ledger.ledger import COMPLETE, Ledger, Row
from babelfit.ledger.results import MEANS
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import named, percent
from babelfit.statistics.significance import LEVEL
from babelfit.statistics.spread import Spread
from babelfit.statistics.sums import Unit

MOST_GROUPS = 6
"""So many groups have a column of languages; sweep.json has all."""

LONGEST = 8
"""Numbers of more characters than this are rounded for reading."""


def sheets(ledger: Ledger) -> list[Sheet]:
    """Lay out all that there is to tell of a sweep, in the order in which it is read."""
    splits = sorted(
        {split for group in ledger.groups for split in group.languages}, key=lambda one: one != "validation"
    )
    laid_out = [
        _trials(ledger),
        _groups(ledger),
        *(_languages(ledger, split=split) for split in splits),
        _prices(ledger),
        _importances(ledger),
    ]
    return [sheet for sheet in laid_out if sheet.rows]


def count_in_words(ledger: Ledger) -> str:
    """Return in words how many trials ended how, and how many were proposed again."""
    total, states = len(ledger.rows), ", ".join(f"{count} {state}" for state, count in ledger.counts.items())
    repeats = ledger.num_proposed - total
    words = f"{total} trial{'s' * (total != 1)}{': ' * bool(states)}{states}"
    return words + (f"; {repeats} more had the config of one of these and count once with it" if repeats else "")


def sentences(ledger: Ledger) -> list[str]:
    """Return in words what the tables are for: whether the best is better, and what selection cost."""
    return [*_selection_lines(ledger), *_importance_lines(ledger), *_comparison_lines(ledger)]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Cut keys to their last parts, as many as tell them apart."""

    def cut(key: str) -> str:
        parts = key.split(".")
        names = [".".join(parts[-depth:]) for depth in range(1, len(parts) + 1)]
        return next((name for name in names if sum(f".{other}".endswith(f".{name}") for other in keys) == 1), key)

    return {key: cut(key) for key in keys}


def shorten(value: str) -> str:
    """Return a long number rounded for reading, and all else as it is."""
    found = number(value)
    return value if found is None or len(value) <= LONGEST else f"{found:.4g}"


def label(settings: Mapping[str, str], *, keys: Sequence[str]) -> str:
    """Return a name for settings: what was swept, other than the seed."""
    names = short_names(keys)
    return (
        ", ".join(f"{names[key]}={shorten(value)}" for key, value in settings.items()) or "all alike but for the seed"
    )


def in_unit(how: Unit) -> str:
    """Return in what scores are written, for the end of a title; nothing where that need not be said."""
    return f", {how.title}" if how.title else ""


def lost(how: Unit) -> str:
    """Return what a column is called of how much lower scores are than they could be."""
    return f"{how.of_differences} lost".lstrip()


def in_points(difference: float, *, how: Unit) -> str:
    """Return a difference without a sign."""
    return f"{how.text(difference)} {how.of_differences}".rstrip()


def spread_cell(spread: Spread | None, *, count: int, how: Unit) -> str:
    """Return mean and standard deviation, and how many there are where it is not all of them."""
    if spread is None:
        return ""
    deviation = "" if spread.sd is None else f" ± {how.text(spread.sd)}"
    return f"{how.text(spread.mean)}{deviation}{f' (n={spread.count})' if spread.count != count else ''}"


def _trials(ledger: Ledger) -> Sheet:
    names, others = short_names(ledger.swept), ledger.objectives[1:]
    return Sheet(
        title=f"trials, on dev{in_unit(ledger.how)} (rank in brackets)",
        columns=["rank", "trial", "group", *names.values(), ledger.objective, *others],
        rows=[
            [
                str(row.ranks.get(ledger.objective, row.trial.state)),
                ", ".join(str(one) for one in (row.trial.number, *row.repeats)),
                str(row.group),
                *(shorten(row.trial.overrides.get(key, "")) for key in names),
                *(_objective_cell(row, name=name, ledger=ledger) for name in ledger.objectives),
            ]
            for row in ledger.rows
        ],
        words=frozenset(names.values()),
        after=tuple(
            f"trial {row.trial.number} {row.trial.state}: {row.trial.why}" for row in ledger.rows if row.trial.why
        ),
    )


def _objective_cell(row: Row, *, name: str, ledger: Ledger) -> str:
    if name not in row.trial.objectives:
        return ""
    rank = f" ({row.ranks[name]})" if name != ledger.objective else ""
    return f"{ledger.how.text(row.trial.objectives[name])}{rank}"


def _groups(ledger: Ledger) -> Sheet:
    keys = [key for key in ledger.swept if any(key in group.settings for group in ledger.groups)]
    names, others = short_names(ledger.swept), ledger.objectives[1:]
    several = ledger.groups if any(len(group.trials) > 1 for group in ledger.groups) else []  # else the trials say it
    return Sheet(
        title=f"groups that differ in seed alone, on dev: mean ± standard deviation (n - 1){in_unit(ledger.how)}",
        columns=["group", *(names[key] for key in keys), "trials", ledger.objective, "from", "to", *others],
        rows=[
            [
                str(group.number),
                *(shorten(group.settings.get(key, "")) for key in keys),
                _states(group),
                *_objective_spread(group, ledger=ledger),
                *(spread_cell(group.objectives.get(name), count=group.count, how=ledger.how) for name in others),
            ]
            for group in several
        ],
        words=frozenset([*names.values(), "trials"]),
    )


def _states(group: Group) -> str:
    others = [f"{count} {state}" for state, count in group.states.items() if state != COMPLETE]
    return ", ".join([str(group.count), *others])


def _objective_spread(group: Group, *, ledger: Ledger) -> list[str]:
    spread, how = group.objectives.get(ledger.objective), ledger.how
    if spread is None:
        return ["", "", ""]
    return [spread_cell(spread, count=group.count, how=how), how.text(spread.low), how.text(spread.high)]


def _languages(ledger: Ledger, *, split: str) -> Sheet:
    scored = [group for group in ledger.groups if split in group.languages]
    chosen, how = scored[:MOST_GROUPS], ledger.how
    metrics = {row.scores[split].metric for row in ledger.rows if split in row.scores}
    which = (
        f", the best {len(chosen)} of {len(scored)} groups (sweep.json has all)" if len(chosen) < len(scored) else ""
    )
    role = "dev" if split == "validation" else f"{split}, which ranks nothing here"
    languages = dict.fromkeys(language for group in chosen for language in group.languages[split])
    names = {key: name for key, name in MEANS.items() if any(key in group.means[split] for group in chosen)}
    if "gap" in names and how.of_differences:
        names["gap"] = f"gap, in {how.of_differences}"

    def row(name: str, spreads: Sequence[Spread | None]) -> list[str]:
        cells = zip(spreads, chosen, strict=True)
        return [name, *(spread_cell(spread, count=group.count, how=how) for spread, group in cells)]

    return Sheet(
        title=f"{' or '.join(sorted(metrics))} by language on {role}: mean ± standard deviation{in_unit(how)}{which}",
        columns=["language", *(f"group {group.number}" for group in chosen)],
        rows=[
            *(row(named(one), [group.languages[split].get(one) for group in chosen]) for one in languages),
            *(row(names[key], [group.means[split].get(key) for group in chosen]) for key in names),
        ],
    )


def _prices(ledger: Ledger) -> Sheet:
    how = ledger.how
    return Sheet(
        title=f"what choosing by {SOURCE_DEV} alone costs, on dev{in_unit(how)}",
        columns=[
            *("objective", "best trial", "its score", f"trial {ledger.picked}, by {SOURCE_DEV}"),
            lost(how),
        ],
        rows=[
            [name, str(price.best), *map(how.text, (price.value, price.picked_value, price.difference))]
            for name, price in ledger.prices.items()
        ],
    )


def _selection_lines(ledger: Ledger) -> list[str]:
    price, how = ledger.prices.get(ledger.objective), ledger.how
    if price is None or ledger.picked is None:
        return []
    if ledger.objective == SOURCE_DEV:
        return [f"{SOURCE_DEV} is what this sweep chooses by: trial {ledger.picked}."]
    if price.difference == 0:
        return [f"{SOURCE_DEV} alone would have chosen trial {ledger.picked}: no worse in {ledger.objective}."]
    return [
        f"{SOURCE_DEV} alone would have chosen trial {ledger.picked} and not trial {price.best}: {ledger.objective} "
        f"{how.text(price.picked_value)} instead of {how.text(price.value)}, "
        f"{in_points(price.difference, how=how)} less."
    ]


def _comparison_lines(ledger: Ledger) -> list[str]:
    """Return in words whether the two best groups differ by more than their seeds do, by which test, and how sure."""
    found, how = ledger.comparison, ledger.how
    if found is None:
        return ["Seed noise: there are no two groups with a score to compare."]
    first, second = found.groups
    difference = f"group {first} is {in_points(found.difference, how=how)} above group {second} in {ledger.objective}"
    lines = [f"Seed noise: {difference} (seeds: {found.counts[0]} and {found.counts[1]}): {found.verdict}."]
    if found.interval is not None and found.p is not None:
        low, high = how.text(found.interval[0]), in_points(found.interval[1], how=how)
        lines.append(f"{TEST}: p = {found.p:.2g}, 95 % interval of the difference {low} to {high}.")
        if found.chosen_from > 2:
            lines.append(
                f"The two were picked as the best of {found.chosen_from} groups by the same scores, so p is optimistic."
            )
    elif found.verdict not in (TOO_FEW, NO_NOISE):
        lines.append(f"All seeds of both score the same, which leaves nothing to test ({TEST}).")
    else:
        lines.append(f"The test would be {TEST}, at {LEVEL:g}.")
    if found.seeds_command is not None:
        which = "these groups alone" if found.num_seed_runs == 2 * len(SEEDS) else "all combinations of their settings"
        seeds = ", ".join(map(str, SEEDS))
        lines.append(f"A sweep of {which}, with seeds {seeds} ({found.num_seed_runs} runs), tells:")
    return lines


def _importance_lines(ledger: Ledger) -> list[str]:
    found = ledger.importance
    if found.why_not is not None:
        return [f"Importance of the swept keys is left out: {found.why_not} (complete trials: {found.num_trials})."]
    hint = "" if found.num_best >= ENOUGH_BEST else f"; with fewer than {ENOUGH_BEST} of these, take it as a hint"
    return [
        f"Importance for {ledger.objective}: {METHOD}, on {found.num_trials} complete trials: how far the best tenth "
        f"({found.num_best} of them) differs from all in each key{hint}."
    ]


def _importances(ledger: Ledger) -> Sheet:
    return Sheet(
        title=f"importance for {ledger.objective}, in percent",
        columns=["key", "importance"],
        rows=[[key, percent(share)] for key, share in ledger.importance.shares.items()],
    )
