"""Which validated steps each way of selecting a checkpoint chooses, best first, as scores come in. Knows no file.

`source_dev`, the mean dev score of the source languages, selects the model of a run: other labels zero-shot transfer
does not have. Where a run compares selections, its steps are ranked by `mean_dev` besides, by the dev score of each
language, under the name that this is logged by, and by how late they come: `last`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from babelfit.files.documents import Count, Number


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A validated step."""

    step: Count
    score: Number


Rankings = Mapping[str, list[Ranked]]
"""The best steps of each ranking, best first."""

SOURCE_DEV, MEAN_DEV, LAST = "source_dev", "mean_dev", "last"


def kept(*, keep: int, compared: Sequence[str], metric: str, average: int | None) -> dict[str, int]:
    """Return the rankings of a run, and how many steps each keeps; of one that compares nothing, `source_dev` alone.

    `compared` are the languages that are validated, `average` how many last steps are averaged.
    """
    if not compared:
        return {SOURCE_DEV: keep}
    by_language = {f"validation/{metric}/{language}": 1 for language in compared}
    return {SOURCE_DEV: keep, MEAN_DEV: 1, **by_language, LAST: average or 1}


def ranked(before: Rankings, *, step: int, scores: Mapping[str, float], keep: Mapping[str, int]) -> Rankings:
    """Return the rankings that are kept, with a step added, whose logged scores are given."""
    after = {}
    for name, most in keep.items():
        entry = Ranked(step=step, score=scores[SOURCE_DEV if name == LAST else name])
        by = attrgetter("step" if name == LAST else "score")
        # Of equal scores the earlier wins: sorting is stable.
        after[name] = sorted([*before.get(name, ()), entry], key=by, reverse=True)[:most]
    return after


def steps_of(rankings: Rankings) -> set[int]:
    """Return the steps that some ranking holds."""
    return {one.step for ranking in rankings.values() for one in ranking}


def by_language(rankings: Rankings) -> dict[str, int]:
    """Return the best step of each language by its own dev score."""
    return {name.rpartition("/")[2]: ranking[0].step for name, ranking in rankings.items() if "/" in name}
