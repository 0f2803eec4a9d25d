"""Predictions in other people's files: XTREME's submissions and plain TSV. Knows formats, and no folder of ours.

XTREME (Hu et al. 2020, README of google-research/xtreme, "Leaderboard Submission"): `test-LL.tsv` a language, a line a
row with the predicted label alone; of tagging a line a word, and an empty line after each sentence. Plain TSV has a
header and an index: `index gold predicted` and a column of probabilities a label; of tagging `index gold predicted
probability`, a line a word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from babelfit.errors import UserError
from babelfit.files.shapes import MOST_DIGITS
from babelfit.predictions.prediction_files import AnyPrediction, Prediction, TagPrediction
from babelfit.rows.readers import lines

XTREME, TSV = "xtreme", "tsv"

COLUMNS = ("index", "gold", "predicted")
PROBABILITY = "probability"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What a file says of one row: labels as the file spells them, one, or one a word."""

    where: str  # file and line, for messages
    index: int | None  # None: by place
    gold: Sequence[str] | None
    predicted: Sequence[str]
    probabilities: Mapping[str, float] | Sequence[float]


def read(file: Path, *, format: str, per_word: bool) -> list[Spoken]:
    """Read what a file says of each row; raises UserError with file and line for what is in another format."""
    rows = _read_tsv(file, per_word=per_word) if format == TSV else _read_xtreme(file, per_word=per_word)
    if not rows:
        raise UserError(f"{file} holds no predictions")
    return rows


def _read_xtreme(file: Path, *, per_word: bool) -> list[Spoken]:
    rows: list[list[str]] = []
    starts: list[int] = []
    is_open, blank = False, 0
    for number, line in lines(file):
        label = line.strip()
        if not label:
            # One ends a sentence; more are allowed at the end of a file alone.
            blank = 0 if is_open else blank or number
            is_open = False
            continue
        if blank:
            raise UserError(f"{file}, line {blank}: empty line; expected a label")
        if "\t" in label:
            raise UserError(
                f"{file}, line {number}: {label!r} has several columns; XTREME's files have the predicted label alone. "
                "With a header and an index it is --format tsv"
            )
        if not is_open:
            rows.append([])
            starts.append(number)
        rows[-1].append(label)
        is_open = per_word
    return [
        Spoken(where=f"{file}, line {start}", index=None, gold=None, predicted=row, probabilities=[])
        for start, row in zip(starts, rows, strict=True)
    ]


def _read_tsv(file: Path, *, per_word: bool) -> list[Spoken]:
    header: list[str] = []
    found: list[tuple[str, dict[str, str]]] = []
    for number, line in lines(file):
        fields = line.split("\t")
        if not header:
            header = fields
            if tuple(header[:3]) != COLUMNS or len(set(header)) < len(header):
                raise UserError(f"{file}, line 1: {line!r} is no header; expected {' TAB '.join(COLUMNS)}, and more")
            continue
        if len(fields) != len(header):
            raise UserError(f"{file}, line {number}: {len(fields)} columns; expected {len(header)}, as in the header")
        found.append((f"{file}, line {number}", dict(zip(header, fields, strict=True))))
    grouped = groupby(found, key=lambda one: one[1]["index"]) if per_word else ((None, [one]) for one in found)
    return [_spoken([*words], per_word=per_word) for _, words in grouped]


def _spoken(words: Sequence[tuple[str, Mapping[str, str]]], *, per_word: bool) -> Spoken:
    where, first = words[0]
    if not first["index"].isdecimal() or len(first["index"]) > MOST_DIGITS:
        raise UserError(f"{where}: index {first['index'][:40]!r} is no row number; expected 0 or more")
    gold = [fields["gold"] for _, fields in words]
    if any(gold) != all(gold):
        raise UserError(f"{where}: of some words there is gold, of some there is none")
    shares = {name: share for name, share in first.items() if name not in COLUMNS}
    try:
        probabilities: Mapping[str, float] | Sequence[float] = {name: float(share) for name, share in shares.items()}
        if per_word:
            probabilities = [float(fields[PROBABILITY]) for _, fields in words] if PROBABILITY in shares else []
    except ValueError as error:
        raise UserError(f"{where}: a probability is no number ({error})") from error
    for share in probabilities.values() if isinstance(probabilities, Mapping) else probabilities:
        if not 0 <= share <= 1:
            raise UserError(f"{where}: probability {share} is not a share from 0 to 1")
    return Spoken(
        where=where,
        index=int(first["index"]),
        gold=gold if all(gold) else None,
        predicted=[fields["predicted"] for _, fields in words],
        probabilities=probabilities,
    )


def laid_out(
    records: Sequence[AnyPrediction], *, format: str, spellings: Mapping[str, str], num_rows: int | None, where: Path
) -> str:
    """Lay out the predictions of one file, in order of index.

    `spellings` is how XTREME's files spell labels, `num_rows` how many rows the data have, None where nobody knows,
    `where` the file for messages. Raises UserError for a row without prediction, which a file without index cannot
    leave out.
    """
    if format == TSV:
        return _tsv(records)
    if num_rows is None:
        raise UserError(
            f"{where}: nobody knows how many rows the data have (manifest.json does not say), and XTREME's files have "
            "a line for every row: evaluate again, or use --format tsv, which has an index"
        )
    there = {record.index for record in records}
    missing = next((row for row in range(num_rows) if row not in there), None)
    if missing is not None:
        raise UserError(
            f"{where}: {num_rows - len(there):,} rows have no prediction, the first is row {missing} (dropped, or "
            "behind a limit), and XTREME's files have a line for every row: use --format tsv, which has an index"
        )
    return "".join(_xtreme_lines(record, spellings=spellings) for record in records)


def _xtreme_lines(record: AnyPrediction, *, spellings: Mapping[str, str]) -> str:
    if isinstance(record, Prediction):
        return f"{spellings.get(record.predicted, record.predicted)}\n"
    return "".join(f"{spellings.get(tag, tag)}\n" for tag in record.predicted) + "\n"


def _tsv(records: Sequence[AnyPrediction]) -> str:
    rows: list[Sequence[str]] = []
    if isinstance(records[0], Prediction):
        # Of all rows or of none: whoever reads a column expects a number in every line.
        names = list(records[0].probabilities)
        if any(set(record.probabilities) != set(names) for record in records if isinstance(record, Prediction)):
            names = []
        header = [*COLUMNS, *names]
        for record in records:
            assert isinstance(record, Prediction)
            shares = [str(record.probabilities[name]) for name in names]
            rows.append([str(record.index), record.gold or "", record.predicted, *shares])
    else:
        is_known = all(record.probabilities for record in records)
        header = [*COLUMNS, *([PROBABILITY] if is_known else [])]
        for record in records:
            assert isinstance(record, TagPrediction)
            for word, tag in enumerate(record.predicted):
                gold = "" if record.gold is None else record.gold[word]
                shares = [str(record.probabilities[word])] if is_known else []
                rows.append([str(record.index), gold, tag, *shares])
    return "".join("\t".join(row) + "\n" for row in [header, *rows])
