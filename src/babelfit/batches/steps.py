"""Which examples make up each optimizer step and each batch of an evaluation; knows lengths and ids alone.

Batch size is mathematics, token budget is memory: a step's examples follow from (seed, epoch, step) alone, and how
they are divided over the devices and into micro-batches changes nothing but rounding.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from torch.utils.data import Dataset, Sampler

from babelfit.batches.draw import Draw, WholeStep
from babelfit.batches.mixing import examples_per_epoch, mixed_order
from babelfit.batches.ragged import Array, Examples, RaggedBatch, StepBatch


def micro_batches(lengths: Array, *, tokens_per_device: int) -> list[Array]:
    """Cut examples of the given lengths into micro-batches of at most so many tokens, longest first.

    Returns positions in `lengths`. Similar lengths come together, which is what attention wants; equal ones keep their
    order. An example longer than the budget stands alone.
    """
    order = np.argsort(-lengths, kind="stable")
    if not len(lengths):
        return []
    # One search a micro-batch, because an evaluation of many languages may cut millions of examples.
    ends = np.cumsum(lengths[order], dtype=np.int64)
    borders = [0]
    while borders[-1] < len(order):
        held_before = ends[borders[-1] - 1] if borders[-1] else 0
        border = int(np.searchsorted(ends, held_before + tokens_per_device, side="right"))
        borders.append(max(border, borders[-1] + 1))
    return [order[first:last] for first, last in pairwise(borders)]


def split_over_ranks(lengths: Array, *, num_ranks: int) -> list[Array]:
    """Divide examples of the given lengths over the ranks, so that they get nearly equal numbers of tokens.

    Returns positions in `lengths` for each rank; of few examples some ranks get none. The longest comes first, onto the
    rank that has least (Graham 1969): the heaviest rank gets at most the mean and one example.
    """
    shares: list[list[int]] = [[] for _ in range(num_ranks)]
    lightest_first = [(0, rank) for rank in range(num_ranks)]
    order = np.argsort(-lengths, kind="stable")
    for place, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        held, rank = lightest_first[0]
        shares[rank].append(place)
        heapq.heapreplace(lightest_first, (held + length, rank))
    return [np.array(sorted(share), dtype=np.int64) for share in shares]


@lru_cache(maxsize=1)
def epoch_order(num_examples: int, *, seed: int, epoch: int) -> Array:
    """Return the random order of all example ids in one epoch: a function of its arguments alone."""
    order = np.arange(num_examples, dtype=np.int32)
    # What `permutation` draws, in half the memory: of millions of examples this is the largest array of all.
    np.random.default_rng((seed, epoch)).shuffle(order)
    return order


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


class TrainingSteps(Dataset[StepBatch]):
    """One rank's share of each optimizer step, by (epoch, step); its weight is the whole step's."""

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
        exponent: float | None = None,
        draw: Draw | None = None,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        """Read every example once per epoch, or with an exponent as often as mixing.py says."""
        self._examples = examples
        self._batch_size = batch_size
        self._tokens_per_device = tokens_per_device
        self._seed = seed
        self._exponent = exponent
        self._draw = draw
        self._rank = rank
        self._num_ranks = num_ranks

    def __len__(self) -> int:
        return -(-len(self._examples) // self._batch_size)

    def _order(self, epoch: int) -> Array:
        if self._exponent is None:
            return epoch_order(len(self._examples), seed=self._seed, epoch=epoch)
        return mixed_order(self._examples.sizes, exponent=self._exponent, seed=self._seed, epoch=epoch)

    def __getitem__(self, place: tuple[int, int]) -> StepBatch:
        epoch, step = place
        order = self._order(epoch)
        # The last step of an epoch holds what is left.
        ids = order[step * self._batch_size : (step + 1) * self._batch_size]
        lengths = self._examples.lengths[ids]
        shares = [
            [share[part] for part in micro_batches(lengths[share], tokens_per_device=self._tokens_per_device)]
            for share in split_over_ranks(lengths, num_ranks=self._num_ranks)
        ]
        mine, weights = shares[self._rank], self._examples.weights[ids]
        batch = StepBatch(
            micro_batches=tuple(self._examples.ragged(ids[part]) for part in mine), weight=int(weights.sum())
        )
        if self._draw is not None:
            whole = WholeStep(seed=self._seed, epoch=epoch, step=step, counts=weights, parts=mine)
            batch = self._draw.train(batch, whole=whole)
        # Sharded weights are gathered by all ranks for each micro-batch, so all have equally many. Ghosts come first,
        # because the last one exchanges gradients.
        num_ghosts = max(map(len, shares)) - len(mine)
        return replace(batch, micro_batches=(*[self._examples.ghost()] * num_ghosts, *batch.micro_batches))

    @property
    def tokens_per_epoch(self) -> float:
        """Count the tokens of an epoch; where it takes but a part of a language, the expected ones."""
        sizes = self._examples.sizes
        parts = np.split(self._examples.lengths, np.cumsum(sizes)[:-1])
        counts = examples_per_epoch(sizes, exponent=self._exponent)
        return float(sum(part.mean() * count for part, count in zip(parts, counts, strict=True)))

    def heaviest(self, *, num_steps: int) -> StepBatch:
        """Read this rank's share of the step with most tokens, of the first so many from the first epoch on."""
        heaviest, place = -1, (0, 0)
        for epoch in range(-(-num_steps // len(self))):
            order = self._order(epoch)
            steps = np.arange(min(len(self), num_steps - epoch * len(self)))
            lengths = self._examples.lengths[order[: len(steps) * self._batch_size]]
            tokens = np.add.reduceat(lengths, steps * self._batch_size)
            if tokens.max() > heaviest:
                heaviest, place = int(tokens.max()), (epoch, int(tokens.argmax()))
        return self[place]


class EvaluationBatches(Dataset[RaggedBatch]):
    """One rank's share of all examples of several languages: one stream, longest first, cut under the token budget.

    Whole batches are dealt out, so that an example has the same company, and the same logits, on any number of ranks.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        tokens_per_device: int,
        draw: Draw | None = None,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        self._examples = examples
        self._draw = draw
        parts = micro_batches(examples.lengths, tokens_per_device=tokens_per_device)
        self._parts = parts[rank::num_ranks]
        self._number = -(-len(parts) // num_ranks)  # on every rank: they go through them in step

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, place: int) -> RaggedBatch:
        if place >= len(self._parts):
            return self._examples.ghost()
        batch = self._examples.ragged(self._parts[place])
        return batch if self._draw is None else self._draw.evaluate(batch)
