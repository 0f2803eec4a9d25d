"""Which tokens a masked language model has to guess, and what stands in their place; knows ids and no model.

In training 15 % of the tokens, or another share, of which 80 % become the mask token, 10 % some other token, and 10 %
stay (Devlin et al. 2019). They are drawn anew each time that an example is read: over the whole optimizer step, in the
order of its examples, before these are dealt to the devices and cut into micro-batches, so that neither changes a mask.

In evaluation the masks are fixed, 15 % in any case. They depend on nothing but an example's index within its language's
split, and all of them show the mask token: a token that stays is no guess, and which other ones there are depends on
the vocabulary that a run trains. So perplexities compare between steps, seeds and runs. Each example has a mask at
least.
"""

from dataclasses import dataclass, replace

import numpy as np
from transformers import PreTrainedTokenizerFast

from babelfit.batches.ragged import Array, RaggedBatch
from babelfit.errors import UserError

SHARE = 0.15
"""Of all tokens that are not special, how many are to be guessed in evaluation."""

SHOWN_AS_MASK, SHOWN_AS_OTHERS = 0.8, 0.1
"""Of the tokens to be guessed; the rest is shown as it is."""

STREAM = 0x6D61736B
"""Tells the generator of masks from that of the examples' order, which has the same seed."""


@dataclass(kw_only=True)
class Masking:
    """The ids of a tokenizer that masking is about."""

    mask_id: int
    special_ids: Array  # never guessed, never put in the place of a token
    others: Array  # what a token may be replaced by
    share: float = SHARE  # of the tokens that may be, how many are to be guessed in training

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerFast, *, share: float) -> "Masking":
        """Read the ids of a tokenizer; raises UserError where it has no mask token."""
        if tokenizer.mask_token_id is None:
            raise UserError(
                f"the tokenizer of {tokenizer.name_or_path} has no mask token (mask_token): choose another encoder"
            )
        special, known = np.array(tokenizer.all_special_ids), np.array(list(tokenizer.get_vocab().values()))
        return cls(
            mask_id=tokenizer.mask_token_id, special_ids=special, others=np.setdiff1d(known, special), share=share
        )

    def keep_to(self, ids: Array) -> None:
        """Replace tokens by these ids alone, less the special ones."""
        self.others = np.setdiff1d(ids, self.special_ids)

    def places(self, input_ids: Array) -> Array:
        """Return where there are tokens that may be masked: all that are not special."""
        return np.flatnonzero(~np.isin(input_ids, self.special_ids))

    def masked(self, batch: RaggedBatch, draws: Array, *, in_evaluation: bool = False) -> RaggedBatch:
        """Mask some of a batch's targets, which are all that may be, and keep these alone as targets.

        One uniform draw for each decides all: whether it is masked, how it is shown, and as which other token.
        """
        share = SHARE if in_evaluation else self.share
        chosen = draws < share
        targets, within = batch.targets[chosen], draws[chosen] / share
        is_mask = (within < SHOWN_AS_MASK) | in_evaluation
        is_other = ~is_mask & (within < SHOWN_AS_MASK + SHOWN_AS_OTHERS)
        which = (within[is_other] - SHOWN_AS_MASK) / SHOWN_AS_OTHERS * len(self.others)
        input_ids = batch.input_ids.copy()
        input_ids[targets[is_mask]] = self.mask_id
        input_ids[targets[is_other]] = self.others[np.clip(which.astype(np.int64), 0, len(self.others) - 1)]
        return replace(
            batch,
            input_ids=input_ids,
            targets=targets,
            labels=batch.labels[chosen],
            indices=batch.indices[chosen],
            languages=batch.languages[chosen],
        )


def draws_of_step(num_maskable: int, *, seed: int, epoch: int, step: int) -> Array:
    """Draw for all tokens of a step that may be masked, from 0 to 1: a function of the arguments alone."""
    return np.random.default_rng((STREAM, seed, epoch, step)).random(num_maskable)


def part_of(draws: Array, *, counts: Array, examples: Array) -> Array:
    """Take from the draws of a step, with so many for each example, those of some examples, in their order."""
    starts = np.cumsum(counts) - counts
    taken: Array = draws[np.repeat(starts[examples], counts[examples]) + _places(counts[examples])]
    return taken


def fixed_draws(indices: Array, *, counts: Array) -> Array:
    """Return the draws of evaluation for examples with these indices, and so many tokens that may be masked.

    A draw is a hash of the index and of the token's place (SplitMix64, Steele et al. 2014). Where none of an example
    would be masked, the lowest is.
    """
    state = (np.repeat(indices, counts).astype(np.uint64) << np.uint64(32)) + _places(counts).astype(np.uint64)
    draws: Array = (_mixed(state) >> np.uint64(11)) * 2.0**-53
    some = counts[counts > 0]
    lowest = np.minimum.reduceat(draws, np.cumsum(some) - some) if len(some) else draws
    draws[draws == np.repeat(np.where(lowest < SHARE, np.nan, lowest), some)] = 0.0
    return draws


def num_fixed(indices: Array, *, counts: Array) -> Array:
    """Count the tokens of each example that are masked in evaluation: (examples,)."""
    is_masked = fixed_draws(indices, counts=counts) < SHARE
    return np.bincount(np.repeat(np.arange(len(counts)), counts)[is_masked], minlength=len(counts))


def _places(counts: Array) -> Array:
    """Number so many things each from 0, one row after the other."""
    places: Array = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return places


def _mixed(state: Array) -> Array:
    """Finish SplitMix64 from states that need not be random."""
    state = (state + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state
