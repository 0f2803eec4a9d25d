"""Which tokens a masked language model has to guess, and what stands in their place; knows ids and no model.

In training 15 % of the tokens, or another share, of which 80 % become the mask token, 10 % some other token, and 10 %
stay (Devlin et al. 2019). They are drawn anew each time that an example is read, as draw.py says.

In evaluation the masks are fixed, 15 % in any case. They depend on nothing but an example's index within its language's
split, and all of them show the mask token: a token that stays is no guess, and which other ones there are depends on
the vocabulary that a run trains. So perplexities compare between steps, seeds and runs. Each example has a mask at
least.
"""

from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerFast

from babelfit.batches.draw import WholeStep, places
from babelfit.batches.ragged import Array, RaggedBatch, StepBatch
from babelfit.errors import UserError

SHARE = 0.15
"""Of all tokens that are not special, how many are to be guessed in evaluation."""

SHOWN_AS_MASK, SHOWN_AS_OTHERS = 0.8, 0.1
"""Of the tokens to be guessed; the rest is shown as it is."""

STREAM = 0x6D61736B
"""Tells the generator of masks from that of the examples' order, which has the same seed."""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Mask tokens of text, which are then the only targets."""

    mask_id: int
    special_ids: Array  # never guessed, never put in the place of a token
    others: Array  # what a token may be replaced by
    share: float = SHARE  # of the tokens that may be, how many are to be guessed in training

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, *, share: float, among: Array | None = None) -> "Masking":
        """Read the ids of a tokenizer; raise UserError where it has no mask token.

        Tokens are replaced by ids that are `among` these, of all that the tokenizer has where there is no choice.
        """
        special = np.array(tokenizer.all_special_ids)
        known = np.array(list(tokenizer.get_vocab().values())) if among is None else among
        return cls(mask_id=mask_id(tokenizer), special_ids=special, others=np.setdiff1d(known, special), share=share)

    def train(self, batch: StepBatch, *, whole: WholeStep) -> StepBatch:
        """Mask tokens of a rank's share of a step; its weight is the masked tokens of the whole step."""
        draws, parts = whole.uniform(stream=STREAM)
        return StepBatch(
            micro_batches=tuple(
                self._mask(one, self._maskable(one), part, share=self.share)
                for one, part in zip(batch.micro_batches, parts, strict=True)
            ),
            weight=int((draws < self.share).sum()),
        )

    def evaluate(self, batch: RaggedBatch) -> RaggedBatch:
        """Mask the tokens of a batch that are masked in every evaluation."""
        maskable = self._maskable(batch)
        indices, languages = batch.indices[maskable], batch.languages[maskable]
        # A row of one language may follow the same row of another.
        is_first = np.append(True, (np.diff(indices) != 0) | (np.diff(languages) != 0))[: len(indices)]
        starts = np.flatnonzero(is_first)
        draws = fixed_draws(indices[starts], counts=np.diff(np.append(starts, len(indices))))
        return self._mask(batch, maskable, draws, share=SHARE, hides_all=True)

    def _maskable(self, batch: RaggedBatch) -> Array:
        """Return the targets that may be masked: the tokens that are not special."""
        return np.flatnonzero(~np.isin(batch.gold, self.special_ids))

    def _mask(
        self, batch: RaggedBatch, maskable: Array, draws: Array, *, share: float, hides_all: bool = False
    ) -> RaggedBatch:
        """Mask some of these targets, and keep these alone as targets.

        One uniform draw for each decides all: whether it is masked, how it is shown, and as which other token.
        """
        is_chosen = draws < share
        chosen, within = maskable[is_chosen], draws[is_chosen] / share
        targets = batch.targets[chosen]
        is_mask = (within < SHOWN_AS_MASK) | hides_all
        is_other = ~is_mask & (within < SHOWN_AS_MASK + SHOWN_AS_OTHERS)
        which = (within[is_other] - SHOWN_AS_MASK) / SHOWN_AS_OTHERS * len(self.others)
        input_ids = batch.input_ids.copy()
        input_ids[targets[is_mask]] = self.mask_id
        input_ids[targets[is_other]] = self.others[np.clip(which.astype(np.int64), 0, len(self.others) - 1)]
        return replace(
            batch,
            input_ids=input_ids,
            targets=targets,
            gold=batch.gold[chosen],
            indices=batch.indices[chosen],
            languages=batch.languages[chosen],
        )


def mask_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the id of a tokenizer's mask token; raise UserError where it has none."""
    if tokenizer.mask_token_id is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} has no mask token (mask_token): choose another encoder"
        )
    return int(tokenizer.mask_token_id)


def fixed_draws(indices: Array, *, counts: Array) -> Array:
    """Return the draws of evaluation for examples with these indices, and so many tokens that may be masked.

    A draw is a hash of the index and of the token's place (SplitMix64, Steele et al. 2014). Where none of an example
    would be masked, the lowest is.
    """
    state = (np.repeat(indices, counts).astype(np.uint64) << np.uint64(32)) + places(counts).astype(np.uint64)
    draws: Array = (_scramble(state) >> np.uint64(11)) * 2.0**-53
    some = counts[counts > 0]
    lowest = np.minimum.reduceat(draws, np.cumsum(some) - some) if len(some) else draws
    draws[draws == np.repeat(np.where(lowest < SHARE, np.nan, lowest), some)] = 0.0
    return draws


def num_fixed(indices: Array, *, counts: Array) -> Array:
    """Count the tokens of each example that are masked in evaluation: (examples,)."""
    is_masked = fixed_draws(indices, counts=counts) < SHARE
    return np.bincount(np.repeat(np.arange(len(counts)), counts)[is_masked], minlength=len(counts))


def _scramble(state: Array) -> Array:
    """Finish SplitMix64 from states that need not be random."""
    state = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state
