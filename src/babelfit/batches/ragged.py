"""Ragged batches: examples end to end, without padding, and the ids in them. Which belong together: steps.py."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset

Array = np.ndarray[Any, Any]

NO_LABEL = -100
"""In place of gold that is missing, where gold is integers; torch's cross entropy leaves it out by default."""

NOBODY = -1
"""The language of a ghost (below), and its row."""


def has_gold(gold: Any) -> Any:
    """Return which targets have gold, (targets,), given an array or a tensor of it, (targets, ...)."""
    if torch.is_floating_point(gold) if isinstance(gold, torch.Tensor) else gold.dtype.kind == "f":
        is_there = gold == gold  # missing is NaN
    else:
        is_there = gold != NO_LABEL
    while is_there.ndim > 1:
        is_there = is_there.all(-1)
    return is_there


def no_gold(like: Array) -> Array:
    """Return the gold of one target that has none, of the type and trailing shape of other gold: (1, ...)."""
    return np.full((1, *like.shape[1:]), np.nan if like.dtype.kind == "f" else NO_LABEL, like.dtype)


def gold_values(column: pa.Array | pa.ChunkedArray) -> Array:
    """Return gold as an array, (targets, ...), integers in 64 bits; what is a vector has lists of a fixed size."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    shape = []
    while pa.types.is_fixed_size_list(values.type):
        shape.append(values.type.list_size)
        values = values.flatten()
    array: Array = values.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
    return array.astype(array.dtype if array.dtype.kind == "f" else np.int64)  # copied: pyarrow's cannot be written to


@dataclass(kw_only=True)  # not frozen: Lightning refuses such batches under bf16-true
class RaggedBatch:
    """Sequences end to end, without padding. Arrays in a worker, tensors once `to` has moved them to a device."""

    input_ids: Any  # (tokens,)
    token_type_ids: Any  # (tokens,)
    position_ids: Any  # (tokens,), 0-based within each sequence
    cu_seqlens: Any  # (sequences + 1,): sequence i is tokens cu_seqlens[i] to cu_seqlens[i + 1]
    targets: Any  # (targets,), ascending: the token from which each one's gold is predicted
    gold: Any  # (targets, ...), of integers or floats; missing as has_gold() says
    indices: Any  # (targets,): row of the example within its language's split, as it came
    languages: Any  # (targets,): position in the list of languages
    lengths: Array  # (sequences,): as in cu_seqlens, but always on the host, which must not wait for a device to know

    @property
    def num_sequences(self) -> int:
        return len(self.lengths)

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids)

    def to(self, device: torch.device | str, **options: Any) -> "RaggedBatch":
        """Move all arrays to a device, as tensors."""
        return self._mapped(lambda array: torch.as_tensor(array).to(device, **options))

    def pin_memory(self) -> "RaggedBatch":
        """Copy all arrays to page-locked memory, so that moving them to a GPU does not wait."""
        return self._mapped(lambda array: torch.as_tensor(array).pin_memory())

    def _mapped(self, change: Callable[[Any], torch.Tensor]) -> "RaggedBatch":
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "lengths"}
        return RaggedBatch(lengths=self.lengths, **{name: change(array) for name, array in arrays.items()})

    def halves(self) -> tuple["RaggedBatch", "RaggedBatch"]:
        """Cut the batch in two, between sequences and near the middle token."""
        ends = self.lengths.cumsum()
        middle = min(1 + int((ends[:-1] <= self.num_tokens // 2).sum()), self.num_sequences - 1)
        cut = int(ends[middle - 1])
        targets = int((self.targets < cut).sum())
        return (
            self._part(slice(0, middle), slice(0, cut), slice(0, targets)),
            self._part(slice(middle, self.num_sequences), slice(cut, None), slice(targets, None)),
        )

    def _part(self, sequences: slice, tokens: slice, targets: slice) -> "RaggedBatch":
        return RaggedBatch(
            input_ids=self.input_ids[tokens],
            token_type_ids=self.token_type_ids[tokens],
            position_ids=self.position_ids[tokens],
            cu_seqlens=self.cu_seqlens[sequences.start : sequences.stop + 1] - tokens.start,
            targets=self.targets[targets] - tokens.start,
            gold=self.gold[targets],
            indices=self.indices[targets],
            languages=self.languages[targets],
            lengths=self.lengths[sequences],
        )


@dataclass(kw_only=True)
class StepBatch:
    """A rank's micro-batches of an optimizer step, and what the summed loss of the whole step is divided by."""

    micro_batches: tuple[RaggedBatch, ...]
    weight: int

    def to(self, device: torch.device | str, **options: Any) -> "StepBatch":
        """Move all micro-batches to a device."""
        return replace(self, micro_batches=tuple(batch.to(device, **options) for batch in self.micro_batches))

    def pin_memory(self) -> "StepBatch":
        """Copy all micro-batches to page-locked memory."""
        return replace(self, micro_batches=tuple(batch.pin_memory() for batch in self.micro_batches))


