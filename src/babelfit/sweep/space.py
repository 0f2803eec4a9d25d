"""What a sweep varies: values in Hydra's override syntax, turned into combinations or into what Optuna draws from."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from babelfit.errors import UserError
from babelfit.ledger.study import as_text

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FIXED = ("name", "resume", "objective", "objective_languages")
"""Keys that say what a sweep is, and so cannot differ between its trials."""

LOG = "log"


@dataclass(frozen=True, kw_only=True)
class Space:
    """The overrides that all trials share, and those that differ."""

    fixed: list[str]
    swept: dict[str, Override]
    is_named: bool  # whether the command line has a name=

    @classmethod
    def read(cls, arguments: Sequence[str], *, space: Mapping[str, Any], parser: OverridesParser) -> "Space":
        """Return the space of the command line, and of the sweep's config for keys that are not on it.

        Raises UserError for malformed overrides, and for keys that cannot be swept.
        """
        overrides = _parse(arguments, parser=parser)
        given = {override.key_or_group for override in overrides}
        lines = [f"{key}={value}" for key, value in space.items() if key not in given]
        fixed, swept = [], {}
        for override in [*_parse(lines, parser=parser), *overrides]:
            key = override.key_or_group
            if override.is_sweep_override():
                if override.type != OverrideType.CHANGE:
                    raise UserError(f"{override.input_line}: write {key}=..., without the prefix of the key")
                if key in FIXED or _is_of_sweep(key):
                    raise UserError(f"{override.input_line}: {key} is the same for all trials; give it one value")
                swept[key] = override
            elif key not in ("name", "resume") and not _is_of_sweep(key):
                fixed.append(str(override.input_line))
        return cls(fixed=fixed, swept=swept, is_named="name" in given)

    def written(self) -> dict[str, str]:
        """Return what is swept, by key, as it was written."""
        return {key: override.get_value_string() for key, override in self.swept.items()}

    def grid(self) -> list[dict[str, str]]:
        """Return all combinations, the last key changing fastest; raises UserError for intervals and empty ranges."""
        for key, override in self.swept.items():
            if override.is_interval_sweep():
                raise UserError(
                    f"{key}={override.get_value_string()}: a grid takes values, not an interval; list them, or search "
                    "with sweep=optuna"
                )
        values = [_choices(override) for override in self.swept.values()]
        return [dict(zip(self.swept, combination, strict=True)) for combination in itertools.product(*values)]

    def distributions(self) -> "dict[str, BaseDistribution]":
        """Return what Optuna draws from, by key; raises UserError for a space in which nothing can be searched."""
        if not self.swept:
            raise UserError(
                "sweep=optuna has nothing to search: give values, as in "
                "'optimization.learning_rate=tag(log, interval(1e-5, 1e-3))', or sweep=NAME with a space in "
                "conf/sweep/NAME.yaml"
            )
        if "seed" in self.swept:
            raise UserError(
                f"seed={self.swept['seed'].get_value_string()}: a search over seeds would find the luckiest one. "
                "Search with one seed; then train the best setting with several: babelfit train -m seed=1,2,3 ..."
            )
        return {key: _distribution(override) for key, override in self.swept.items()}

    def samples(self) -> list[dict[str, str]]:
        """Return settings of a search in which each bound and each choice occurs, to see whether they can be."""
        values = {key: _ends(override) for key, override in self.swept.items()}
        first = {key: ends[0] for key, ends in values.items()}
        return [first, *(first | {key: value} for key, ends in values.items() for value in ends[1:])]


def _parse(lines: Sequence[str], *, parser: OverridesParser) -> list[Override]:
    try:
        return parser.parse_overrides(list(lines))
    except HydraException as error:
        raise UserError(str(error)) from error


def _is_of_sweep(key: str) -> bool:
    return key == "sweep" or key.startswith("sweep.")


def _choices(override: Override) -> list[str]:
    values = list(override.sweep_string_iterator())
    if not values:
        raise UserError(f"{override.input_line}: no value at all; give at least one")
    return values


def _ends(override: Override) -> list[str]:
    sweep = override.value()
    return [as_text(sweep.start), as_text(sweep.end)] if isinstance(sweep, IntervalSweep) else _choices(override)


def _distribution(override: Override) -> "BaseDistribution":
    """Turn one key's values into what Optuna draws from; raises UserError where there is nothing to draw."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep: Any = override.value()
    written = f"{override.get_key_element()}={override.get_value_string()}"
    log = LOG in sweep.tags
    if unknown := sweep.tags - {LOG}:
        raise UserError(f"{written}: unknown tag {', '.join(sorted(unknown))}; there is only {LOG}")
    if isinstance(sweep, IntervalSweep):
        low, high = sweep.start, sweep.end
        if low is None or high is None or not low < high:
            raise UserError(f"{written}: an empty interval; the first bound must be below the second")
        if log and low <= 0:
            raise UserError(f"{written}: an interval with tag {LOG} must begin above 0")
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=log)
        return FloatDistribution(low, high, log=log)
    values = _choices(override)
    if log:
        raise UserError(f"{written}: the tag {LOG} is for intervals")
    if isinstance(sweep, RangeSweep) and len(values) > 1:
        numbers: list[Any] = sorted(sweep)
        is_whole = all(isinstance(number, int) for number in numbers)
        kind: Any = IntDistribution if is_whole else FloatDistribution
        evenly: BaseDistribution = kind(numbers[0], numbers[-1], step=numbers[1] - numbers[0])
        return evenly
    return CategoricalDistribution(values)
