"""Ragged batches, and which examples make up each optimizer step; knows lengths and ids, no text and no model.

Batch size is mathematics, token budget is memory: a step's examples follow from (seed, epoch, step) alone, and how
they are divided over the devices and cut into micro-batches changes nothing but rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

Array = np.ndarray[Any, Any]

NO_LABEL = -100
"""The label of an example without gold; torch's cross entropy leaves it out by default."""

NOBODY = -1
"""The language of a ghost (below), and its row."""


@dataclass(kw_only=True)  # not frozen: Lightning refuses such batches under bf16-true
class RaggedBatch:
    """Sequences end to end, without padding. Arrays in a worker, tensors once `to` has moved them to a device."""

    input_ids: Any  # (tokens,)
    token_type_ids: Any  # (tokens,)
    position_ids: Any  # (tokens,), 0-based within each sequence
    cu_seqlens: Any  # (sequences + 1,): sequence i is tokens cu_seqlens[i] to cu_seqlens[i + 1]
    targets: Any  # (targets,), ascending: the token from which each label is predicted
    labels: Any  # (targets,)
    indices: Any  # (targets,): row of the example within its language's split, as it came
    languages: Any  # (targets,): position in the list of languages
    longest: int  # tokens of the longest sequence

    @property
    def num_sequences(self) -> int:
        return len(self.cu_seqlens) - 1

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
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "longest"}
        return RaggedBatch(longest=self.longest, **{name: change(array) for name, array in arrays.items()})

    def halves(self) -> tuple["RaggedBatch", "RaggedBatch"]:
        """Cut the batch in two, between sequences and near the middle token."""
        borders = self.cu_seqlens
        middle = 1 + int((borders[1:-1] <= self.num_tokens // 2).sum())
        middle = min(middle, self.num_sequences - 1)
        cut = int(borders[middle])
        targets = int((self.targets < cut).sum())
        return (
            self._part(slice(0, middle + 1), slice(0, cut), slice(0, targets)),
            self._part(slice(middle, None), slice(cut, None), slice(targets, None)),
        )

    def _part(self, borders: slice, tokens: slice, targets: slice) -> "RaggedBatch":
        cu_seqlens = self.cu_seqlens[borders] - tokens.start
        return RaggedBatch(
            input_ids=self.input_ids[tokens],
            token_type_ids=self.token_type_ids[tokens],
            position_ids=self.position_ids[tokens],
            cu_seqlens=cu_seqlens,
            targets=self.targets[targets] - tokens.start,
            labels=self.labels[targets],
            indices=self.indices[targets],
            languages=self.languages[targets],
            longest=int((cu_seqlens[1:] - cu_seqlens[:-1]).max()),
        )


@dataclass(kw_only=True)
class StepBatch:
    """All that one optimizer step reads: its micro-batches, and the number of targets its loss is the mean over."""

    micro_batches: tuple[RaggedBatch, ...]
    num_targets: int

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
    """

    def __init__(self, splits: Sequence[tuple[int, Dataset]]) -> None:
        self._languages = np.array([language for language, _ in splits])
        self._tables = [dataset.with_format("arrow") for _, dataset in splits]
        self._starts = np.cumsum([0, *(len(dataset) for _, dataset in splits)])

        def sizes(column: str) -> Array:
            return np.concatenate(
                [pc.list_value_length(dataset.data.column(column)).to_numpy() for _, dataset in splits]
            )

        self.lengths = sizes("input_ids")  # (examples,), in tokens
        self.num_targets = sizes("targets")  # (examples,)

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
        targets, num_targets = _flat(table["targets"])
        first_token = np.cumsum(num_tokens) - num_tokens  # (examples,)
        return RaggedBatch(
            input_ids=input_ids,
            token_type_ids=types,
            position_ids=np.arange(len(input_ids)) - np.repeat(borders[:-1], lengths),
            cu_seqlens=borders,
            targets=targets + np.repeat(first_token, num_targets),
            labels=_flat(table["labels"])[0],
            indices=np.repeat(table["index"].to_numpy().astype(np.int64), num_targets),
            languages=np.repeat(self._languages[parts], num_targets),
            longest=int(lengths.max()),
        )


def _flat(column: pa.ChunkedArray) -> tuple[Array, Array]:
    """Return the values of a column of lists end to end, and the length of each list."""
    lists = column.combine_chunks()
    return lists.flatten().to_numpy().astype(np.int64), np.diff(lists.offsets.to_numpy())


def cut(lengths: Array, *, tokens_per_device: int) -> list[Array]:
    """Cut examples of the given lengths into micro-batches of at most so many tokens, longest first.

    Returns positions in `lengths`. Similar lengths come together, which is what attention wants; equal ones keep their
    order. An example longer than the budget stands alone.
    """
    order = np.argsort(-lengths, kind="stable")
    if not len(lengths):
        return []
    borders, held = [], 0
    for place, length in enumerate(lengths[order]):
        if place and held + length > tokens_per_device:
            borders.append(place)
            held = 0
        held += length
    return np.split(order, borders)


def dealt(lengths: Array, *, num_ranks: int) -> list[Array]:
    """Divide examples of the given lengths over the ranks, so that they get nearly equal numbers of tokens.

    Returns positions in `lengths` for each rank; of few examples some ranks get none. The longest comes first, onto the
    rank that has least (Graham 1969): the heaviest rank gets at most the mean and one example.
    """
    held = np.zeros(num_ranks, dtype=np.int64)
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    for place in np.argsort(-lengths, kind="stable").tolist():
        lightest = int(held.argmin())
        shares[lightest].append(place)
        held[lightest] += lengths[place]
    return [np.array(sorted(share), dtype=np.int64) for share in shares]


def ghost() -> RaggedBatch:
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
        labels=np.full(1, NO_LABEL),
        indices=none,
        languages=none,
        longest=1,
    )


@lru_cache(maxsize=1)
def epoch_order(num_examples: int, *, seed: int, epoch: int) -> Array:
    """Draw the order of all example ids in one epoch: a function of its arguments alone."""
    return np.random.default_rng((seed, epoch)).permutation(num_examples)


class Steps(Sampler[tuple[int, int]]):
    """The (epoch, step) pairs of the current epoch, from the step at which training stands."""

    def __init__(self, *, steps_per_epoch: int, steps_done: Callable[[], int]) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._steps_done = steps_done

    def __len__(self) -> int:
        # Always the whole epoch, also after a resume: Lightning counts the batches it has seen by itself.
        return self._steps_per_epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, done = divmod(self._steps_done(), self._steps_per_epoch)
        for step in range(done, self._steps_per_epoch):
            yield epoch, step


class TrainingSteps(TorchDataset[StepBatch]):
    """One rank's share of each optimizer step, by (epoch, step); `num_targets` is the whole step's."""

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        self._examples = examples
        self._batch_size = batch_size
        self._tokens_per_device = tokens_per_device
        self._seed = seed
        self._rank = rank
        self._num_ranks = num_ranks

    def __len__(self) -> int:
        return -(-len(self._examples) // self._batch_size)

    def __getitem__(self, place: tuple[int, int]) -> StepBatch:
        epoch, step = place
        order = epoch_order(len(self._examples), seed=self._seed, epoch=epoch)
        # The last step of an epoch holds what is left.
        ids = order[step * self._batch_size : (step + 1) * self._batch_size]
        lengths = self._examples.lengths[ids]
        shares = [
            [share[part] for part in cut(lengths[share], tokens_per_device=self._tokens_per_device)]
            for share in dealt(lengths, num_ranks=self._num_ranks)
        ]
        return StepBatch(
            # Sharded weights are gathered by all ranks for each micro-batch, so all have equally many.
            micro_batches=_filled(
                [self._examples.ragged(ids[part]) for part in shares[self._rank]],
                number=max(len(parts) for parts in shares),
            ),
            num_targets=int(self._examples.num_targets[ids].sum()),
        )


class EvaluationBatches(TorchDataset[RaggedBatch]):
    """One rank's share of all examples of several languages: one stream, longest first, cut under the token budget.

    Whole batches are dealt out, so that an example has the same company, and the same logits, on any number of ranks.
    """

    def __init__(self, examples: Examples, *, tokens_per_device: int, rank: int = 0, num_ranks: int = 1) -> None:
        self._examples = examples
        parts = cut(examples.lengths, tokens_per_device=tokens_per_device)
        self._parts = parts[rank::num_ranks]
        self._number = -(-len(parts) // num_ranks)  # on every rank: they go through them in step

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, place: int) -> RaggedBatch:
        return self._examples.ragged(self._parts[place]) if place < len(self._parts) else ghost()


def _filled(batches: list[RaggedBatch], *, number: int) -> tuple[RaggedBatch, ...]:
    """Add ghosts until there are so many batches; in front, because the last is the one that exchanges gradients."""
    return (*(ghost() for _ in range(number - len(batches))), *batches)
