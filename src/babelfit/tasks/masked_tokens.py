"""Masked tokens: guess what stands under each mask of a running text (Devlin et al. 2019).

Scored are tokens behind fixed masks (batches/masking.py). Nothing is transferred from one language to another here;
nor do perplexities of different tokenizers compare.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from babelfit.statistics.sums import PERPLEXITY, PLAIN, Array, Counts, Measure, ratio
from babelfit.tasks.mistakes import Shown
from babelfit.tasks.task import Task

NLL, MASKED, RIGHT = range(3)
"""Columns of an example's counts."""


@dataclass(frozen=True, kw_only=True)
class MaskedPrediction:
    """How well a model guesses the masked tokens of one example: how many, how many right, summed over all of them."""

    index: int
    masked: int
    right: int
    nll: float  # negative log-likelihood in nats
    inactive: int = 0  # besides, masked tokens that a model with an active vocabulary does not have

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError for invalid counts, and for an invalid log-likelihood."""
        counts = (self.masked, self.right, self.inactive)
        if any(type(count) is not int or count < 0 for count in counts) or self.right > self.masked:
            raise ValueError(
                f"{self.right!r} right of {self.masked!r} masked tokens: expected counts, and no more right than masked"
            )
        if not isinstance(self.nll, int | float) or not 0 <= self.nll < math.inf:
            raise ValueError(f"nll {self.nll!r} is not a negative log-likelihood; expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """What a model guesses of the masked tokens of examples: (examples,) each."""

    indices: Array
    masked: Array
    right: Array
    nll: Array
    inactive: Array

    @property
    def has_gold(self) -> Array:
        """Return true for all: every token is its own gold."""
        return np.ones(len(self.indices), dtype=bool)

    def with_gold(self) -> "Guesses":
        """Return all."""
        return self


def _log_likelihood(sums: Array) -> Array:
    return -_mean_nll(sums)


def _mean_nll(sums: Array) -> Array:
    nothing = np.full(sums.shape[:-1], np.nan)
    return np.asarray(np.divide(sums[..., 0], sums[..., 1], out=nothing, where=sums[..., 1] > 0))


class MaskedTokens(Task):
    """Guess masked tokens; scored by mean log-likelihood, perplexity, and the share of right guesses."""

    name = "masked_tokens"
    head = "masked_language_modeling"
    pipeline = "fill-mask"
    gold_type = pa.int32()
    target = "masked tokens"
    has_one_answer = False
    compares_languages = False
    mistakes = None
    report_title = "Masked tokens of held-out text"
    record = MaskedPrediction
    measures = (
        Measure(
            key="log_likelihood", title="log-likelihood", columns=(NLL, MASKED), of_sums=_log_likelihood, unit=PLAIN,
            shown="nowhere",
        ),
        Measure(
            key="perplexity", title="perplexity", columns=(NLL, MASKED), of_sums=_mean_nll, transform=np.exp,
            unit=PERPLEXITY, better="lower", hub="perplexity",
            meaning="**perplexity**: e to the mean negative log-likelihood of a masked token, of which 1 would be "
            "perfect. Of each example, 15 % of the tokens that are not special are masked, at least one, and always "
            "the same ones, which are all shown as the mask token. Only perplexities with the same tokenizer over the "
            "same ids compare.",
        ),
        Measure(
            key="accuracy", title="accuracy", columns=(RIGHT, MASKED), of_sums=ratio, hub="accuracy",
            meaning="**accuracy**: the share of masked tokens, in percent, whose likeliest guess is right.",
        ),
    )  # fmt: skip

    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        """Raise NotImplementedError: running text has no rows, and is packed into examples (text/packing.py)."""
        raise NotImplementedError

    def read_gold(self, table: pa.Table) -> list[list[int]]:
        """Raise NotImplementedError: the gold of running text is that text."""
        raise NotImplementedError

    def selection_in_words(self, score: float) -> str:
        """Return the perplexity of a log-likelihood."""
        return f"perplexity {math.exp(-score):.2f}"

    def answers(self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None) -> Guesses:
        """Return what the masked tokens of each example come to, added up over those that are active."""
        examples = np.searchsorted(indices, outputs["index"])
        is_active = outputs["active"].astype(bool)

        def add(values: Array) -> Array:
            return np.bincount(examples, weights=np.where(is_active, values, 0.0), minlength=len(indices))

        masked = add(is_active)
        return Guesses(
            indices=indices,
            masked=masked,
            right=add(outputs["right"]),
            nll=add(outputs["nll"]),
            inactive=np.bincount(examples, minlength=len(indices)) - masked,
        )

    def counts(self, answers: Guesses) -> Counts:
        """Return negative log-likelihood, masked tokens and right ones of each example that has some."""
        kept = answers.masked > 0
        columns = (answers.nll, answers.masked, answers.right)
        return Counts(indices=answers.indices[kept], rows=np.column_stack([column[kept] for column in columns]))

    def details(self, answers: Guesses) -> dict[str, Any]:
        """Return how many tokens are masked in how many examples, and how many were not among those guessed from."""
        inactive = int(answers.inactive.sum())
        numbers = {"masked": int(answers.masked.sum()), "examples": len(answers.indices)}
        return numbers | ({"inactive": inactive} if inactive else {})

    def records(self, answers: Guesses) -> Iterator[MaskedPrediction]:
        """Yield what each example comes to."""
        columns = (answers.indices, answers.masked, answers.right, answers.nll, answers.inactive)
        for index, masked, right, nll, inactive in zip(*(column.tolist() for column in columns), strict=True):
            yield MaskedPrediction(index=index, masked=int(masked), right=int(right), nll=nll, inactive=int(inactive))

    def read(self, records: Sequence[MaskedPrediction]) -> Guesses:
        """Return the guesses of records."""
        return Guesses(
            indices=np.array([one.index for one in records]),
            masked=np.array([one.masked for one in records]),
            right=np.array([one.right for one in records]),
            nll=np.array([one.nll for one in records]),
            inactive=np.array([one.inactive for one in records]),
        )

    def is_right(self, record: MaskedPrediction) -> None:
        """Return nothing: of an example, some guesses are right and some are not."""

    def extent(self, record: MaskedPrediction) -> None:
        """Return nothing: no example is wrong as a whole."""

    def shown(self, record: MaskedPrediction, row: Mapping[str, Any]) -> Shown:
        """Return nothing: a record counts tokens, and has none."""
        return Shown()
