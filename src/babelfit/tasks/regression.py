"""Regression: one number for a text, or for a pair of texts, such as how alike two sentences are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr
from transformers import PreTrainedTokenizerFast

from babelfit.rows.encoding import encode_texts
from babelfit.rows.given import rows_of_texts
from babelfit.rows.readers import LABEL
from babelfit.statistics.sums import PLAIN, Array, Counts, Measure, no_sums, ratio
from babelfit.tasks.mistakes import MistakeWords, Shown
from babelfit.tasks.task import TargetAnswers, Task
from babelfit.tasks.text_answers import TextAnswer

ONE, GOLD, PREDICTED, GOLD_SQUARED, PREDICTED_SQUARED, PRODUCT, ERROR_SQUARED = range(7)
"""Columns of an example's counts."""

ROUNDING = 1e-12
"""A variance below this share of its numbers' mean square is that of equal numbers."""


@dataclass(frozen=True, kw_only=True)
class NumberPrediction:
    """What a model says of one example; `gold` is None where the row has no number."""

    index: int
    gold: float | None
    predicted: float

    def check(self, labels: Sequence[str]) -> None:
        """Raise ValueError for anything but a finite number."""
        for key, value in (("gold", self.gold), ("predicted", self.predicted)):
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number and (key, value) != ("gold", None):
                raise ValueError(f"{key} {value!r} is not a number")


def pearson(sums: Array) -> Array:
    """Return Pearson's r of the sums (1, x, y, x2, y2, xy); 0 where x or y does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    varies = [count * squares - total**2 for squares, total in ((xx, x), (yy, y))]
    is_known = (varies[0] > ROUNDING * count * xx) & (varies[1] > ROUNDING * count * yy)
    scale = np.sqrt(np.where(is_known, varies[0] * varies[1], 1.0))
    return np.asarray(np.where(is_known, (count * xy - x * y) / scale, 0.0))


def spearman(rows: Array) -> float:
    """Return Spearman's rho of two columns; 0 where one of them does not vary."""
    if len(rows) < 2 or any(len(set(column)) == 1 for column in rows.T.tolist()):
        return 0.0
    return float(spearmanr(rows).statistic)


class Regression(Task):
    """Predict a number for each example; scored by Pearson's r with gold, Spearman's rho and mean squared error."""

    name = "regression"
    head = "sequence_regression"
    pipeline = "text-classification"
    gold_type = pa.float32()
    is_exchanged = True
    record = NumberPrediction
    mistakes = MistakeWords(wrong="off", first="the farthest first", extent="off by")
    measures = (
        Measure(
            key="pearson",
            title="Pearson's r",
            columns=(ONE, GOLD, PREDICTED, GOLD_SQUARED, PREDICTED_SQUARED, PRODUCT),
            of_sums=pearson,
            unit=PLAIN,
            hub="pearsonr",
            meaning="**Pearson's r** is how predicted and gold numbers correlate; 1 would be perfect, 0 is chance.",
        ),
        Measure(
            key="spearman",
            title="Spearman's rho",
            columns=(GOLD, PREDICTED),
            of_sums=no_sums,
            of_rows=spearman,
            unit=PLAIN,
            hub="spearmanr",
            meaning="**Spearman's rho** is the same of their ranks.",
        ),
        Measure(
            key="mse",
            title="mean squared error",
            columns=(ERROR_SQUARED, ONE),
            of_sums=ratio,
            unit=PLAIN,
            better="lower",
            hub="mse",
        ),
    )

    def __init__(self, *, texts: Sequence[str] = ()) -> None:
        """Take the columns of the texts."""
        self.texts = tuple(texts)

    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        """Encode the texts of each row as one sequence."""
        return encode_texts(table, tokenizer=tokenizer, texts=self.texts, max_length=max_length)

    def read_gold(self, table: pa.Table) -> list[list[float]]:
        """Return each row's number."""
        return [[math.nan if number is None else number] for number in table[LABEL].to_pylist()]

    def rows_of(self, given: Sequence[Any]) -> pa.Table:
        """Return texts, or pairs of them, as rows."""
        return rows_of_texts(given, columns=self.texts)

    def chance(self, gold: Sequence[Array]) -> float:
        """Return the highest r that is no better than none: two standard errors of 0, the mean over languages."""
        return float(np.mean([2 / math.sqrt(len(numbers)) for numbers in gold]))

    def answers(
        self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None
    ) -> TargetAnswers:
        """Return the number of each example."""
        return TargetAnswers(
            indices=indices,
            examples=np.searchsorted(indices, outputs["index"]),
            gold=outputs["gold"].astype(np.float64),
            predicted=outputs["value"].astype(np.float64),
        )

    def counts(self, answers: TargetAnswers) -> Counts:
        """Return for each example 1, both numbers, their squares and product, and the square of their difference."""
        gold, predicted = answers.gold, answers.predicted
        columns = (
            np.ones_like(gold), gold, predicted, gold**2, predicted**2, gold * predicted, (predicted - gold) ** 2
        )  # fmt: skip
        return Counts(indices=answers.indices, rows=np.column_stack(columns))

    def details(self, answers: TargetAnswers) -> dict[str, Any]:
        """Return the number of examples."""
        return {"examples": len(answers.indices)}

    def records(self, answers: TargetAnswers) -> Iterator[NumberPrediction]:
        """Yield the prediction of each example."""
        columns = (answers.indices.tolist(), answers.gold.tolist(), answers.predicted.tolist())
        for index, gold, predicted in zip(*columns, strict=True):
            yield NumberPrediction(index=index, gold=None if math.isnan(gold) else gold, predicted=predicted)

    def read(self, records: Sequence[NumberPrediction]) -> TargetAnswers:
        """Return the answers of records."""
        return TargetAnswers(
            indices=np.array([one.index for one in records]),
            examples=np.arange(len(records)),
            gold=np.array([math.nan if one.gold is None else one.gold for one in records], dtype=np.float64),
            predicted=np.array([one.predicted for one in records], dtype=np.float64),
        )

    def as_text(self, record: NumberPrediction) -> TextAnswer:
        """Return the number."""
        gold = None if record.gold is None else [str(record.gold)]
        return TextAnswer(index=record.index, gold=gold, predicted=[str(record.predicted)])

    def from_text(self, given: TextAnswer, *, index: int, gold: Sequence[float], data: str) -> NumberPrediction:
        """Return the record of a number."""
        [predicted], [expected] = map(_number, given.predicted), gold
        for said in map(_number, given.gold or ()):
            if not math.isnan(expected) and not math.isclose(said, expected, rel_tol=1e-6):
                raise ValueError(f"gold {said:g} is {expected:g} in the data, row {index}")
        return NumberPrediction(index=index, gold=None if math.isnan(expected) else expected, predicted=predicted)

    def is_right(self, record: NumberPrediction) -> bool | None:
        """Return whether the predicted number is the gold one."""
        return None if record.gold is None else record.predicted == record.gold

    def extent(self, record: NumberPrediction) -> float | None:
        """Return how far the predicted number is from the gold one."""
        return None if record.gold is None else abs(record.predicted - record.gold)

    def shown(self, record: NumberPrediction, row: Mapping[str, Any]) -> Shown:
        """Return both numbers, and how far they are apart."""
        numbers = (self.extent(record), record.gold, record.predicted)
        extent, gold, predicted = ("" if number is None else PLAIN.text(number) for number in numbers)
        return Shown(extent=extent, gold=gold, predicted=predicted)


def _number(text: str) -> float:
    """Return the number that a text is; raise ValueError for another text."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number")
    return number
