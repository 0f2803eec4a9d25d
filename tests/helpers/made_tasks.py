"""Tasks to make predictions and scores of: those there are, and one of numbers, whose score may be below zero."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr
from transformers import PreTrainedTokenizerFast

from babelfit.rows.encoding import encode_texts
from babelfit.statistics.sums import PLAIN, Array, Counts, Measure, no_sums, ratio
from babelfit.tasks import Classification, MaskedTokens, Tagging, Task
from babelfit.tasks.mistakes import MistakeWords, Shown
from babelfit.tasks.task import TargetAnswers
from babelfit.tasks.text_answers import TextAnswer

NLI = Classification(labels=("entailment", "neutral", "contradiction"), texts=("premise", "hypothesis"))
NER = Tagging(labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"))
TOKENS = MaskedTokens()

ONE, GOLD, SAID, GOLD_SQUARED, SAID_SQUARED, BOTH, SQUARED = range(7)


@dataclass(frozen=True, kw_only=True)
class Rating:
    """How alike two sentences are said to be."""

    index: int
    gold: float | None
    predicted: float

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError for what is no number."""
        if not isinstance(self.predicted, int | float):
            raise ValueError(f"predicted {self.predicted!r} is no number")


def pearson(sums: Array) -> Array:
    """Return Pearson's r of gold and predicted numbers; 0 where one of them does not vary."""
    number, gold, said, gold_squared, said_squared, both = np.moveaxis(sums, -1, 0)
    spread = (number * gold_squared - gold**2) * (number * said_squared - said**2)
    above = number * both - gold * said
    return np.asarray(np.divide(above, np.sqrt(spread), out=np.zeros_like(above), where=spread > 0))


def spearman(rows: Array) -> float:
    """Return Spearman's rank correlation of (gold, predicted)."""
    return float(spearmanr(rows[:, 0], rows[:, 1]).statistic)


class Similarity(Task):
    """Say by a number how alike two sentences are."""

    name = "similarity"
    head = "sequence_classification"
    pipeline = "text-classification"
    gold_type = pa.float32()
    is_exchanged = True
    record = Rating
    mistakes = MistakeWords(wrong="off", first="the farthest first", extent="off by")
    measures = (
        Measure(
            key="pearson", title="Pearson's r", columns=tuple(range(6)), of_sums=pearson, unit=PLAIN, hub="pearsonr",
            meaning="**Pearson's r**: the correlation of predicted and gold numbers; 0 would be chance.",
        ),
        Measure(
            key="spearman", title="Spearman's rho", columns=(GOLD, SAID), of_sums=no_sums, of_rows=spearman,
            unit=PLAIN, hub="spearmanr",
        ),
        Measure(
            key="mse", title="mean squared error", columns=(SQUARED, ONE), of_sums=ratio, unit=PLAIN, better="lower",
            hub="mse",
        ),
    )  # fmt: skip

    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        return encode_texts(table, tokenizer=tokenizer, texts=("sentence1", "sentence2"), max_length=max_length)

    def read_gold(self, table: pa.Table) -> list[list[float]]:
        return [[number] for number in table["label"].to_pylist()]

    def answers(
        self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None
    ) -> TargetAnswers:
        return TargetAnswers(
            indices=indices,
            examples=np.searchsorted(indices, outputs["index"]),
            gold=outputs["gold"],
            predicted=outputs["logits"][:, 0],
        )

    def counts(self, answers: TargetAnswers) -> Counts:
        gold, said = answers.gold, answers.predicted
        columns = (np.ones_like(gold), gold, said, gold**2, said**2, gold * said, (gold - said) ** 2)
        return Counts(indices=answers.indices, rows=np.column_stack(columns))

    def details(self, answers: TargetAnswers) -> dict[str, Any]:
        return {"examples": len(answers.indices)}

    def records(self, answers: TargetAnswers) -> Iterator[Rating]:
        for index, gold, said in zip(answers.indices, answers.gold, answers.predicted, strict=True):
            yield Rating(index=int(index), gold=None if np.isnan(gold) else float(gold), predicted=float(said))

    def read(self, records: Sequence[Rating]) -> TargetAnswers:
        return TargetAnswers(
            indices=np.array([one.index for one in records]),
            examples=np.arange(len(records)),
            gold=np.array([np.nan if one.gold is None else one.gold for one in records]),
            predicted=np.array([one.predicted for one in records], dtype=float),
        )

    def as_text(self, record: Rating) -> TextAnswer:
        gold = None if record.gold is None else [str(record.gold)]
        return TextAnswer(index=record.index, gold=gold, predicted=[str(record.predicted)])

    def is_right(self, record: Rating) -> bool | None:
        return None if record.gold is None else record.predicted == record.gold

    def extent(self, record: Rating) -> float | None:
        return None if record.gold is None else abs(record.predicted - record.gold)

    def shown(self, record: Rating, row: Mapping[str, Any]) -> Shown:
        numbers = (self.extent(record), record.gold, record.predicted)
        extent, gold, predicted = ("" if number is None else PLAIN.text(number) for number in numbers)
        return Shown(extent=extent, gold=gold, predicted=predicted)
