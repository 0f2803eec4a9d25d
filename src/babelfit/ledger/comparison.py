"""Whether the best settings are better than the next, or only had luckier seeds."""

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from babelfit.config.conf import USERS_FOLDER
from babelfit.ledger.groups import SEED, Group, comparable
from babelfit.statistics.significance import LEVEL
from babelfit.statistics.welch import LEAST, welch

TEST = "Welch's t-test, two-sided (Welch 1947)"
SEEDS = (1, 2, 3, 4, 5)

LARGER = "larger than seed noise"
NOISE = "not distinguishable from seed noise"
TOO_FEW = "can't tell: needs at least two seeds in each group"
NO_NOISE = "can't tell: within each group all seeds score the same, so there is no seed noise to measure by"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The two best groups by the chosen objective; differences are fractions of 1."""

    groups: tuple[int, int]
    counts: tuple[int, int]
    chosen_from: int  # groups that have a score
    difference: float
    interval: tuple[float, float] | None  # of 95 %; None where the test is undefined
    p: float | None
    verdict: str
    seeds_command: str | None  # a sweep of these two with more seeds, where these are too few
    num_seed_runs: int


def compare(groups: Sequence[Group], *, objective: str, sweep: str, fixed: Sequence[str]) -> Comparison | None:
    """Test whether the two best groups differ by more than their seeds do; None where there are no two.

    `groups` are in order, `fixed` the overrides that all trials of the sweep share.
    """
    scored = [group for group in groups if objective in group.objectives]
    if len(scored) < 2:
        return None
    first, second = scored[:2]
    one, other = first.objectives[objective], second.objectives[objective]
    tested = welch(one, other)
    if min(one.count, other.count) < 2:
        verdict = TOO_FEW
    elif tested is None:
        verdict = NO_NOISE if abs(one.mean - other.mean) > LEAST else NOISE
    else:
        verdict = LARGER if tested.p < LEVEL else NOISE
    values = _values(first, second)
    return Comparison(
        groups=(first.number, second.number),
        counts=(one.count, other.count),
        chosen_from=len(scored),
        difference=one.mean - other.mean,
        interval=tested and tested.interval,
        p=tested and tested.p,
        verdict=verdict,
        seeds_command=_command(values, sweep=sweep, fixed=fixed) if verdict == TOO_FEW else None,
        num_seed_runs=len(SEEDS) * math.prod(len(several) for several in values.values()),
    )


def fixed_overrides(folder: Path, *, swept: Sequence[str]) -> list[str]:
    """Return the overrides that a trial shares with all others, less its name; none where its folder does not say."""
    try:
        command = json.loads((folder / "environment.json").read_text(encoding="utf-8"))["command"]
        overrides = [str(one) for one in command[1:]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    own = ("name", SEED, "sweep", *swept)
    keys = [re.split("=", override, maxsplit=1)[0].lstrip("+~") for override in overrides]
    return [
        *_config_dir(overrides),
        *(
            override
            for key, override in zip(keys, overrides, strict=True)
            if "=" in override and key not in own and not key.startswith(("-", "sweep.", "hydra"))
        ),
    ]


def _config_dir(arguments: Sequence[str]) -> list[str]:
    """Return the option that names a user's folder, where it is not the one that is found without."""
    folders = [folder for option, folder in pairwise(arguments) if option == "--config-dir"]
    return [f"--config-dir={folder}" for folder in folders if Path(folder).name != USERS_FOLDER.name]


def _values(first: Group, second: Group) -> dict[str, list[str]]:
    """Return the one or two values of each key that the groups have."""
    values: dict[str, list[str]] = {}
    for group in (first, second):
        for key, value in group.settings.items():
            known = values.setdefault(key, [])
            if comparable(value) not in map(comparable, known):
                known.append(value)
    return values


def _command(values: Mapping[str, Sequence[str]], *, sweep: str, fixed: Sequence[str]) -> str:
    """Write the command of a new sweep of these values: seeds that chose nothing make p mean what it says.

    Where the groups differ in several keys, all combinations are trained.
    """
    swept = [f"{key}={','.join(several)}" for key, several in values.items()]
    seeds = f"{SEED}={','.join(map(str, SEEDS))}"
    return f"babelfit train -m {shlex.join([f'name={sweep}-seeds', *fixed, *swept, seeds])}"
