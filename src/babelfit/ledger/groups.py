"""Trials that differ in nothing but the seed, and how far their scores spread."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from babelfit.ledger.results import means
from babelfit.ledger.study import Trial
from babelfit.scoring.scores import Scores
from babelfit.statistics.spread import Spread

SEED = "seed"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials of the same settings; spreads are over the complete ones."""

    number: int  # 1 is the best by the chosen objective
    settings: dict[str, str]  # the swept keys without the seed
    trials: list[int]  # numbers, of all states
    states: dict[str, int]  # how many trials by state
    objectives: dict[str, Spread]
    languages: dict[str, dict[str, Spread]]  # by split and language
    means: dict[str, dict[str, Spread]]  # by split and transfer number

    @property
    def count(self) -> int:
        """Return how many trials are complete."""
        return self.states.get("complete", 0)


def group_trials(trials: Sequence[Trial], *, scores: Mapping[int, Mapping[str, Scores]], objective: str) -> list[Group]:
    """Put trials that differ in seed alone together, the best group by the mean of the objective first.

    `scores` has those of complete trials, by number and split. Groups without a complete trial come last.
    """
    members: dict[tuple[tuple[str, str | float], ...], list[Trial]] = {}
    for trial in trials:
        key = tuple(sorted((name, comparable(value)) for name, value in trial.overrides.items() if name != SEED))
        members.setdefault(key, []).append(trial)
    objectives = {
        key: _spreads([trial.objectives for trial in alike if trial.state == "complete"])
        for key, alike in members.items()
    }
    ordered = sorted(
        members,
        key=lambda key: (
            -objectives[key][objective].mean if objective in objectives[key] else math.inf,
            members[key][0].number,
        ),
    )
    return [
        _group(members[key], number=number, objectives=objectives[key], scores=scores)
        for number, key in enumerate(ordered, start=1)
    ]


def _group(
    trials: Sequence[Trial],
    *,
    number: int,
    objectives: dict[str, Spread],
    scores: Mapping[int, Mapping[str, Scores]],
) -> Group:
    found = [scores.get(trial.number, {}) for trial in trials if trial.state == "complete"]
    by_split = {
        split: [one[split] for one in found if split in one]
        for split in sorted({split for one in found for split in one})
    }
    return Group(
        number=number,
        settings={name: value for name, value in trials[0].overrides.items() if name != SEED},
        trials=[trial.number for trial in trials],
        states=dict(Counter(trial.state for trial in trials)),
        objectives=objectives,
        languages={split: _spreads([one.main for one in several]) for split, several in by_split.items()},
        means={split: _spreads([means(one) for one in several]) for split, several in by_split.items()},
    )


def _spreads(numbers: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Collect numbers by name; a name that some lack has fewer values."""
    values: dict[str, list[float]] = {}
    for one in numbers:
        for name, value in one.items():
            values.setdefault(name, []).append(value)
    return {name: Spread(values=several) for name, several in values.items()}


def number(value: str) -> float | None:
    """Return a value of the command line as a finite number; None for everything else."""
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def comparable(value: str) -> str | float:
    """Return one value for one number, however it is written: 2e-5 and 0.00002."""
    found = number(value)
    return value if found is None else found
