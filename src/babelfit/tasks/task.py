"""What every kind of task says of its examples. The network's part of it is a head (heads/); the facts a dataset's."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from babelfit.batches.ragged import NO_LABEL
from babelfit.errors import UserError
from babelfit.predictions.prediction_files import Record
from babelfit.statistics.sums import Array, Counts, Measure
from babelfit.tasks.mistakes import MistakeWords, Shown
from babelfit.tasks.text_answers import TextAnswer


class Answers(Protocol):
    """What a model answers to examples of one language, beside gold, as arrays."""

    @property
    def indices(self) -> Array:
        """The row of each example within its language's split: (examples,), ascending."""
        ...

    @property
    def has_gold(self) -> Array:
        """Whether an example can be scored: (examples,)."""
        ...

    def with_gold(self) -> Self:
        """Return the examples that can be scored."""
        ...


@dataclass(frozen=True, kw_only=True)
class TargetAnswers:
    """Answers to targets: an example's label or number, or the tags of its words."""

    indices: Array  # (examples,): ascending
    examples: Array  # (targets,): which of the examples, from 0, ascending
    gold: Array  # (targets,): label ids, or numbers; NO_LABEL or NaN where there is none
    predicted: Array  # (targets,)
    confidences: Array | None = None  # (targets,): probabilities of what is predicted, where all are known
    probabilities: Array | None = None  # (targets, labels), where they come from a model

    @cached_property
    def has_gold(self) -> Array:
        """Whether all targets of an example have gold: (examples,)."""
        lacks = np.isnan(self.gold) if np.issubdtype(self.gold.dtype, np.floating) else self.gold == NO_LABEL
        return np.asarray(np.bincount(self.examples, weights=lacks, minlength=len(self.indices)) == 0)

    def with_gold(self) -> "TargetAnswers":
        """Return the examples that have gold."""
        kept = self.has_gold
        targets = kept[self.examples]
        return TargetAnswers(
            indices=self.indices[kept],
            examples=(np.cumsum(kept) - 1)[self.examples[targets]],
            gold=self.gold[targets],
            predicted=self.predicted[targets],
            confidences=None if self.confidences is None else self.confidences[targets],
            probabilities=None if self.probabilities is None else self.probabilities[targets],
        )


class Task(ABC):
    """One kind of task; every class below it is final. Only what a dataset's rows need is given when it is built."""

    name: ClassVar[str]  # in scores/*.json and manifest.json
    head: ClassVar[str]  # the head that learns it, by its name in conf/head
    pipeline: ClassVar[str]  # the Hub's name for it, and that of transformers' pipeline
    gold_type: ClassVar[pa.DataType]  # of one target
    examples_name: ClassVar[str] = "examples"  # what they are called
    target: ClassVar[str] = "examples"  # what is answered one by one, in words
    few_shot: ClassVar[str] = "examples"  # what so many are drawn of in few-shot training, in words
    draws_by_label: ClassVar[bool] = False  # there
    has_one_answer: ClassVar[bool] = True  # an example, which compares with the same item in another language
    compares_languages: ClassVar[bool] = True  # its score in one language compares with that in another
    report_title: ClassVar[str] = "Cross-lingual report"
    reached: ClassVar[str | None] = None  # the share of targets that are not cut off, in words; None: no others
    mistakes: ClassVar[MistakeWords | None] = MistakeWords()  # None: there are none to read
    is_exchanged: ClassVar[bool] = False  # its answers stand as text in other people's files

    labels: tuple[str, ...] = ()  # in the order of their ids; none where targets have no label
    aliases: Mapping[str, str] = {}  # other spellings of labels
    measures: tuple[Measure, ...]  # the first selects checkpoints and measures transfer

    @classmethod
    def with_labels(cls, labels: Sequence[str]) -> Self:
        """Return the task of data that have these labels, as far as scores and predictions need it."""
        return cls()

    @property
    def selecting(self) -> Measure:
        """Return the measure that selects checkpoints; the higher the better."""
        return self.measures[0]

    @property
    def headline(self) -> Measure:
        """Return the measure that tables begin with, and that has an interval."""
        return next(measure for measure in self.measures if measure.shown != "nowhere")

    # From rows to tokens

    def check_tokenizer(self, tokenizer: PreTrainedTokenizerFast) -> None:  # noqa: B027 (most ask for nothing)
        """Set up a tokenizer for this task, in place; raise UserError for one that cannot be used."""

    @abstractmethod
    def encode(self, table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, max_length: int) -> dict[str, Any]:
        """Turn rows into input_ids, token_type_ids where there are any, windows, targets and truncated."""

    @abstractmethod
    def read_gold(self, table: pa.Table) -> list[list[Any]]:
        """Return the gold of each row's targets, as ids or numbers; NO_LABEL or NaN where there is none."""

    def rows_of(self, given: Sequence[Any]) -> pa.Table:
        """Return texts to predict for as rows without gold; raise UserError for what the task does not read."""
        raise UserError(f"{self.name} does not predict for texts given from Python: use transformers' {self.pipeline}")

    def chance(self, gold: Sequence[Array]) -> float | None:
        """Return up to which selecting score nothing was learned, given each language's gold; None: not known."""
        return None

    def selection_in_words(self, score: float) -> str:
        """Return the score that selected a checkpoint, as the reports say it."""
        return self.selecting.unit.text(score)

    # From a model's outputs to scores

    @abstractmethod
    def answers(self, outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None = None) -> Answers:
        """Return what a head's outputs answer to the examples with these indices, ascending.

        Outputs are those of targets, with their `gold` and the `index` of their example, by which they are in order.
        `order` says which output of the model each label is, where that is not its id.
        """

    @abstractmethod
    def counts(self, answers: Any) -> Counts:
        """Return what each example adds to the measures, given those with gold."""

    @abstractmethod
    def details(self, answers: Any) -> dict[str, Any]:
        """Return what scores/*.json says of a language besides its measures, given the examples with gold."""

    # Prediction files

    record: ClassVar[type[Any]]  # a Record

    @abstractmethod
    def records(self, answers: Any) -> Iterable[Record]:
        """Yield the line of each example in a prediction file."""

    @abstractmethod
    def read(self, records: Sequence[Any]) -> Answers:
        """Return the answers that the lines of a prediction file hold, in order of index."""

    # Other people's files

    def as_text(self, record: Any) -> TextAnswer:
        """Return what a file of text says of an example, given its record."""
        raise NotImplementedError(f"{self.name} is neither imported nor exported")

    def from_text(self, given: TextAnswer, *, index: int, gold: Sequence[Any], data: str) -> Record:
        """Return the record of an example's prediction in a text file.

        `gold` is that of its targets, as `read_gold` returns it, and `data` names the dataset, for messages. Raise
        ValueError for an answer that the task does not have, and for what does not fit the gold.
        """
        raise NotImplementedError(f"{self.name} is neither imported nor exported")

    # Mistakes to read

    @abstractmethod
    def is_right(self, record: Any) -> bool | None:
        """Return whether a record predicts what is gold; None where it has no gold."""

    @abstractmethod
    def extent(self, record: Any) -> float | None:
        """Return how wrong a wrong record is, for mistakes to be in order of; None where that is not known."""

    @abstractmethod
    def shown(self, record: Any, row: Mapping[str, Any]) -> Shown:
        """Return how a record is shown beside the text of its row, which may be gone."""
