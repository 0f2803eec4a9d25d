"""Texts that are given one by one, and by nobody's file, as rows of a dataset: without gold."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from babelfit.errors import UserError
from babelfit.rows.readers import LABEL, TAGGED, TAGS, WORDS

LONGEST_SHOWN = 60

_SHAPES = {1: "a text", 2: "a pair of texts, a tuple of two"}


def rows_of_texts(given: Sequence[Any], *, columns: Sequence[str]) -> pa.Table:
    """Return texts, or tuples of as many as there are columns, as rows; raise UserError for anything else."""
    rows = []
    for place, one in enumerate(given):
        texts = (one,) if isinstance(one, str) else tuple(one) if isinstance(one, tuple | list) else ()
        if len(texts) != len(columns) or not all(isinstance(text, str) for text in texts):
            shape = _SHAPES.get(len(columns), f"a tuple of {len(columns)} texts")
            raise UserError(f"number {place} of the texts is {_shown(one)}; this model reads {shape}")
        rows.append(texts)
    table = {column: pa.array([row[at] for row in rows], pa.string()) for at, column in enumerate(columns)}
    return pa.table({**table, LABEL: pa.nulls(len(rows))})


def rows_of_words(given: Sequence[Any]) -> pa.Table:
    """Return lists of words as rows; raise UserError for anything else."""
    for place, words in enumerate(given):
        is_words = not isinstance(words, str) and isinstance(words, Sequence)
        if not is_words or not words or not all(isinstance(word, str) for word in words):
            raise UserError(
                f"number {place} of the texts is {_shown(words)}; this model tags words: give each sentence "
                "as a list of them, such as TEXT.split() where spaces part them"
            )
    words = pa.array([list(words) for words in given], pa.list_(pa.string()))
    return pa.table({WORDS: words, TAGS: pa.nulls(len(given), pa.list_(pa.string()))}, schema=TAGGED)


def _shown(one: Any) -> str:
    text = repr(one)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
