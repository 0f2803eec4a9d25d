"""Sentences to examples: as many in one as there is room for, or the two of a pair side by side. Reads no file.

An example is a sequence as the tokenizer makes one: `<s> sentence </s> sentence </s>`, and of a pair, in its own form
for pairs, `<s> sentence </s></s> sentence </s>`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from babelfit.devices import preemption
from babelfit.rows.encoding import special_tokens

COUNTED = ("subwords", "unknown", "special", "pieces", "truncated")


class Packer:
    """Turn sentences into examples of at most `max_length` tokens.

    `counts` says what became of them: `subwords`, of which the tokenizer does not know `unknown`; what read like a
    `special` token in the text and was left out; sentences that were cut into `pieces`; pairs that were `truncated`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._begin, self._end = special_tokens(tokenizer)
        letter, pair = tokenizer("a", add_special_tokens=False)["input_ids"], tokenizer("a", "a")
        self._between = pair["input_ids"][len(self._begin) + len(letter) : -len(letter) - len(self._end)]
        self._has_types = "token_type_ids" in tokenizer.model_input_names
        self._second_type = pair["token_type_ids"][-1] if self._has_types else 0
        self._special = np.setdiff1d(tokenizer.all_special_ids, [tokenizer.unk_token_id])
        self._index = 0
        self.counts = dict.fromkeys(COUNTED, 0)

    @property
    def schema(self) -> pa.Schema:
        """Return the columns; `maskable`: tokens that are not special, `second`: where a pair's second begins."""
        names = ["input_ids", "token_type_ids", "windows"] if self._has_types else ["input_ids", "windows"]
        lists = [pa.field(name, pa.list_(pa.int32())) for name in names]
        return pa.schema([*lists, pa.field("index", pa.int64()), ("maskable", pa.int32()), ("second", pa.int32())])

    def packed(self, chunks: Iterable[Sequence[str]]) -> Iterator[pa.Table]:
        """Put sentences together, in their order, as many as there is room for; longer ones are cut into pieces.

        Yields the examples that each chunk of sentences fills, and at last the one that is begun.
        """
        room = self._max_length - len(self._begin) - len(self._end)
        ids = list(self._begin)
        for sentences in chunks:
            preemption.answer()
            filled: list[list[int]] = []
            for sentence in self._ids(sentences):
                self.counts["pieces"] += len(sentence) > room
                for start in range(0, len(sentence), room):
                    piece = sentence[start : start + room]
                    if len(ids) + len(piece) + len(self._end) > self._max_length:
                        filled.append(ids)
                        ids = list(self._begin)
                    ids += piece
                    ids += self._end
            yield self._table(filled)
        if len(ids) > len(self._begin):
            yield self._table([ids])

    def paired(self, chunks: Iterable[Sequence[str]]) -> Iterator[pa.Table]:
        """Put each two sentences that follow each other side by side, cut to the room from the longer one."""
        room = self._max_length - len(self._begin) - len(self._between) - len(self._end)
        for sentences in chunks:
            preemption.answer()
            ids = self._ids(sentences)
            examples, second = [], []
            for first, other in zip(ids[::2], ids[1::2], strict=True):
                kept, also = _cut(len(first), len(other), room=room)
                self.counts["truncated"] += kept + also < len(first) + len(other)
                begun = [*self._begin, *first[:kept], *self._between]
                second.append(len(begun))
                examples.append([*begun, *other[:also], *self._end])
            yield self._table(examples, second=second)

    def _ids(self, sentences: Sequence[str]) -> list[list[int]]:
        """Tokenize sentences, without special tokens."""
        backend = self._tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        # As the tokenizer itself does it, but for all that is not asked for, which takes a third of the time.
        ids = [one.ids for one in backend.encode_batch_fast(list(sentences), add_special_tokens=False)]
        flat = _flat(ids)
        num_special = int(np.isin(flat, self._special).sum())
        if num_special:
            special = set(self._special.tolist())
            ids = [[number for number in sentence if number not in special] for sentence in ids]
        self.counts["special"] += num_special
        self.counts["subwords"] += len(flat) - num_special
        self.counts["unknown"] += int((flat == self._tokenizer.unk_token_id).sum())
        return ids

    def _table(self, examples: list[list[int]], *, second: Sequence[int] = ()) -> pa.Table:
        lengths = np.fromiter(map(len, examples), np.int64, len(examples))
        starts = np.cumsum(lengths) - lengths
        flat = _flat(examples)
        second_at = np.asarray(second, np.int32) if len(second) else np.zeros(len(examples), np.int32)
        is_maskable = ~np.isin(flat, self._tokenizer.all_special_ids)
        offsets = np.append(starts, len(flat)).astype(np.int32)
        columns = {
            "input_ids": pa.ListArray.from_arrays(offsets, flat),
            "windows": pa.ListArray.from_arrays(np.arange(len(examples) + 1, dtype=np.int32), lengths.astype(np.int32)),
            "index": np.arange(self._index, self._index + len(examples)),
            "maskable": np.add.reduceat(np.append(is_maskable, False).astype(np.int32), starts) if len(starts) else [],
            "second": second_at,
        }
        if self._has_types:
            is_second = np.arange(len(flat)) - np.repeat(starts, lengths) >= np.repeat(second_at, lengths)
            is_second &= np.repeat(second_at, lengths) > 0
            columns["token_type_ids"] = pa.ListArray.from_arrays(
                offsets, is_second.astype(np.int32) * self._second_type
            )
        self._index += len(examples)
        return pa.table(columns, schema=self.schema)


def _flat(lists: Sequence[Sequence[int]]) -> np.ndarray[Any, Any]:
    return np.fromiter(chain.from_iterable(lists), np.int32, sum(map(len, lists)))


def _cut(first: int, second: int, *, room: int) -> tuple[int, int]:
    """Return how many tokens of each of two are kept when the longer one is cut, as the tokenizer does it."""
    if first + second <= room:
        return first, second
    if min(first, second) <= room // 2:
        return (first, room - first) if first <= second else (room - second, second)
    half = room // 2
    return (half, room - half) if first <= second else (room - half, half)
