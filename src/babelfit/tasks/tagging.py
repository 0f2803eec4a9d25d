"""Tagging: a tag for each word of a sentence, in IOB2 spans: persons, organisations, places."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from babelfit.batches.ragged import NO_LABEL
from babelfit.rows.encoding import encode_words, read_words_as_in_text
from babelfit.rows.given import rows_of_words
from babelfit.rows.readers import TAGS, WORDS
from babelfit.statistics.sums import NOT_ON_TERMINAL, Array, Counts, Measure, f1, ratio
from babelfit.tasks.labelled import Spellings, answers_of_logits, calibration, confusion, how_sure, is_share, label_ids
from babelfit.tasks.mistakes import Shown, Word
from babelfit.tasks.task import TargetAnswers, Task
from babelfit.tasks.text_answers import PROBABILITY, TextAnswer

OUTSIDE = "O"

RIGHT, BOTH, PREDICTED, GOLD, STRICTLY_RIGHT, STRICTLY_BOTH = range(6)
"""Columns of a sentence's counts of spans; both are predicted and gold ones together."""


@dataclass(frozen=True, kw_only=True)
class TagPrediction:
    """What a model says of the words of one sentence; `gold` is None where the sentence has no tags."""

    index: int
    gold: Sequence[str] | None
    predicted: Sequence[str]
    probabilities: Sequence[float]  # of the predicted tags; none where they are not known

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError for an unknown tag, for other than one tag per word, and for an invalid probability."""
        for key in ("gold", "predicted"):
            tags = getattr(self, key)
            if tags is None and key == "gold":
                continue
            if not isinstance(tags, list) or not tags:
                raise ValueError(f"{key} {tags!r} is not a list of tags, one per word")
            for tag in tags:
                if tag not in labels:
                    raise ValueError(f"{key} {tag!r} is not a tag; expected one of {', '.join(labels)}")
        words = len(self.predicted)
        if self.gold is not None and len(self.gold) != words:
            raise ValueError(f"{words} predicted tags for {len(self.gold)} gold ones; every word needs exactly one")
        shares = self.probabilities
        if shares == []:
            return  # not known
        if not isinstance(shares, list) or len(shares) != words or not all(is_share(share) for share in shares):
            raise ValueError(f"probabilities are not {words} shares from 0 to 1, one per word")


class Tagging(Task):
    """Tag each word; scored by micro F1 over spans, of which one counts only with both borders and the type right.

    Broken IOB2 is read as conlleval and seqeval's default mode read it: a tag that follows another type, or nothing,
    begins a span even if it says I (Tjong Kim Sang & De Meulder 2003). `f1_strict` counts only spans that begin with B,
    as seqeval's strict mode does under IOB2.
    """

    name = "tagging"
    head = "token_classification"
    pipeline = "token-classification"
    gold_type = pa.int32()
    examples_name = "sentences"
    few_shot = "sentences"
    reached = "gold tags reached, %"
    has_one_answer = False
    is_exchanged = True
    record = TagPrediction
    measures = (
        Measure(
            key="f1", title="span F1", columns=(RIGHT, BOTH), of_sums=f1, hub="f1",
            meaning="**span F1**: a span counts with both borders and the type right; an I that begins a span is read "
            "as B, as conlleval and seqeval's default mode do. **strict F1** counts only spans that begin with B.",
        ),
        Measure(
            key="precision", title="precision", columns=(RIGHT, PREDICTED), of_sums=ratio, hub="precision",
            shown=NOT_ON_TERMINAL,
        ),
        Measure(
            key="recall", title="recall", columns=(RIGHT, GOLD), of_sums=ratio, hub="recall", shown=NOT_ON_TERMINAL
        ),
        Measure(key="f1_strict", title="strict F1", columns=(STRICTLY_RIGHT, STRICTLY_BOTH), of_sums=f1),
    )  # fmt: skip

    def __init__(self, *, labels: Sequence[str]) -> None:
        """Take the tags in the order of their ids: "O", and "B-TYPE" or "I-TYPE"."""
        self.labels = tuple(labels)
        self._kinds = [name if name == OUTSIDE else name[2:] for name in self.labels]
        types = sorted({kind for kind in self._kinds if kind != OUTSIDE})
        self._types = np.array([-1 if kind == OUTSIDE else types.index(kind) for kind in self._kinds])
        self._begins = np.array([name.startswith("B-") for name in self.labels])

    @classmethod
    def with_labels(cls, labels: Sequence[str]) -> Self:
        """Return the task of data that have these tags."""
        return cls(labels=labels)

    def check_tokenizer(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Let words given one by one have the subwords that they have in running text."""
        read_words_as_in_text(tokenizer)

    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        """Encode each sentence word by word, in windows."""
        return encode_words(table, tokenizer=tokenizer, words=WORDS, max_length=max_length)

    def read_gold(self, table: pa.Table) -> list[list[int]]:
        """Return the ids of each sentence's tags."""
        rows = zip(table[WORDS].to_pylist(), table[TAGS].to_pylist(), strict=True)
        return [
            [NO_LABEL] * len(words) if tags is None else label_ids(tags, labels=self.labels) for words, tags in rows
        ]

    def rows_of(self, given: Sequence[Any]) -> pa.Table:
        """Return lists of words as rows."""
        return rows_of_words(given)

    def chance(self, gold: Sequence[Array]) -> float:
        """Return 0: a model that has learned nothing finds no span at all."""
        return 0.0

    def answers(
        self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None
    ) -> TargetAnswers:
        """Return the most probable tag of each word."""
        return answers_of_logits(outputs, indices=indices, order=order)

    def counts(self, answers: TargetAnswers) -> Counts:
        """Return for each sentence how many spans are right, predicted and gold, as both modes read them."""
        borders = np.ones(len(answers.examples) + 1, dtype=bool)
        borders[1:-1] = answers.examples[1:] != answers.examples[:-1]

        def count(spans: Array) -> Array:
            sentences = answers.examples[spans // len(self.labels) // len(answers.examples)]
            return np.bincount(sentences, minlength=len(answers.indices))

        def compare(predicted: Array, gold: Array) -> tuple[Array, Array, Array]:
            return count(predicted[np.isin(predicted, gold)]), count(predicted), count(gold)

        ours, theirs = (self._spans(tags, borders=borders) for tags in (answers.predicted, answers.gold))
        (right, found, there), (strictly_right, *strict) = map(compare, ours, theirs)
        columns = [right, found + there, found, there, strictly_right, sum(strict)]
        return Counts(indices=answers.indices, rows=np.column_stack(columns).astype(np.float64))

    def _spans(self, tags: Array, *, borders: Array) -> tuple[Array, Array]:
        """Return all spans, and those that begin with B; each is one number made of its borders and its type."""
        types, says_begin = self._types[tags], self._begins[tags]
        changes = np.ones_like(borders)  # (words + 1,): another type than the word before, or another sentence
        changes[1:-1] = (types[1:] != types[:-1]) | says_begin[1:]
        changes |= borders
        starts = np.flatnonzero(changes[:-1] & (types >= 0))
        ends = np.flatnonzero(changes[1:] & (types >= 0))
        spans = (starts * len(tags) + ends) * len(self.labels) + types[starts]
        return spans, spans[says_begin[starts]]

    def details(self, answers: TargetAnswers) -> dict[str, Any]:
        """Return the numbers of sentences and words, calibration, and confusion by type of entity."""
        return {
            "examples": len(answers.indices),
            "words": len(answers.gold),
            **calibration(answers),
            "confusion": confusion(answers, names=self._kinds),
        }

    def records(self, answers: TargetAnswers) -> Iterator[TagPrediction]:
        """Yield the prediction of each sentence."""
        assert answers.confidences is not None
        borders = np.flatnonzero(np.diff(answers.examples)) + 1
        columns = (np.split(one, borders) for one in (answers.gold, answers.predicted, answers.confidences))
        for index, gold, predicted, shares in zip(answers.indices.tolist(), *columns, strict=True):
            yield TagPrediction(
                index=index,
                gold=None if (gold == NO_LABEL).any() else [self.labels[tag] for tag in gold],
                predicted=[self.labels[tag] for tag in predicted],
                probabilities=shares.tolist(),
            )

    def read(self, records: Sequence[TagPrediction]) -> TargetAnswers:
        """Return the answers of records; confidences where all records have them."""
        lengths = [len(one.predicted) for one in records]
        gold = [[None] * len(one.predicted) if one.gold is None else one.gold for one in records]
        is_known = all(one.probabilities for one in records)
        return TargetAnswers(
            indices=np.array([one.index for one in records]),
            examples=np.repeat(np.arange(len(records)), lengths),
            gold=np.array(label_ids([*chain(*gold)], labels=self.labels)),
            predicted=np.array(label_ids([*chain(*(one.predicted for one in records))], labels=self.labels)),
            confidences=np.array([*chain(*(one.probabilities for one in records))]) if is_known else None,
        )

    def as_text(self, record: TagPrediction) -> TextAnswer:
        """Return a tag a word, with its probability."""
        return TextAnswer(
            index=record.index,
            gold=record.gold,
            predicted=record.predicted,
            probabilities=[{PROBABILITY: share} for share in record.probabilities],
        )

    def from_text(self, given: TextAnswer, *, index: int, gold: Sequence[int], data: str) -> TagPrediction:
        """Return the record of a tag a word."""
        spellings = Spellings(labels=self.labels, aliases=self.aliases, data=data)
        predicted = spellings.names(given.predicted)
        if len(predicted) != len(gold):
            raise ValueError(f"{len(predicted)} tags for the {len(gold)} words of row {index}; each word needs one")
        return TagPrediction(
            index=index,
            gold=spellings.check_gold(given.gold, gold=gold, index=index),
            predicted=predicted,
            probabilities=[shares[PROBABILITY] for shares in given.probabilities],
        )

    def is_right(self, record: TagPrediction) -> bool | None:
        """Return whether all tags are the gold ones."""
        return None if record.gold is None else [*record.predicted] == [*record.gold]

    def extent(self, record: TagPrediction) -> float | None:
        """Return the probability of the wrong tag that is surest."""
        if not record.probabilities:
            return None
        triples = zip(record.predicted, record.gold or (), record.probabilities, strict=True)
        return max((share for predicted, gold, share in triples if predicted != gold), default=None)

    def shown(self, record: TagPrediction, row: Mapping[str, Any]) -> Shown:
        """Return the words with their gold tags, and what is predicted where that is wrong."""
        gold = record.gold or ()
        words: Sequence[str] = row.get(WORDS) or ()
        if len(words) != len(gold):
            words = ["…"] * len(gold)
        return Shown(
            extent=how_sure(self.extent(record)),
            words=[
                Word(text=word, gold="" if tag == said == OUTSIDE else tag, predicted=None if said == tag else said)
                for word, tag, said in zip(words, gold, record.predicted, strict=True)
            ],
        )
