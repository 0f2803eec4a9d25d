"""scores/<split>.json as typed values: what it says, and how it is written and read. Computes nothing.

A field with a default is left out of the file where it has that. Of other people's files only what is named here is
taken, and nothing that is not of its type.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from babelfit.errors import UserError
from babelfit.files import atomic_files, documents
from babelfit.files.documents import Count, Number, Word
from babelfit.files.untrusted_files import inside
from babelfit.scoring import schema_1
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.tables import Calibration, Confusion, Consistency, Share

SCHEMA = 2

Interval = Annotated[list[Number], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, kw_only=True)
class LanguageScores:
    """One language's scores; in the file, `values` stand beside the other fields, each under its measure's key."""

    values: dict[str, Number]
    examples: Count
    words: Count | None = None
    masked: Count | None = None
    inactive: Count | None = None
    unlabelled: Count | None = None
    interval: Interval | None
    ece: Share = None
    calibration: Calibration | None = None
    confusion: Confusion | None = None


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The target language with the lowest score."""

    language: Word
    score: Number


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Transfer numbers; None where they are undefined."""

    source: Number | None
    target_mean: Number | None
    mean: Number | None
    gap: Number | None
    retention: Number | None
    worst: Worst | None
    intervals: dict[str, Interval | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Target languages that have something in common."""

    languages: list[Word]
    mean: Number
    interval: Interval | None
    gap: Number | None


@dataclass(frozen=True, kw_only=True)
class SizeCorrelation:
    """How score and size in the pretraining corpus go together."""

    spearman: Number
    p: float | None = None
    languages: Count


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups of target languages by family, by script and by size in the pretraining corpus."""

    family: dict[str, Group] = field(default_factory=dict)
    script: dict[str, Group] = field(default_factory=dict)
    pretraining: dict[str, Group] = field(default_factory=dict)
    size_correlation: SizeCorrelation | None

    def by(self, grouping: str) -> dict[str, Group]:
        """Return the groups of one grouping."""
        found: dict[str, Group] = getattr(self, grouping)
        return found


@dataclass(frozen=True, kw_only=True)
class Resamples:
    """What intervals are made of."""

    number: Count
    of: str


@dataclass(frozen=True, kw_only=True)
class Contaminated:
    """Which languages' scores measure nothing, and why."""

    languages: list[Word]
    why: str


@dataclass(frozen=True, kw_only=True)
class FewShotNote:
    """How few examples of which target languages were trained on."""

    k: Count
    languages: list[Word] | None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The scores of one split. Scores are fractions of 1 where their unit is percent."""

    schema: int
    data: str
    task: str
    labels: list[str]
    parallel: bool
    measures: list[MeasureFacts]
    synthetic: bool = False
    contaminated: Contaminated | None = None
    regime: str | None = None
    few_shot: FewShotNote | None = None
    few_shot_unit: str = "examples"
    examples_name: str = "examples"
    split: Word
    metric: str
    source_languages: list[Word]
    vocabulary: str | None = None
    languages: Annotated[dict[Word, LanguageScores], Field(min_length=1)]
    unscored_languages: list[Word] = field(default_factory=list)
    transfer: Transfer | None = None
    resamples: Resamples | None = None
    groups: Groups | None = None
    consistency: Consistency | None = None
    not_parallel: str | None = None

    @property
    def measure(self) -> MeasureFacts:
        """Return the measure that selects checkpoints and measures transfer."""
        return next(one for one in self.measures if one.key == self.metric)

    @property
    def headline(self) -> MeasureFacts:
        """Return the measure that tables begin with, and that has an interval."""
        return next(one for one in self.measures if one.shown != "nowhere")

    @property
    def main(self) -> dict[str, float]:
        """Return each language's score in the measure that selects."""
        return {language: scores.values[self.metric] for language, scores in self.languages.items()}

    @property
    def calibrated(self) -> bool:
        """Whether any language has a calibration error."""
        return any(scores.ece is not None for scores in self.languages.values())


def write(scores: Scores, folder: Path) -> None:
    """Write the scores of one split into a run folder."""
    file = inside(folder, "scores", f"{scores.split}.json")
    file.parent.mkdir(exist_ok=True)
    atomic_files.write_text(file, json.dumps(as_document(scores), indent=2) + "\n")


def as_document(scores: Scores) -> dict[str, Any]:
    """Return scores as they stand in a file."""
    document: dict[str, Any] = documents.dumped(scores)
    for language, values in document["languages"].items():
        document["languages"][language] = {**values.pop("values"), **values}
    return document


def read_all(folder: Path) -> list[Scores]:
    """Read the scores of every split in a run folder; raise UserError for a file that holds none, or of other data."""
    found = {file: read(file) for file in sorted((folder / "scores").glob("*.json"))}
    for file, scores in found.items():
        first = next(iter(found.values()))
        if (scores.data, scores.task) != (first.data, first.task):
            raise UserError(
                f"{file} has scores of {scores.data!r} ({scores.task}), and {next(iter(found))} those of "
                f"{first.data!r} ({first.task}): a folder is of one dataset; move the one that is not its own away"
            )
    return [*found.values()]


def read(file: Path) -> Scores:
    """Return the scores of one split; raise UserError, with what is wrong, where the file is malformed."""
    try:
        scores = from_document(documents.loads(file.read_text(encoding="utf-8")))
        if scores.split != file.stem:
            raise ValueError(f"split is {scores.split!r}, and the file's name {file.stem!r}")
        return scores
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} holds no scores ({error}): delete it, and evaluating again writes it anew") from error


def from_document(document: Any) -> Scores:
    """Return the scores in a document; raise ValueError where it is malformed, or of an unknown schema."""
    if not isinstance(document, Mapping):
        raise ValueError(f"it is {str(document)[:40]!r}")
    if document.get("schema") == 1:
        document = schema_1.upgraded(document)
    if document.get("schema") != SCHEMA:
        raise ValueError(f"schema {document.get('schema')} is not known here")
    measures = documents.parsed(list[MeasureFacts], document.get("measures"), where="measures")
    languages = document.get("languages")
    if not isinstance(languages, Mapping):
        raise ValueError(f"languages is {str(languages)[:40]!r}")
    nested = {language: _with_values(values, measures) for language, values in languages.items()}
    scores = documents.parsed(Scores, {**document, "languages": nested}, where="it")
    keys = [measure.key for measure in scores.measures]
    if scores.metric not in keys:
        raise ValueError(f"metric {scores.metric!r} is not one of its measures {', '.join(keys)}")
    for language, given in scores.languages.items():
        if missing := [key for key in keys if key not in given.values]:
            raise ValueError(f"languages.{language} has no {missing[0]}")
    if all(measure.shown == "nowhere" for measure in scores.measures):
        raise ValueError("none of its measures is shown")
    return scores


def _with_values(values: Any, measures: Sequence[MeasureFacts]) -> Any:
    if not isinstance(values, Mapping):
        return values
    return {**values, "values": {one.key: values[one.key] for one in measures if one.key in values}}
