"""Which swept key the objective depends on, by Optuna; nothing here draws or trains."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning

from babelfit.ledger.groups import comparable, number

METHOD = "PED-ANOVA (Watanabe et al. 2023), by Optuna"
LEAST_TRIALS = 4
BEST = 0.1
"""PED-ANOVA asks what sets this share of the trials, the best, apart; Optuna's own choice."""

ENOUGH_BEST = 5
"""So many of the best make the answer stable, says Optuna."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much each key that was given several values matters, the most important first; shares of 1."""

    num_trials: int
    num_best: int
    shares: dict[str, float]
    why_not: str | None  # why there are no shares


def importance(settings: Sequence[Mapping[str, str]], *, values: Sequence[float]) -> Importance:
    """Return which keys set the best of these complete trials apart from all; settings as on the command line."""
    keys = [key for key in dict.fromkeys(key for one in settings for key in one) if len(_column(settings, key=key)) > 1]
    num_best = _num_best(values)
    why_not = None
    shares: dict[str, float] = {}
    if len(values) < LEAST_TRIALS:
        why_not = f"needs at least {LEAST_TRIALS} complete trials"
    elif len(keys) < 2:
        why_not = "needs at least two keys with more than one value"
    elif num_best == len(values):
        why_not = "all trials score the same"
    else:
        raw = _ask_optuna({key: [one.get(key, "") for one in settings] for key in keys}, values=values)
        total = sum(raw.values())
        if total > 0:
            shares = {key: raw[key] / total for key in sorted(raw, key=lambda key: -raw[key])}
        else:
            why_not = "no key sets the best trials apart from the others"
    return Importance(num_trials=len(values), num_best=num_best, shares=shares, why_not=why_not)


def _column(settings: Sequence[Mapping[str, str]], *, key: str) -> set[str | float]:
    return {comparable(one.get(key, "")) for one in settings}


def _num_best(values: Sequence[float]) -> int:
    """Count the best trials as Optuna does: those as good as the last of the best tenth."""
    if not values:
        return 0
    least = sorted(values, reverse=True)[math.ceil(BEST * len(values)) - 1]
    return sum(value >= least for value in values)


def _ask_optuna(columns: Mapping[str, Sequence[str]], *, values: Sequence[float]) -> dict[str, float]:
    """Put the trials into a study in memory and ask Optuna, quietly."""
    read = {key: _read(column) for key, column in columns.items()}
    distributions = {key: _distribution(column) for key, column in read.items()}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Not normalized, a zero differs from equal shares; that option is an experiment of Optuna's.
            warnings.simplefilter("ignore", ExperimentalWarning)
            study = optuna.create_study(direction="maximize")
            for row, value in enumerate(values):
                params = {key: column[row] for key, column in read.items()}
                study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))
            return optuna.importance.get_param_importances(study, normalize=False)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _read(column: Sequence[str]) -> list[int] | list[float] | list[str]:
    """Read a key's values as numbers where all of them are."""
    numbers = [found for value in column if (found := number(value)) is not None]
    if len(numbers) < len(column):
        return list(column)
    if all(found.is_integer() for found in numbers):
        return [int(found) for found in numbers]
    return numbers


def _distribution(column: list[int] | list[float] | list[str]) -> BaseDistribution:
    """Choose what Optuna takes a key for: a scale over the observed range, or names."""
    if isinstance(column[0], str):
        return CategoricalDistribution(sorted({str(value) for value in column}))
    low, high = min(map(float, column)), max(map(float, column))
    log = low > 0 and high / low > 10
    if isinstance(column[0], int):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)
