"""What is drawn anew each time that examples are read, as masks are (masking.py), and the random numbers for it.

They are drawn over a whole optimizer step, in the order of its examples, before these are divided over the ranks and
into micro-batches: so neither changes what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from babelfit.batches.ragged import Array, RaggedBatch, StepBatch


@dataclass(frozen=True, kw_only=True)
class WholeStep:
    """An optimizer step, and where in it the examples of some micro-batches are, those that one rank reads."""

    seed: int
    epoch: int
    step: int
    counts: Array  # (examples of the step,): the random numbers that each asks for
    parts: Sequence[Array]  # of each micro-batch, the places of its examples in the step

    def uniform(self, *, stream: int) -> tuple[Array, list[Array]]:
        """Return numbers from 0 to 1, of the whole step and of each micro-batch: a function of seed, epoch and step.

        `stream` tells the generator from others that have the same seed.
        """
        numbers = np.random.default_rng((stream, self.seed, self.epoch, self.step)).random(self.counts.sum())
        starts = np.cumsum(self.counts) - self.counts
        return numbers, [
            numbers[np.repeat(starts[part], self.counts[part]) + places(self.counts[part])] for part in self.parts
        ]


class Draw(Protocol):
    """Something that is drawn anew each time that examples are read in training, and is fixed in evaluation."""

    def train(self, batch: StepBatch, *, whole: WholeStep) -> StepBatch:
        """Return what a rank reads of a step with all drawn that is to be, and with the weight of the whole step."""

    def evaluate(self, batch: RaggedBatch) -> RaggedBatch:
        """Return a batch as it is in every evaluation: each example by its index alone."""


def places(counts: Array) -> Array:
    """Return 0, 1, ... for each of these counts, one after the other."""
    numbers: Array = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return numbers
