"""What each row of text is, before it becomes tokens: its hash, to find it again elsewhere, and how long it is.

Two rows are the same text if their hashes are (64 bits: of a million rows, chance makes two alike once in 40 million
times). Knows no file and no split.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from babelfit.rows.readers import LABEL, TAGS, WORDS

COLUMNS = {
    "exact": pa.int64(),
    "folded": pa.int64(),
    "words": pa.int32(),
    "characters": pa.int32(),
    "subwords": pa.int32(),
    "unknown": pa.int32(),
}
"""Columns beside the tokens of an example. `folded` is blind to case, spaces and forms of one character (NFKC)."""

MOST_SAMPLED = 1_000
"""Rows that are looked at to say in which scripts a file is written."""


def of_rows(table: pa.Table) -> dict[str, Any]:
    """Return hash and measures of rows of text. A word is what stands between spaces, or in tagging what has a tag."""
    exact, folded, words, characters = [], [], [], []
    for parts in _parts(table):
        whole = "\n".join(parts)
        alike = "\n".join(" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in parts)
        exact.append(_hash(whole))
        folded.append(exact[-1] if alike == whole else _hash(alike))
        words.append(sum(len(part.split()) for part in parts))
        characters.append(sum(len(part) for part in parts))
    if WORDS in table.column_names:
        words = [len(sentence) for sentence in table[WORDS].to_pylist()]
    return {"exact": exact, "folded": folded, "words": words, "characters": characters}


def of_tokens(input_ids: pa.ListArray, *, special: list[int], unknown: int | None) -> dict[str, NDArray[Any]]:
    """Count each example's subwords, less special tokens, and those of them that the tokenizer does not know."""
    flat = input_ids.flatten().to_numpy()
    starts = input_ids.offsets.to_numpy()[:-1] - input_ids.offsets[0].as_py()
    is_unknown = flat == (-1 if unknown is None else unknown)
    is_subword = ~np.isin(flat, special) | is_unknown
    return {
        "subwords": np.add.reduceat(is_subword.astype(np.int32), starts),
        "unknown": np.add.reduceat(is_unknown.astype(np.int32), starts),
    }


def quantiles(lengths: NDArray[Any]) -> dict[str, int]:
    """Return how long sequences are: of the median, of those at 95 % and 99 %, and of the longest."""
    named = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "longest": 1.0}
    return dict(zip(named, map(int, np.quantile(lengths, list(named.values()), method="higher")), strict=True))


def scripts(table: pa.Table) -> dict[str, float]:
    """Return the share of each script among the letters, by its name in Unicode, in rows from all over a table."""
    step = -(-table.num_rows // MOST_SAMPLED)
    counts: dict[str, int] = {}
    for parts in _parts(table.take(np.arange(0, table.num_rows, step))):
        for character in unicodedata.normalize("NFKC", " ".join(parts)):
            if (script := _script(character)) is not None:
                counts[script] = counts.get(script, 0) + 1
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return {script: round(count / total, 4) for script, count in ordered if count >= 0.001 * total}


def _parts(table: pa.Table) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each row, a sentence of words as one."""
    if WORDS in table.column_names:
        return ((" ".join(words),) for words in table[WORDS].to_pylist())
    texts = [name for name in table.column_names if name not in (LABEL, TAGS) and pa.types.is_string(table[name].type)]
    return zip(*(table[name].to_pylist() for name in texts), strict=True)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


@lru_cache(maxsize=65_536)
def _script(character: str) -> str | None:
    # "LATIN SMALL LETTER A", "KATAKANA-HIRAGANA PROLONGED SOUND MARK"
    return re.split("[ -]", unicodedata.name(character, ""))[0] or None if character.isalpha() else None
