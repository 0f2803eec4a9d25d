"""Classification: one label for a text, or for a pair of texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from babelfit.batches.ragged import NO_LABEL
from babelfit.rows.encoding import encode_texts
from babelfit.rows.given import rows_of_texts
from babelfit.rows.readers import LABEL
from babelfit.statistics.sums import Array, Counts, Measure, ratio
from babelfit.tasks.labelled import Spellings, answers_of_logits, calibration, confusion, how_sure, is_share, label_ids
from babelfit.tasks.mistakes import Shown
from babelfit.tasks.task import TargetAnswers, Task
from babelfit.tasks.text_answers import TextAnswer

RIGHT, ONE, FIRST_CLASS = 0, 1, 2
"""Columns of an example's counts; from the third on right ones of each class, then predicted and gold ones of each."""


@dataclass(frozen=True, kw_only=True)
class LabelPrediction:
    """What a model says of one example; `gold` is None where the row has no label."""

    index: int
    gold: str | None
    predicted: str
    probabilities: Mapping[str, float]  # of every label; none where they are not known

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError for an unknown label or an invalid probability."""
        for key, allowed in (("gold", [*labels, None]), ("predicted", labels)):
            if (name := getattr(self, key)) not in allowed:
                raise ValueError(f"{key} {name!r} is not a label; expected one of {', '.join(labels)}")
        shares = self.probabilities
        if not isinstance(shares, dict) or not all(name in labels and is_share(one) for name, one in shares.items()):
            raise ValueError(f"probabilities {shares!r} are not shares from 0 to 1, by labels of the data")


class Classification(Task):
    """Choose one label for each example; scored by accuracy, and by F1 averaged over the labels."""

    name = "classification"
    head = "sequence_classification"
    pipeline = "text-classification"
    gold_type = pa.int32()
    few_shot = "examples of each label"
    draws_by_label = True
    is_exchanged = True
    record = LabelPrediction

    def __init__(
        self, *, labels: Sequence[str], texts: Sequence[str] = (), aliases: Mapping[str, str] | None = None
    ) -> None:
        """Take the labels in the order of their ids, the columns of the texts, and other spellings of labels."""
        self.labels = tuple(labels)
        self.texts = tuple(texts)
        self.aliases = dict(aliases or {})
        num_labels = len(self.labels)
        self.measures = (
            Measure(
                key="accuracy", title="accuracy", columns=(RIGHT, ONE), of_sums=ratio, hub="accuracy", is_yes_or_no=True
            ),
            Measure(
                key="f1",
                title="macro F1",
                columns=tuple(range(FIRST_CLASS, FIRST_CLASS + 2 * num_labels)),
                of_sums=partial(macro_f1, num_labels=num_labels),
                hub="f1",
                meaning="**macro F1** is the mean over classes.",
            ),
        )

    @classmethod
    def with_labels(cls, labels: Sequence[str]) -> Self:
        """Return the task of data that have these labels, as far as scores and predictions need it."""
        return cls(labels=labels)

    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        """Encode the texts of each row as one sequence."""
        return encode_texts(table, tokenizer=tokenizer, texts=self.texts, max_length=max_length)

    def read_gold(self, table: pa.Table) -> list[list[int]]:
        """Return the id of each row's label."""
        return [[label_id] for label_id in label_ids(table[LABEL].to_pylist(), labels=self.labels)]

    def rows_of(self, given: Sequence[Any]) -> pa.Table:
        """Return texts, or pairs of them, as rows."""
        return rows_of_texts(given, columns=self.texts)

    def chance(self, gold: Sequence[Array]) -> float:
        """Return the highest accuracy that is no better than guessing: the mean over languages.

        It is that of always saying the most frequent label, and two standard errors more: on so many examples, one
        guess in forty looks that good.
        """
        levels = []
        for labels in gold:
            share = np.unique(labels, return_counts=True)[1].max() / len(labels)
            levels.append(share + 2 * np.sqrt(share * (1 - share) / len(labels)))
        return float(np.mean(levels))

    def answers(
        self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None
    ) -> TargetAnswers:
        """Return the most probable label of each example."""
        return answers_of_logits(outputs, indices=indices, order=order)

    def counts(self, answers: TargetAnswers) -> Counts:
        """Return for each example: right, 1, and of each label right, and predicted and gold together."""
        right = answers.predicted == answers.gold
        rows = np.zeros((len(answers.indices), FIRST_CLASS + 2 * len(self.labels)))
        places = np.arange(len(rows))
        rows[:, RIGHT] = right
        rows[:, ONE] = 1
        rows[places, FIRST_CLASS + answers.gold] = right
        for labels in (answers.gold, answers.predicted):
            rows[places, FIRST_CLASS + len(self.labels) + labels] += 1
        return Counts(indices=answers.indices, rows=rows)

    def details(self, answers: TargetAnswers) -> dict[str, Any]:
        """Return the number of examples, calibration and confusion."""
        return {
            "examples": len(answers.indices),
            **calibration(answers),
            "confusion": confusion(answers, names=self.labels),
        }

    def records(self, answers: TargetAnswers) -> Iterator[LabelPrediction]:
        """Yield the prediction of each example."""
        assert answers.probabilities is not None
        columns = (answers.indices.tolist(), answers.gold.tolist(), answers.predicted.tolist())
        for index, gold, predicted, shares in zip(*columns, answers.probabilities.tolist(), strict=True):
            yield LabelPrediction(
                index=index,
                gold=None if gold == NO_LABEL else self.labels[gold],
                predicted=self.labels[predicted],
                probabilities=dict(zip(self.labels, shares, strict=True)),
            )

    def read(self, records: Sequence[LabelPrediction]) -> TargetAnswers:
        """Return the answers of records; confidences where all records have them."""
        shares = [one.probabilities.get(one.predicted) for one in records]
        return TargetAnswers(
            indices=np.array([one.index for one in records]),
            examples=np.arange(len(records)),
            gold=np.array(label_ids([one.gold for one in records], labels=self.labels)),
            predicted=np.array(label_ids([one.predicted for one in records], labels=self.labels)),
            confidences=None if None in shares else np.array(shares),
        )

    def as_text(self, record: LabelPrediction) -> TextAnswer:
        """Return the label, with the probabilities of all labels."""
        return TextAnswer(
            index=record.index,
            gold=None if record.gold is None else [record.gold],
            predicted=[record.predicted],
            probabilities=[record.probabilities],
        )

    def from_text(self, given: TextAnswer, *, index: int, gold: Sequence[int], data: str) -> LabelPrediction:
        """Return the record of a label, in anybody's spelling."""
        spellings = Spellings(labels=self.labels, aliases=self.aliases, data=data)
        [predicted] = spellings.names(given.predicted)
        expected = spellings.check_gold(given.gold, gold=gold, index=index)
        columns = given.probabilities[0] if given.probabilities else {}
        shares = dict(zip(spellings.names(columns), columns.values(), strict=True))
        if len(shares) < len(columns):
            raise ValueError(f"of {', '.join(columns)}, two columns are the same label")
        return LabelPrediction(
            index=index,
            gold=None if expected is None else expected[0],
            predicted=predicted,
            probabilities=shares,
        )

    def is_right(self, record: LabelPrediction) -> bool | None:
        """Return whether the predicted label is the gold one."""
        return None if record.gold is None else record.predicted == record.gold

    def extent(self, record: LabelPrediction) -> float | None:
        """Return the probability of the predicted label."""
        return record.probabilities.get(record.predicted)

    def shown(self, record: LabelPrediction, row: Mapping[str, Any]) -> Shown:
        """Return both labels."""
        return Shown(extent=how_sure(self.extent(record)), gold=str(record.gold), predicted=record.predicted)


def macro_f1(sums: Array, *, num_labels: int) -> Array:
    """Return the mean F1 of the labels that are predicted or gold, given sums of right ones and of both of each."""
    right, both = sums[..., :num_labels], sums[..., num_labels:]
    there = both > 0
    each = np.divide(2 * right, both, out=np.zeros_like(both), where=there)
    return np.asarray((each / np.maximum(there.sum(axis=-1, keepdims=True), 1)).sum(axis=-1))
