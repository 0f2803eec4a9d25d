"""The ledger in words and in sheets of cells, for terminal and Markdown alike: percent, short names, no markup."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.ledger.comparison import NO_NOISE, SEEDS, TEST, TOO_FEW
from babelfit.ledger.groups import Group, number
from babelfit.ledger.importance import ENOUGH_BEST, METHOD
from babelfit.ledger.ledger import COMPLETE, Ledger, Row
from babelfit.ledger.results import MEANS
from babelfit.reports.words import percent
from babelfit.statistics.significance import LEVEL
from babelfit.statistics.spread import Spread

MOST_GROUPS = 6
"""So many groups have a column of languages; sweep.json has all."""

LONGEST = 8
"""Numbers of more characters than this are rounded for reading."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: cells of text, which columns are words and not numbers, and what is too long for a cell."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    words: frozenset[str]
    notes: tuple[str, ...] = ()


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
    """Name settings by what was swept, other than the seed."""
    names = short_names(keys)
    return (
        ", ".join(f"{names[key]}={shorten(value)}" for key, value in settings.items()) or "all alike but for the seed"
    )


def spread_cell(spread: Spread | None, *, count: int) -> str:
    """Write mean and standard deviation, and how many there are where it is not all of them."""
    if spread is None:
        return ""
    deviation = "" if spread.sd is None else f" ± {percent(spread.sd)}"
    return f"{percent(spread.mean)}{deviation}{f' (n={spread.count})' if spread.count != count else ''}"


def _trials(ledger: Ledger) -> Sheet:
    names, others = short_names(ledger.swept), ledger.objectives[1:]
    return Sheet(
        title="trials, on dev, in percent (rank in brackets)",
        columns=["rank", "trial", "group", *names.values(), ledger.objective, *others],
        rows=[
            [
                str(row.ranks.get(ledger.objective, row.trial.state)),
                ", ".join(str(one) for one in (row.trial.number, *row.repeats)),
                str(row.group),
                *(shorten(row.trial.overrides.get(key, "")) for key in names),
                *(_objective_cell(row, name=name, ranked=name != ledger.objective) for name in ledger.objectives),
            ]
            for row in ledger.rows
        ],
        words=frozenset(names.values()),
        notes=tuple(
            f"trial {row.trial.number} {row.trial.state}: {row.trial.why}" for row in ledger.rows if row.trial.why
        ),
    )


def _objective_cell(row: Row, *, name: str, ranked: bool) -> str:
    if name not in row.trial.objectives:
        return ""
    return percent(row.trial.objectives[name]) + (f" ({row.ranks[name]})" if ranked else "")


def _groups(ledger: Ledger) -> Sheet:
    keys = [key for key in ledger.swept if any(key in group.settings for group in ledger.groups)]
    names, others = short_names(ledger.swept), ledger.objectives[1:]
    several = ledger.groups if any(len(group.trials) > 1 for group in ledger.groups) else []  # else the trials say it
    return Sheet(
        title="groups that differ in seed alone, on dev: mean ± standard deviation (n - 1), in percent",
        columns=["group", *(names[key] for key in keys), "trials", ledger.objective, "from", "to", *others],
        rows=[
            [
                str(group.number),
                *(shorten(group.settings.get(key, "")) for key in keys),
                _states(group),
                *_objective_spread(group, name=ledger.objective),
                *(spread_cell(group.objectives.get(name), count=group.count) for name in others),
            ]
            for group in several
        ],
        words=frozenset([*names.values(), "trials"]),
    )


def _states(group: Group) -> str:
    others = [f"{count} {state}" for state, count in group.states.items() if state != COMPLETE]
    return ", ".join([str(group.count), *others])


def _objective_spread(group: Group, *, name: str) -> list[str]:
    spread = group.objectives.get(name)
    if spread is None:
        return ["", "", ""]
    return [spread_cell(spread, count=group.count), percent(spread.low), percent(spread.high)]


def _languages(ledger: Ledger, *, split: str) -> Sheet:
    scored = [group for group in ledger.groups if split in group.languages]
    chosen = scored[:MOST_GROUPS]
    metrics = {row.scores[split].metric for row in ledger.rows if split in row.scores}
    which = (
        f", the best {len(chosen)} of {len(scored)} groups (sweep.json has all)" if len(chosen) < len(scored) else ""
    )
    role = "dev" if split == "validation" else f"{split}, which ranks nothing here"
    languages = dict.fromkeys(language for group in chosen for language in group.languages[split])
    means = [key for key in MEANS if any(key in group.means[split] for group in chosen)]
    return Sheet(
        title=f"{' or '.join(sorted(metrics))} by language on {role}: mean ± standard deviation, in percent{which}",
        columns=["language", *(f"group {group.number}" for group in chosen)],
        rows=[
            *_rows_of(
                chosen, names={one: f"{one} {LANGUAGE_NAMES.get(one, '')}".strip() for one in languages}, split=split
            ),
            *(
                [MEANS[key], *(spread_cell(group.means[split].get(key), count=group.count) for group in chosen)]
                for key in means
            ),
        ],
        words=frozenset(["language"]),
    )


def _rows_of(groups: Sequence[Group], *, names: Mapping[str, str], split: str) -> Iterable[list[str]]:
    for language, name in names.items():
        yield [name, *(spread_cell(group.languages[split].get(language), count=group.count) for group in groups)]


def _prices(ledger: Ledger) -> Sheet:
    return Sheet(
        title=f"what choosing by {SOURCE_DEV} alone costs, on dev, in percent",
        columns=["objective", "best trial", "its score", f"trial {ledger.picked}, by {SOURCE_DEV}", "points lost"],
        rows=[
            [name, str(price.best), percent(price.value), percent(price.picked_value), percent(price.difference)]
            for name, price in ledger.prices.items()
        ],
        words=frozenset(["objective"]),
    )


def _selection_lines(ledger: Ledger) -> list[str]:
    price = ledger.prices.get(ledger.objective)
    if price is None or ledger.picked is None:
        return []
    if ledger.objective == SOURCE_DEV:
        return [f"{SOURCE_DEV} is what this sweep chooses by: trial {ledger.picked}."]
    if price.difference == 0:
        return [f"{SOURCE_DEV} alone would have chosen trial {ledger.picked}: no worse in {ledger.objective}."]
    return [
        f"{SOURCE_DEV} alone would have chosen trial {ledger.picked} and not trial {price.best}: {ledger.objective} "
        f"{percent(price.picked_value)} instead of {percent(price.value)}, {percent(price.difference)} points less."
    ]


def _comparison_lines(ledger: Ledger) -> list[str]:
    """Return whether the two best groups differ by more than their seeds do, by which test, and how sure that is."""
    found = ledger.comparison
    if found is None:
        return ["Seed noise: there are no two groups with a score to compare."]
    first, second = found.groups
    difference = f"group {first} is {percent(found.difference)} points above group {second} in {ledger.objective}"
    lines = [f"Seed noise: {difference} (seeds: {found.counts[0]} and {found.counts[1]}): {found.verdict}."]
    if found.interval is not None and found.p is not None:
        low, high = (f"{100 * bound:.1f}" for bound in found.interval)
        lines.append(f"{TEST}: p = {found.p:.2g}, 95 % interval of the difference {low} to {high} points.")
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
        words=frozenset(["key"]),
    )