class Examples:
    """The tokenized examples of several languages, one after the other, mapped from disk.

    An example is one row: one or more sequences (the windows of a long sentence) with one or more targets. Its id is
    its place in this row of languages.

    Rows of text hold no targets: each of their tokens is one, and its own gold, of which a draw takes some (draw.py).
    With `reset_positions`, those of a pair's second sentence, which begins where `second` says, begin again at 0
    (Conneau & Lample 2019, section 3.3).
    """

    def __init__(self, splits: Sequence[tuple[int, Dataset]], *, reset_positions: bool = False) -> None:
        self._reset_positions = reset_positions
        self._languages = np.array([language for language, _ in splits])
        self._tables = [dataset.with_format("arrow") for _, dataset in splits]
        self._starts = np.cumsum([0, *(len(dataset) for _, dataset in splits)])
        columns = [dataset.data for _, dataset in splits]
        schema = columns[0].schema
        self._has_targets = "targets" in schema.names

        def sizes(name: str) -> Array:
            return np.concatenate([pc.list_value_length(column[name]).to_numpy() for column in columns])

        def numbers(name: str) -> Array:
            return np.concatenate([column[name].to_numpy() for column in columns])

        self.lengths = sizes("input_ids")  # (examples,), in tokens
        # (examples,): what each adds to the weight of a step, its targets; of text the tokens that a draw chooses from
        self.weights = sizes("targets") if self._has_targets else numbers("maskable").astype(np.int64)
        self.sizes = tuple(len(dataset) for _, dataset in splits)  # examples of each language
        kind = schema.field("gold").type.value_type if self._has_targets else pa.int64()
        self._gold = gold_values(pa.array([], kind))  # of no target

    def __len__(self) -> int:
        return int(self._starts[-1])

    def ragged(self, ids: Sequence[int] | Array) -> RaggedBatch:
        """Read the examples with these ids, in this order."""
        ids = np.asarray(ids)
        parts = np.searchsorted(self._starts, ids, side="right") - 1
        # One gather for each language, then one to restore the order asked for.
        order, tables = [], []
        for part in np.unique(parts):
            chosen = np.flatnonzero(parts == part)
            order.append(chosen)
            tables.append(self._tables[part][(ids[chosen] - self._starts[part]).tolist()])
        table = pa.concat_tables(tables)
        if len(tables) > 1:
            table = table.take(np.argsort(np.concatenate(order)))
        table = table.combine_chunks()
        input_ids, num_tokens = _flat(table["input_ids"])
        types = (
            _flat(table["token_type_ids"])[0] if "token_type_ids" in table.column_names else np.zeros_like(input_ids)
        )
        lengths, _ = _flat(table["windows"])
        borders = np.concatenate([[0], np.cumsum(lengths)])
        first_token = np.cumsum(num_tokens) - num_tokens  # (examples,)
        if self._has_targets:
            targets, num_targets = _flat(table["targets"])
            targets += np.repeat(first_token, num_targets)
            gold = gold_values(table["gold"].combine_chunks().flatten())
        else:
            targets, num_targets, gold = np.arange(len(input_ids)), num_tokens, input_ids
        positions = np.arange(len(input_ids)) - np.repeat(borders[:-1], lengths)
        if self._reset_positions:
            second = np.repeat(table["second"].to_numpy().astype(np.int64), num_tokens)
            positions -= np.where((second > 0) & (positions >= second), second, 0)
        return RaggedBatch(
            input_ids=input_ids,
            token_type_ids=types,
            position_ids=positions,
            cu_seqlens=borders,
            targets=targets,
            gold=gold,
            indices=np.repeat(table["index"].to_numpy().astype(np.int64), num_targets),
            languages=np.repeat(self._languages[parts], num_targets),
            lengths=lengths,
        )

    def ghost(self) -> RaggedBatch:
        """Make a batch of one token that counts for nothing, for a rank that has to take part without an example.

        Its loss is 0, and so is its gradient in every parameter.
        """
        zero, none = np.zeros(1, dtype=np.int64), np.full(1, NOBODY)
        return RaggedBatch(
            input_ids=zero,
            token_type_ids=zero,
            position_ids=zero,
            cu_seqlens=np.array([0, 1]),
            targets=zero,
            gold=no_gold(self._gold),
            indices=none,
            languages=none,
            lengths=np.ones(1, dtype=np.int64),
        )


def token_ids(splits: Iterable[Dataset]) -> Array:
    """Return the distinct token ids that some splits hold, ascending."""
    is_held = np.zeros(0, dtype=bool)
    for dataset in splits:
        for chunk in dataset.data["input_ids"].chunks:
            ids = chunk.flatten().to_numpy()
            # A tokenizer may have gaps, and ids beyond its size.
            is_held = np.pad(is_held, (0, max(0, int(ids.max(initial=0)) + 1 - len(is_held))))
            is_held[ids] = True
    return np.flatnonzero(is_held)


def _flat(column: pa.ChunkedArray) -> tuple[Array, Array]:
    """Return the values of a column of lists end to end, and the length of each list."""
    lists = column.combine_chunks()
    return lists.flatten().to_numpy().astype(np.int64), np.diff(lists.offsets.to_numpy())
