"""Whether a model answers the same item alike in every language of a parallel dataset. Sequence labels only."""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from babelfit.errors import UserError
from babelfit.scoring.answers import Answers
from babelfit.statistics.bootstrap import Array

MOST_DIFFERENT = 0.05
"""Of gold labels. A few are a slip of those who made the data (of PAWS-X's rows up to 1.6 %, in the copies seen all of
them untranslated, which are dropped); more are other rows."""


def aligned(
    answers: Mapping[str, Answers], *, dropped: Mapping[str, Collection[int]], cut: Collection[str]
) -> tuple[Array, dict[str, Array]]:
    """Find the items that all languages have with gold, and where each has them: (items,) indices and places.

    `dropped` are the rows that a language has and that are no examples, `cut` the languages whose last rows a limit
    left out. Raises UserError, with the languages, the first row and how many, where the rows of two languages are not
    the same items: one has rows that the other has not, or more than 5 % of the gold labels differ.
    """
    first, *others = answers
    for language in others:
        # Behind the row that a limit ended one of them with, the other has rows or has none: no sign of other items.
        last = min((answers[it].rows.max() for it in (first, language) if it in cut), default=math.inf)
        lacking = [row for row in _lacking(answers, dropped, first, language) if row <= last]
        if lacking:
            raise UserError(
                f"{first} and {language} are not parallel: {len(lacking):,} rows stand in one of them only, the first "
                f"is row {min(lacking)}; numbers that compare rows need the same ones in every language"
            )
        # Of all that these two have: the items that all languages have may be few.
        one, other = answers[first], answers[language]
        shared, ours, theirs = np.intersect1d(one.indices, other.indices, return_indices=True)
        differing = shared[one.gold[ours] != other.gold[theirs]]
        if len(differing) > MOST_DIFFERENT * len(shared):
            raise UserError(
                f"{first} and {language} are not parallel: {len(differing):,} of {len(shared):,} gold labels differ, "
                f"the first in row {differing[0]}; numbers that compare rows need the same ones in every language"
            )
    items = reduce(np.intersect1d, [given.indices for given in answers.values()])
    return items, {language: np.searchsorted(given.indices, items) for language, given in answers.items()}


def _lacking(answers: Mapping[str, Answers], dropped: Mapping[str, Collection[int]], one: str, other: str) -> set[int]:
    """Return the rows that only one of two languages has, dropped ones counted as had."""
    first, second = set(answers[one].rows.tolist()), set(answers[other].rows.tolist())
    return (first - second).difference(dropped.get(other, ())) | (second - first).difference(dropped.get(one, ()))


def consistency(
    answers: Mapping[str, Answers],
    *,
    dropped: Mapping[str, Collection[int]],
    cut: Collection[str],
    source_languages: Sequence[str],
) -> dict[str, Any]:
    """Say which share of items is answered alike, in each pair of languages and in all; raises as `aligned`.

    Matrices have a row and a column a language, in the order of `languages`: `alike`, `both_right`, and
    `alike_if_right`, of the items right in the row's language. A share of no items is None.
    """
    items, places = aligned(answers, dropped=dropped, cut=cut)
    languages = list(answers)
    predicted = np.stack([answers[one].predicted[places[one]] for one in languages])  # (languages, items)
    gold = np.stack([answers[one].gold[places[one]] for one in languages])
    right = (predicted == gold).astype(np.float64)
    alike = (predicted[:, None] == predicted[None]).astype(np.float64)  # (languages, languages, items)
    all_alike = (predicted == predicted[0]).all(axis=0)
    return {
        "languages": languages,
        "items": len(items),
        "left_out": len(reduce(np.union1d, [given.rows for given in answers.values()])) - len(items),
        "different_gold": {
            "items": int((gold != gold[0]).any(axis=0).sum()),
            "languages": {one: int(count) for one, count in zip(languages, (gold != gold[0]).sum(axis=1), strict=True)},
        },
        "alike": _shares(alike.sum(axis=-1), len(items)),
        "both_right": _shares(right @ right.T, len(items)),
        "alike_if_right": _shares((alike * right[:, None]).sum(axis=-1), right.sum(axis=1)[:, None]),
        "all_alike": _share(all_alike.sum(), len(items)),
        "all_right": _share(right.all(axis=0).sum(), len(items)),
        "all_alike_if_right": {
            one: _share((all_alike & (hits > 0)).sum(), hits.sum())
            for one, hits in zip(languages, right, strict=True)
            if one in source_languages
        },
    }


def _share(count: float, of: float) -> float | None:
    return float(count / of) if of else None


def _shares(counts: Array, of: Array | int) -> list[list[float | None]]:
    pairs = np.broadcast_arrays(counts, of)
    return [[_share(*pair) for pair in zip(*rows, strict=True)] for rows in zip(*pairs, strict=True)]
