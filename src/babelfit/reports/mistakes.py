"""The errors worth reading: the worst ones, and those on items that are right in the source language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from babelfit.tasks.mistakes import Word
from babelfit.tasks.task import Task

MOST = 25
"""Errors shown in each of a language's two lists."""

MOST_IN_ALL = 1_200
"""Of all lists of a page, which must open quickly: with many languages, each has shorter lists."""

LONGEST_TEXT = 500
"""Characters of a text that are shown."""

LONGEST_SENTENCE = 60
"""Words of a tagged sentence that are shown, around its first error."""


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrong prediction with the text it was made of; without texts where the data are gone."""

    index: int
    extent: str  # how sure it is, or how far off; "" where that is not known
    gold: str
    predicted: str
    texts: Mapping[str, str]
    words: Sequence[Word]
    in_source: Mapping[str, str]  # the same item's texts in the source language
    source_predicted: str  # "" where it is not known


@dataclass(frozen=True, kw_only=True)
class Mistakes:
    """What one language gets wrong."""

    num_wrong: int
    worst: Sequence[Mistake]
    num_right_in_source: int
    right_in_source: Sequence[Mistake]


def most_of_each(num_lists: int) -> int:
    """Return how many errors each list may have."""
    return max(3, min(MOST, MOST_IN_ALL // max(1, num_lists)))


def mistakes(
    task: Task,
    records: Sequence[Any],
    *,
    source: Sequence[Any],
    text: pa.Table | str,
    source_text: pa.Table | str,
    most: int,
) -> Mistakes:
    """Choose what to read of one language's errors, the worst first.

    `source` are the predictions of the same items in the source language, empty where items are not the same. `text`
    may be the reason why there is none.
    """
    by_index = {record.index: record for record in source if task.is_right(record) is not None}
    wrong = [record for record in records if task.is_right(record) is False]
    wrong.sort(key=lambda record: (-(task.extent(record) or 0), record.index))
    elsewhere = [record for record in wrong if (same := by_index.get(record.index)) is not None and task.is_right(same)]

    def lay_out(record: Any) -> Mistake:
        same, row = by_index.get(record.index), _row(text, record.index)
        shown = task.shown(record, row)
        return Mistake(
            index=record.index,
            extent=shown.extent,
            gold=shown.gold,
            predicted=shown.predicted,
            texts=_texts(row),
            words=_around_first_error(shown.words),
            in_source={} if same is None else _texts(_row(source_text, record.index)),
            source_predicted="" if same is None else task.shown(same, {}).predicted,
        )

    return Mistakes(
        num_wrong=len(wrong),
        worst=[lay_out(record) for record in wrong[:most]],
        num_right_in_source=len(elsewhere),
        right_in_source=[lay_out(record) for record in elsewhere[:most]],
    )


def _row(text: pa.Table | str, index: int) -> dict[str, Any]:
    if isinstance(text, str) or index >= text.num_rows:
        return {}
    return {name: text[name][index].as_py() for name in text.column_names}


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: _cut(value) for name, value in row.items() if isinstance(value, str)}


def _around_first_error(words: Sequence[Word]) -> list[Word]:
    """Return a sentence, or its part around the first error where it is long."""
    first = next((place for place, word in enumerate(words) if word.predicted is not None), 0)
    start = max(0, min(first - LONGEST_SENTENCE // 2, len(words) - LONGEST_SENTENCE))
    end = min(len(words), start + LONGEST_SENTENCE)
    kept = [Word(text=_cut(word.text), gold=word.gold, predicted=word.predicted) for word in words[start:end]]
    more = Word(text="…", gold="", predicted=None)
    return [*([more] if start else []), *kept, *([more] if end < len(words) else [])]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
