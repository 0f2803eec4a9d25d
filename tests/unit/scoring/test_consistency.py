"""Consistency is as counted by hand, and rows that are not the same items are refused."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pytest

from babelfit.batches.ragged import NO_LABEL
from babelfit.errors import UserError
from babelfit.rows.read import RowsRead, is_cut
from babelfit.rows.read import dropped as dropped_rows
from babelfit.scoring.consistency import align, consistency
from babelfit.scoring.tables import Consistency, DifferentGold
from babelfit.statistics.sums import Array
from babelfit.tasks.task import TargetAnswers

GOLD = (0, 1, 2, 0)


def said(
    predicted: Sequence[int], gold: Sequence[int] = GOLD, *, indices: Sequence[int] | None = None
) -> TargetAnswers:
    rows = np.arange(len(predicted))
    return TargetAnswers(
        indices=rows if indices is None else np.array(indices),
        examples=rows,
        gold=np.array(gold),
        predicted=np.array(predicted),
    )


def known(*, dropped: Collection[int], is_cut: bool) -> RowsRead:
    """Say of a language which rows are no examples, and whether a limit left out the last rows."""
    return RowsRead(files=[], rows=100 + len(dropped), dropped={"none": [*dropped]}, examples=99 if is_cut else 100)


def compared(
    answers: Mapping[str, TargetAnswers],
    dropped: Mapping[str, Collection[int]] | None = None,
    cut: Collection[str] = (),
) -> Consistency:
    rows = {language: theirs.indices for language, theirs in answers.items()}
    given = {language: theirs.with_gold() for language, theirs in answers.items()}
    read = {one: known(dropped=(dropped or {}).get(one, ()), is_cut=one in cut) for one in answers}
    items = align(given, rows=rows, read=read)
    return consistency(given, items=items, rows=rows, source_languages=["en"])


def test_the_shares_are_those_counted_by_hand() -> None:
    # Right: en 0 1 2, de 0 1 3, sw 0 2. Alike: en and de in 0 1, en and sw in 0 2 3, de and sw in 0; all in 0.
    found = compared({"en": said((0, 1, 2, 1)), "de": said((0, 1, 0, 0)), "sw": said((0, 2, 2, 1))})

    assert found.languages == ["en", "de", "sw"]
    assert (found.items, found.left_out) == (4, 0)
    assert found.alike == [[1, 0.5, 0.75], [0.5, 1, 0.25], [0.75, 0.25, 1]]
    assert found.both_right == [[0.75, 0.5, 0.5], [0.5, 0.75, 0.25], [0.5, 0.25, 0.5]]
    third = pytest.approx(1 / 3)
    assert found.alike_if_right == [
        [1, pytest.approx(2 / 3), pytest.approx(2 / 3)],
        [pytest.approx(2 / 3), 1, third],
        [1, 0.5, 1],
    ]
    assert (found.all_alike, found.all_right) == (0.25, 0.25)
    assert found.all_alike_if_right == {"en": third}


def test_a_share_of_nothing_is_none() -> None:
    found = compared({"en": said((1, 0, 0, 1)), "de": said(GOLD)})

    assert found.alike_if_right[0] == [None, None]
    assert found.all_alike_if_right == {"en": None}


def test_a_row_dropped_in_one_language_is_left_out_of_all_and_counted() -> None:
    answers = {"en": said(GOLD), "de": said((0, 2, 1), (0, 2, 0), indices=(0, 2, 3))}
    found = compared(answers, {"de": {1}})

    assert (found.items, found.left_out) == (3, 1)
    assert found.all_alike == pytest.approx(2 / 3)


def test_a_row_without_gold_in_one_language_is_left_out_of_all() -> None:
    de = said((0, 1, 2, 0), (0, NO_LABEL, 2, 0))
    found = compared({"en": said(GOLD), "de": de})

    assert (found.items, found.left_out) == (3, 1)


def test_the_first_rows_that_a_limit_leaves_may_differ_where_rows_were_dropped() -> None:
    answers = {"en": said((0, 1, 2), (0, 1, 2)), "de": said((0, 2, 0), (0, 2, 0), indices=(0, 2, 3))}

    assert compared(answers, {"de": {1}}, cut=["en", "de"]).items == 2


def test_rows_behind_a_limit_near_the_end_are_no_sign_of_other_items() -> None:
    # Of 5 rows the limit of 4 leaves 4 in en, and in de all 3 that were not dropped.
    answers = {"en": said(GOLD), "de": said((0, 2, 1), (0, 2, 1), indices=(0, 2, 4))}
    dropped = {"de": {1, 3}}
    assert compared(answers, dropped, cut=["en"]).items == 2

    with pytest.raises(UserError, match=r"1 rows are in only one of the two, .* row 4"):
        compared(answers, dropped)


def test_a_limit_hides_no_row_that_is_missing_before_it() -> None:
    answers = {"en": said(GOLD), "de": said((0, 2, 0), (0, 2, 0), indices=(0, 2, 3))}

    with pytest.raises(UserError, match=r"1 rows are in only one of the two, .* row 1"):
        compared(answers, cut=["en", "de"])


def evaluated(golds: Mapping[str, Array], dropped: Mapping[str, Sequence[Array]], limit: int | None) -> Consistency:
    """Compare languages whose rows are read as data read them: dropped for some reasons, then cut by the limit."""
    answers, entries = {}, {}
    for language, gold in golds.items():
        reasons = {str(number): np.flatnonzero(mask).tolist() for number, mask in enumerate(dropped[language])}
        rows = np.flatnonzero(~np.any(dropped[language], axis=0))
        answers[language] = said(gold[rows[:limit]], gold[rows[:limit]], indices=rows[:limit])
        entries[language] = RowsRead(files=[], rows=len(gold), dropped=reasons, examples=len(rows[:limit]))
    return compared(
        answers,
        {language: dropped_rows(entry) for language, entry in entries.items()},
        cut=[language for language, entry in entries.items() if is_cut(entry)],
    )


def random_drops(generator: np.random.Generator, languages: Sequence[str], *, num_rows: int) -> dict[str, list[Array]]:
    """Draw the rows that each language drops for each of two reasons; never all of them."""
    masks = {one: [generator.random(num_rows) < share for share in generator.random(2) / 2] for one in languages}
    for one in languages:
        if np.any(masks[one], axis=0).all():
            masks[one] = [np.zeros(num_rows, dtype=bool)] * 2
    return masks


@pytest.mark.parametrize("seed", range(20))
def test_no_limit_makes_parallel_rows_of_which_some_were_dropped_other_items(seed: int) -> None:
    generator = np.random.default_rng(seed)
    languages = ("en", "de", "sw")
    for num_rows in range(1, 10):
        gold = generator.integers(3, size=num_rows)
        dropped = random_drops(generator, languages, num_rows=num_rows)
        for limit in (None, *range(1, num_rows + 2)):
            found = evaluated(dict.fromkeys(languages, gold), dropped, limit)
            kept = [set(np.flatnonzero(~np.any(masks, axis=0))[:limit]) for masks in dropped.values()]
            assert found.items == len(set.intersection(*kept))
            assert found.different_gold.items == 0


@pytest.mark.parametrize("seed", range(20))
def test_rows_that_are_shifted_are_refused_whatever_the_limit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    gold = generator.integers(3, size=120)
    dropped = random_drops(generator, ("en", "de"), num_rows=119)
    # German lacks a row near the start, and all after it are other items than their number says.
    shifted = np.delete(gold, generator.integers(20))
    dropped["en"] = [np.append(mask, False) for mask in dropped["en"]]
    for limit in (None, *range(40, 121, 5), 119):
        with pytest.raises(UserError, match="en and de are not parallel"):
            evaluated({"en": gold, "de": shifted}, dropped, limit)


def test_gold_that_differs_a_little_is_counted() -> None:
    gold = np.zeros(100, dtype=int)
    other = gold.copy()
    other[[7, 9]] = 1
    found = compared({"en": said(gold, gold), "de": said(other, other)})

    assert found.different_gold == DifferentGold(items=2, languages={"en": 0, "de": 2})
    assert found.all_right == 1


def test_gold_that_differs_much_is_refused() -> None:
    gold = np.zeros(100, dtype=int)
    other = gold.copy()
    other[7:13] = 1

    with pytest.raises(UserError, match="en and de are not parallel: 6 of 100 gold labels differ, the first in row 7"):
        compared({"en": said(gold, gold), "de": said(other, other)})


def test_gold_that_differs_where_a_third_language_has_no_gold_is_refused() -> None:
    gold = np.zeros(100, dtype=int)
    other = gold.copy()
    other[50:] = 1
    sw = said(gold, np.where(np.arange(100) < 50, gold, NO_LABEL).tolist())

    with pytest.raises(UserError, match="en and de are not parallel: 50 of 100 gold labels differ"):
        compared({"en": said(gold, gold), "de": said(other, other), "sw": sw})


def test_rows_that_only_one_language_has_are_refused() -> None:
    with pytest.raises(UserError, match=r"en and sw are not parallel: 2 rows are in only one of the two, .* row 2"):
        compared({"en": said(GOLD), "de": said(GOLD), "sw": said((0, 1), (0, 1))})
