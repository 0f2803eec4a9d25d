"""The errors worth reading: the most confident ones, and those on items that are right in the source language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from babelfit.predictions.prediction_files import AnyPrediction, Prediction, TagPrediction
from babelfit.rows.readers import WORDS

MOST = 25
"""Errors shown in each of a language's two lists."""

MOST_IN_ALL = 1_200
"""Of all lists of a page, which must open quickly: with many languages, each has shorter lists."""

LONGEST_TEXT = 500
"""Characters of a text that are shown."""

LONGEST_SENTENCE = 60
"""Words of a tagged sentence that are shown, around its first error."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a tagged sentence; `predicted` is None where it is right."""

    text: str
    gold: str
    predicted: str | None


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One wrong prediction with the text it was made of; without texts where the data are gone."""

    index: int
    confidence: (
        float | None
    )  # of tagging: in the wrong tag that it is surest of; predictions from elsewhere may lack it
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
    most_confident: Sequence[Mistake]
    num_right_in_source: int
    right_in_source: Sequence[Mistake]


def most_of_each(num_lists: int) -> int:
    """Say how many errors each list may have."""
    return max(3, min(MOST, MOST_IN_ALL // max(1, num_lists)))


def mistakes(
    records: Sequence[AnyPrediction],
    *,
    source: Sequence[AnyPrediction],
    text: pa.Table | str,
    source_text: pa.Table | str,
    most: int,
) -> Mistakes:
    """Choose what to read of one language's errors, the surest first.

    `source` are the predictions of the same items in the source language, empty where items are not the same. `text`
    may be the reason why there is none.
    """
    by_index = {record.index: record for record in source if record.gold is not None}
    wrong = [record for record in records if record.gold is not None and record.predicted != record.gold]
    wrong.sort(key=lambda record: (-(_confidence(record) or 0), record.index))
    elsewhere = [
        record for record in wrong if (same := by_index.get(record.index)) is not None and same.predicted == same.gold
    ]

    def shown(record: AnyPrediction) -> Mistake:
        same = by_index.get(record.index)
        row = _row(text, record.index)
        is_pair = isinstance(record, Prediction)
        return Mistake(
            index=record.index,
            confidence=_confidence(record),
            gold=str(record.gold) if is_pair else "",
            predicted=str(record.predicted) if is_pair else "",
            texts={name: _cut(value) for name, value in row.items() if isinstance(value, str)},
            words=_words(record, row.get(WORDS)) if isinstance(record, TagPrediction) else [],
            in_source={
                name: _cut(value)
                for name, value in (_row(source_text, record.index) if same is not None else {}).items()
                if isinstance(value, str)
            },
            source_predicted=str(same.predicted) if isinstance(same, Prediction) else "",
        )

    return Mistakes(
        num_wrong=len(wrong),
        most_confident=[shown(record) for record in wrong[:most]],
        num_right_in_source=len(elsewhere),
        right_in_source=[shown(record) for record in elsewhere[:most]],
    )


def _confidence(record: AnyPrediction) -> float | None:
    if isinstance(record, Prediction):
        return record.probabilities.get(record.predicted)
    if not record.probabilities:
        return None
    triples = zip(record.predicted, record.gold or (), record.probabilities, strict=True)
    return max(share for predicted, gold, share in triples if predicted != gold)


def _row(text: pa.Table | str, index: int) -> dict[str, Any]:
    if isinstance(text, str) or index >= text.num_rows:
        return {}
    return {name: text[name][index].as_py() for name in text.column_names}


def _words(record: TagPrediction, words: Sequence[str] | None) -> list[Word]:
    """Lay out a sentence, or its part around the first error where it is long."""
    gold = record.gold or ()
    texts: Sequence[str] = words if words is not None and len(words) == len(gold) else ["…"] * len(gold)
    wrong = [said != right for said, right in zip(record.predicted, gold, strict=True)]
    first = wrong.index(True)
    start = max(0, min(first - LONGEST_SENTENCE // 2, len(gold) - LONGEST_SENTENCE))
    end = min(len(gold), start + LONGEST_SENTENCE)
    shown = [
        Word(text=_cut(texts[place]), gold=gold[place], predicted=record.predicted[place] if wrong[place] else None)
        for place in range(start, end)
    ]
    more = Word(text="…", gold="", predicted=None)
    return [*([more] if start else []), *shown, *([more] if end < len(gold) else [])]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
