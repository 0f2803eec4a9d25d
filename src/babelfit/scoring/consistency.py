"""Whether a model answers the same item alike in every language of a parallel dataset. One answer an example."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from babelfit.errors import UserError
from babelfit.rows.read import RowsRead, dropped, is_cut
from babelfit.scoring.tables import Consistency, DifferentGold, Share
from babelfit.statistics.sums import Array
from babelfit.tasks.task import TargetAnswers

MOST_DIFFERENT = 0.05
"""Of gold labels. A few are a slip of those who made the data (of PAWS-X's rows up to 1.6 %, in the copies seen all of
them untranslated, which are dropped); more are other rows."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """The items that all languages have with gold, and where each has them: (items,) each."""

    indices: Array
    places: Mapping[str, Array]


def align(
    answers: Mapping[str, TargetAnswers],
    *,
    rows: Mapping[str, Array],
    read: Mapping[str, RowsRead],
) -> Items:
    """Return the items that all languages have with gold.

    `answers` are those with gold, `rows` all rows that are predicted, `read` what is known of the rows of a language:
    which are no examples, and whether a limit left out the last. Raise UserError, with the languages, the first row and
    how many, where the rows of two languages are not the same items: one has rows that the other has not, or more than
    5 % of the gold labels differ.
    """
    first, *others = answers
    for language in others:
        # Behind the row that a limit ended one of them with, the other has rows or has none: no sign of other items.
        last = min((rows[it].max() for it in (first, language) if it in read and is_cut(read[it])), default=math.inf)
        lacking = [row for row in _lacking(rows, read, first, language) if row <= last]
        if lacking:
            raise UserError(
                f"{first} and {language} are not parallel: {len(lacking):,} rows are in only one of the two, the "
                f"first is row {min(lacking)}; numbers that compare rows need the same rows in every language"
            )
        # Of all that these two have: the items that all languages have may be few.
        one, other = answers[first], answers[language]
        shared, ours, theirs = np.intersect1d(one.indices, other.indices, return_indices=True)
        differing = shared[one.gold[ours] != other.gold[theirs]]
        if len(differing) > MOST_DIFFERENT * len(shared):
            raise UserError(
                f"{first} and {language} are not parallel: {len(differing):,} of {len(shared):,} gold labels differ, "
                f"the first in row {differing[0]}; numbers that compare rows need the same rows in every language"
            )
    items = reduce(np.intersect1d, [given.indices for given in answers.values()])
    return Items(
        indices=items,
        places={language: np.searchsorted(given.indices, items) for language, given in answers.items()},
    )


def _lacking(rows: Mapping[str, Array], read: Mapping[str, RowsRead], one: str, other: str) -> set[int]:
    """Return the rows that only one of two languages has, dropped ones counted as had."""
    first, second = set(rows[one].tolist()), set(rows[other].tolist())
    gone = {it: dropped(read[it]) if it in read else () for it in (one, other)}
    return (first - second).difference(gone[other]) | (second - first).difference(gone[one])


def consistency(
    answers: Mapping[str, TargetAnswers],
    *,
    items: Items,
    rows: Mapping[str, Array],
    source_languages: Sequence[str],
) -> Consistency:
    """Return which share of items is answered alike, in each pair of languages and in all.

    Matrices have a row and a column a language, in the order of `languages`: `alike`, `both_right`, and
    `alike_if_right`, of the items right in the row's language. A share of no items is None.
    """
    languages, number = list(answers), len(items.indices)
    predicted = np.stack([answers[one].predicted[items.places[one]] for one in languages])  # (languages, items)
    gold = np.stack([answers[one].gold[items.places[one]] for one in languages])
    right = (predicted == gold).astype(np.float64)
    # A row a language, one after the other: of hundreds of languages, all at once is gigabytes.
    alike = np.stack([(predicted == ours).sum(axis=1) for ours in predicted])
    alike_if_right = np.stack(
        [(predicted[:, hits] == ours[hits]).sum(axis=1) for ours, hits in zip(predicted, right > 0, strict=True)]
    )
    all_alike = (predicted == predicted[0]).all(axis=0)
    differing = (gold != gold[0]).sum(axis=1).tolist()
    return Consistency(
        languages=languages,
        items=number,
        left_out=len(reduce(np.union1d, list(rows.values()))) - number,
        different_gold=DifferentGold(
            items=int((gold != gold[0]).any(axis=0).sum()), languages=dict(zip(languages, differing, strict=True))
        ),
        alike=_shares(alike, number),
        both_right=_shares(right @ right.T, number),
        alike_if_right=_shares(alike_if_right, right.sum(axis=1)[:, None]),
        all_alike=_share(all_alike.sum(), number),
        all_right=_share(right.all(axis=0).sum(), number),
        all_alike_if_right={
            one: _share((all_alike & (hits > 0)).sum(), hits.sum())
            for one, hits in zip(languages, right, strict=True)
            if one in source_languages
        },
    )


def _share(count: float, of: float) -> Share:
    return float(count / of) if of else None


def _shares(counts: Array, of: Array | int) -> list[list[Share]]:
    pairs = np.broadcast_arrays(counts, of)
    return [[_share(*pair) for pair in zip(*rows, strict=True)] for rows in zip(*pairs, strict=True)]
