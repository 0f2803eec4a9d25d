"""Prediction files: one JSON record per example, `predictions/<split>/<language>.jsonl`. Knows no model and no score.

Labels are names, so that anybody's predictions can be scored and read; `index` is the 0-based row in the language's
split as it came. An example of tagging is a sentence, and its record has an entry per word.
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from babelfit.batches.ragged import NO_LABEL, Array
from babelfit.errors import UserError
from babelfit.files import atomic_files


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of one example; `gold` is None where the row has no label."""

    index: int
    gold: str | None
    predicted: str
    probabilities: Mapping[str, float]  # of every label; none where they are not known


@dataclass(frozen=True, kw_only=True)
class TagPrediction:
    """What a model says of the words of one sentence; `gold` is None where the sentence has no tags."""

    index: int
    gold: Sequence[str] | None
    predicted: Sequence[str]
    probabilities: Sequence[float]  # of the predicted tags; none where they are not known


@dataclass(frozen=True, kw_only=True)
class MaskedPrediction:
    """How well a model guesses the masked tokens of one example: how many, how many right, summed over all of them."""

    index: int
    masked: int
    right: int
    nll: float  # negative log-likelihood in nats
    inactive: int = 0  # besides, masked tokens that a model with an active vocabulary does not have


AnyPrediction = Prediction | TagPrediction
Record = TypeVar("Record", bound=AnyPrediction | MaskedPrediction)


def path(folder: Path, *, split: str, language: str) -> Path:
    """Name the file of one language's predictions in a run folder."""
    return folder / "predictions" / split / f"{language}.jsonl"


def languages(folder: Path, *, split: str) -> list[str]:
    """List the languages of a split that have predictions in a run folder."""
    found = sorted(file.stem for file in (folder / "predictions" / split).glob("*.jsonl"))
    for language in found:
        # Somebody else's file names: they are printed, and become part of paths.
        if not re.fullmatch(r"[A-Za-z0-9-]+", language):
            raise UserError(f"{folder}/predictions/{split}: {language!r} is no language code; move this file away")
    return found


def write(file: Path, records: Iterable[AnyPrediction | MaskedPrediction]) -> None:
    """Write a prediction file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as lines:
        for record in records:
            lines.write(json.dumps(_rounded(asdict(record)), ensure_ascii=False) + "\n")
    atomic_files.rename(temporary, file)


def _rounded(value: Any) -> Any:
    """Round all numbers that are not whole."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value


def record(columns: Mapping[str, Array], rows: Array, *, label_names: Sequence[str], per_word: bool) -> AnyPrediction:
    """Make a record of the targets of one example, given which rows of index, gold and probabilities they are."""
    index = int(columns["index"][rows[0]])
    probabilities = columns["probabilities"][rows]  # (targets, labels)
    predicted = [label_names[label] for label in probabilities.argmax(1)]
    labels = columns["gold"][rows]
    gold = None if (labels == NO_LABEL).any() else [label_names[label] for label in labels]
    if per_word:
        return TagPrediction(index=index, gold=gold, predicted=predicted, probabilities=probabilities.max(1).tolist())
    return Prediction(
        index=index,
        gold=None if gold is None else gold[0],
        predicted=predicted[0],
        probabilities=dict(zip(label_names, probabilities[0].tolist(), strict=True)),
    )


def read(
    file: Path,
    kind: type[Record],
    *,
    label_names: Sequence[str],
    num_examples: int | None = None,
    dropped: Collection[int] = (),
) -> list[Record]:
    """Read a prediction file, in order of index.

    Raises UserError, with the line, for what is no record, for a label that the data do not have, and for an example
    that is predicted twice or left out. `dropped` are the rows that are no examples; `num_examples` is how many there
    are, where that is known.
    """
    records: dict[int, Record] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            one = _read(line, kind, label_names=label_names, where=f"{file}, line {number}")
            if one.index in records:
                raise UserError(f"{file}, line {number}: index {one.index} stands twice; each example counts once")
            records[one.index] = one
    if not records:
        raise UserError(f"{file} holds no predictions")
    for index in range(max(records)):
        if index not in records and index not in dropped:
            raise UserError(f"{file}: no prediction for index {index}; every example counts once")
    if num_examples is not None and len(records) != num_examples:
        raise UserError(
            f"{file}: {len(records):,} predictions for {num_examples:,} examples; every example counts once. Delete "
            "the file and evaluate again: it is predicted anew"
        )
    return [records[index] for index in sorted(records)]


def _read(line: bytes, kind: type[Record], *, label_names: Sequence[str], where: str) -> Record:
    try:
        values: Any = json.loads(line)
        record = kind(**values)
    except (ValueError, TypeError, RecursionError) as error:
        expected = ", ".join(f'"{field.name}"' for field in fields(kind) if field.default is MISSING)
        raise UserError(f"{where}: no prediction ({error}); expected {{{expected}}}") from error
    if type(record.index) is not int or record.index < 0:
        raise UserError(f"{where}: index {record.index!r} is no row number; expected 0 or more")
    if isinstance(record, MaskedPrediction):
        _check_counts(record, where=where)
    elif isinstance(record, TagPrediction):
        _check_tags(record, label_names=label_names, where=where)
    else:
        _check_labels(record, label_names=label_names, where=where)
    return record


def _check_labels(record: Prediction, *, label_names: Sequence[str], where: str) -> None:
    for key, allowed in (("gold", [*label_names, None]), ("predicted", label_names)):
        if (name := getattr(record, key)) not in allowed:
            raise UserError(f"{where}: {key} {name!r} is no label; expected one of {', '.join(label_names)}")
    shares = record.probabilities
    if not isinstance(shares, dict) or not all(
        name in label_names and _is_share(share) for name, share in shares.items()
    ):
        raise UserError(f"{where}: probabilities {shares!r} are not a share from 0 to 1 for labels of the data")


def _check_tags(record: TagPrediction, *, label_names: Sequence[str], where: str) -> None:
    for key in ("gold", "predicted"):
        tags = getattr(record, key)
        if tags is None and key == "gold":
            continue
        if not isinstance(tags, list) or not tags:
            raise UserError(f"{where}: {key} {tags!r} is no list of tags, one a word")
        for tag in tags:
            if tag not in label_names:
                raise UserError(f"{where}: {key} {tag!r} is no tag; expected one of {', '.join(label_names)}")
    words = len(record.predicted)
    if record.gold is not None and len(record.gold) != words:
        raise UserError(f"{where}: {words} predicted tags for {len(record.gold)} gold ones; every word counts once")
    shares = record.probabilities
    if shares == []:
        return  # not known
    if not isinstance(shares, list) or len(shares) != words or not all(_is_share(share) for share in shares):
        raise UserError(f"{where}: probabilities are not {words} shares from 0 to 1, one a word")


def _check_counts(record: MaskedPrediction, *, where: str) -> None:
    counts = (record.masked, record.right, record.inactive)
    if any(type(count) is not int or count < 0 for count in counts) or record.right > record.masked:
        raise UserError(f"{where}: {record.right!r} right of {record.masked!r} masked tokens are no counts of them")
    if not isinstance(record.nll, int | float) or not 0 <= record.nll < math.inf:
        raise UserError(f"{where}: nll {record.nll!r} is no negative log-likelihood; expected 0 or more")


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1
