"""How many tokens are computed at once, and fewer when memory runs out: the same work again, in smaller parts."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from babelfit.batches.ragged import RaggedBatch
from babelfit.errors import UserError

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class TokenBudget:
    """How many tokens this device takes at once; halved when memory runs out, for as long as the command runs."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def parts(self, batch: RaggedBatch) -> list[RaggedBatch]:
        """Return the parts of a batch: none holds more tokens than this, unless it is a single sequence."""
        if batch.num_tokens <= self.tokens or batch.num_sequences == 1:
            return [batch]
        return [part for half in batch.halves() for part in self.parts(half)]

    def within(self, work: Callable[[], Result], *, alone: bool) -> Result:
        """Do a piece of work, again under half the budget each time that memory runs out.

        Raises UserError where that is not for this rank to decide alone.
        """
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the except clause: the traceback would keep the activations alive.
            self.halve(alone=alone)

    def halve(self, *, alone: bool) -> None:
        """Go on with half the budget; raises UserError where that is not for this rank to decide alone."""
        if self.tokens == 1:
            raise UserError(
                "out of memory with a single example on the device: use a smaller encoder, a shorter data.max_length "
                "or trainer.precision=bf16-mixed"
            )
        if not alone:
            raise UserError(
                f"out of memory where the other devices cannot wait: start the same command again with "
                f"trainer.tokens_per_device={self.tokens // 2} (half); it goes on from the last checkpoint, "
                "with the same results"
            )
        self.tokens //= 2
        torch.cuda.empty_cache()  # of a GPU, where one is in use
        log.warning(
            "out of memory: going on with trainer.tokens_per_device=%d (half); results stay the same", self.tokens
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the device, or the machine, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
