"""What a sweep found, as data: trials in order, groups of seeds, what selection cost, what mattered."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from babelfit.checkpoints.rankings import SOURCE_DEV
from babelfit.config.values import OBJECTIVES
from babelfit.ledger import comparison, importance, results
from babelfit.ledger.comparison import Comparison
from babelfit.ledger.groups import Group, group_trials
from babelfit.ledger.importance import Importance
from babelfit.ledger.results import Curve, Scores
from babelfit.ledger.study import Sweep, Trial
from babelfit.run.run import OUTPUTS

COMPLETE = "complete"
STATES = (COMPLETE, "pruned", "failed", "running", "waiting")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial and what its folder holds."""

    trial: Trial
    repeats: list[int]  # other trials that had the same config, and so the same folder
    group: int
    ranks: dict[str, int]  # by objective; 1 is the best, equal scores share a rank
    scores: dict[str, Scores]  # by split; of complete trials
    curve: Curve | None


@dataclass(frozen=True, kw_only=True)
class Price:
    """What choosing by source dev costs in one objective, fractions of 1."""

    best: int  # a trial's number
    value: float
    picked_value: float

    @property
    def difference(self) -> float:
        """Return how much better the best trial is."""
        return self.value - self.picked_value


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """A sweep's results; rows are in order of the objective, trials that are not complete at the end."""

    name: str
    search: str
    objective: str
    objectives: list[str]  # those that trials have, the chosen one first
    swept: list[str]
    num_proposed: int  # with repeats
    rows: list[Row]
    groups: list[Group]
    picked: int | None  # the trial that source dev alone would choose
    prices: dict[str, Price]  # by objective
    comparison: Comparison | None
    importance: Importance
    remarks: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many trials there are in each state."""
        found = Counter(row.trial.state for row in self.rows)
        return {state: found[state] for state in sorted(found, key=_state_order)}


def collect(sweep: Sweep) -> Ledger:
    """Return what a sweep found, from the folders of its trials.

    Raise UserError for scores and metrics that are damaged.
    """
    repeats = _repeats(sweep.trials)
    numbers = {trial.number: trial for trial in sweep.trials}
    trials = [numbers[number] for number in sorted(repeats)]
    complete = [trial for trial in trials if trial.state == COMPLETE]
    scores = {trial.number: results.read_scores(trial.folder) for trial in complete}
    found = {name for trial in complete for name in trial.objectives} | {sweep.objective}
    objectives = sorted(found, key=lambda name: (name != sweep.objective, _place(OBJECTIVES, name), name))
    swept = list(dict.fromkeys(key for trial in trials for key in trial.overrides))
    groups = group_trials(trials, scores=scores, objective=sweep.objective)
    group_of = {number: group.number for group in groups for number in group.trials}
    ranks = {name: _ranks(complete, objective=name) for name in objectives}
    rows = [
        Row(
            trial=trial,
            repeats=repeats[trial.number],
            group=group_of[trial.number],
            ranks={name: ranks[name][trial.number] for name in objectives if trial.number in ranks[name]},
            scores=scores.get(trial.number, {}),
            curve=results.read_curve(trial.folder, objective=sweep.objective),
        )
        for trial in trials
    ]
    rows.sort(key=lambda row: _row_order(row, objective=sweep.objective))
    ranked = [trial for trial in complete if sweep.objective in trial.objectives]
    picked = _best(complete, objective=SOURCE_DEV)
    name = _name(sweep.folder)
    fixed = comparison.fixed_overrides(rows[0].trial.folder, swept=swept) if rows else []
    return Ledger(
        name=name,
        search=sweep.search,
        objective=sweep.objective,
        objectives=objectives,
        swept=swept,
        num_proposed=len(sweep.trials),
        rows=rows,
        groups=groups,
        picked=None if picked is None else picked.number,
        prices={} if picked is None else _prices(complete, picked=picked, objectives=objectives),
        comparison=comparison.compare(groups, objective=sweep.objective, sweep=name, fixed=fixed),
        importance=importance.importance(
            [trial.overrides for trial in ranked], values=[trial.objectives[sweep.objective] for trial in ranked]
        ),
        remarks=_remarks(trials, scores=scores),
    )


def _name(folder: Path) -> str:
    place, outputs = folder.resolve(), OUTPUTS.resolve()
    return place.relative_to(outputs).as_posix() if place.is_relative_to(outputs) else place.name


def _repeats(trials: Sequence[Trial]) -> dict[int, list[int]]:
    """Of trials that share a folder take one, the complete or else the last; return the others' numbers by its own."""
    by_folder: dict[Path, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        by_folder.setdefault(trial.folder, []).append(trial)
    repeats = {}
    for alike in by_folder.values():
        kept = next((trial for trial in alike if trial.state == COMPLETE), alike[-1])
        repeats[kept.number] = [trial.number for trial in alike if trial is not kept]
    return repeats


def _ranks(trials: Sequence[Trial], *, objective: str) -> dict[int, int]:
    """Rank trials by number: one more than how many are better."""
    values = {trial.number: trial.objectives[objective] for trial in trials if objective in trial.objectives}
    return {number: 1 + sum(other > value for other in values.values()) for number, value in values.items()}


def _best(trials: Sequence[Trial], *, objective: str) -> Trial | None:
    """Return the best trial, of equals the first; None where none has the objective."""
    scored = [trial for trial in trials if objective in trial.objectives]
    return max(scored, key=lambda trial: (trial.objectives[objective], -trial.number), default=None)


def _prices(trials: Sequence[Trial], *, picked: Trial, objectives: Sequence[str]) -> dict[str, Price]:
    prices = {}
    for name in objectives:
        best = _best(trials, objective=name)
        if best is not None and name in picked.objectives:
            prices[name] = Price(best=best.number, value=best.objectives[name], picked_value=picked.objectives[name])
    return prices


def _row_order(row: Row, *, objective: str) -> tuple[int, float, int]:
    return (_state_order(row.trial.state), row.ranks.get(objective, math.inf), row.trial.number)


def _state_order(state: str) -> int:
    return _place(STATES, state)


def _place(known: Sequence[str], one: str) -> int:
    return known.index(one) if one in known else len(known)


def _remarks(trials: Sequence[Trial], *, scores: Mapping[int, Mapping[str, Scores]]) -> list[str]:
    """Return, once each, what a reader must know before believing a number."""
    remarks = [remark for by_split in scores.values() for one in by_split.values() for remark in one.remarks]
    if any(trial.state in ("running", "waiting") for trial in trials):
        remarks.append("Not all trials have ended: ranks and groups will change.")
    if not any(trial.state == COMPLETE for trial in trials):
        remarks.append("No trial is complete yet: there is nothing to rank.")
    return list(dict.fromkeys(remarks))
