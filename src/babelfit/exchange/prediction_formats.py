"""Predictions in other people's files: XTREME's submissions and plain TSV. Knows formats, no task, no folder of ours.

XTREME (Hu et al. 2020, README of google-research/xtreme, "Leaderboard Submission"): `test-LL.tsv` a language, a line a
row with the predicted label alone; of tagging a line a word, and an empty line after each sentence. Plain TSV has a
header and an index: `index gold predicted` and a column of probabilities a label; of tagging `index gold predicted
probability`, a line a word.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path

from babelfit.errors import UserError
from babelfit.files.documents import MOST_DIGITS
from babelfit.rows.readers import lines
from babelfit.tasks.text_answers import PROBABILITY, TextAnswer

XTREME, TSV = "xtreme", "tsv"

COLUMNS = ("index", "gold", "predicted")


def read(file: Path, *, format: str, has_one_answer: bool) -> list[TextAnswer]:
    """Return what a file says of each row, one answer or one per word.

    Raise UserError with file and line where the format is another.
    """
    read_format = _read_tsv if format == TSV else _read_xtreme
    rows = read_format(file, has_one_answer=has_one_answer)
    if not rows:
        raise UserError(f"{file} holds no predictions")
    return rows


def _read_xtreme(file: Path, *, has_one_answer: bool) -> list[TextAnswer]:
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
                "For files with a header and an index, choose --format tsv"
            )
        if not is_open:
            rows.append([])
            starts.append(number)
        rows[-1].append(label)
        is_open = not has_one_answer
    return [
        TextAnswer(where=f"{file}, line {start}", index=None, gold=None, predicted=row)
        for start, row in zip(starts, rows, strict=True)
    ]


def _read_tsv(file: Path, *, has_one_answer: bool) -> list[TextAnswer]:
    header: list[str] = []
    found: list[tuple[str, dict[str, str]]] = []
    for number, line in lines(file):
        fields = line.split("\t")
        if not header:
            header = fields
            if tuple(header[:3]) != COLUMNS or len(set(header)) < len(header):
                raise UserError(f"{file}, line 1: {line!r} is not a header; expected {' TAB '.join(COLUMNS)}, and more")
            continue
        if len(fields) != len(header):
            raise UserError(f"{file}, line {number}: {len(fields)} columns; expected {len(header)}, as in the header")
        found.append((f"{file}, line {number}", dict(zip(header, fields, strict=True))))
    further = header[len(COLUMNS) :]
    if has_one_answer:
        return [_text_answer([one], further=further, kept=further) for one in found]
    kept = [name for name in further if name == PROBABILITY]
    rows = groupby(found, key=lambda one: one[1]["index"])
    return [_text_answer([*words], further=further, kept=kept) for _, words in rows]


def _text_answer(
    answers: Sequence[tuple[str, Mapping[str, str]]], *, further: Sequence[str], kept: Sequence[str]
) -> TextAnswer:
    """Read the lines of one row, whose further columns are numbers, of which some are kept."""
    where, first = answers[0]
    if not first["index"].isdecimal() or len(first["index"]) > MOST_DIGITS:
        raise UserError(f"{where}: index {first['index'][:40]!r} is not a row number; expected 0 or more")
    gold = [fields["gold"] for _, fields in answers]
    if any(gold) != all(gold):
        raise UserError(f"{where}: some words have gold and some have none")
    try:
        numbers = [{name: float(fields[name]) for name in further} for _, fields in answers]
    except ValueError as error:
        raise UserError(f"{where}: a probability is not a number ({error})") from error
    probabilities = [{name: theirs[name] for name in kept} for theirs in numbers]
    for share in chain(*(shares.values() for shares in probabilities)):
        if not 0 <= share <= 1:
            raise UserError(f"{where}: probability {share} is not a share from 0 to 1")
    return TextAnswer(
        where=where,
        index=int(first["index"]),
        gold=gold if all(gold) else None,
        predicted=[fields["predicted"] for _, fields in answers],
        probabilities=probabilities if kept else (),
    )


def xtreme(
    answers: Sequence[TextAnswer],
    *,
    has_one_answer: bool,
    spellings: Mapping[str, str],
    num_rows: int | None,
    where: Path,
) -> str:
    """Lay out the predictions of one file as XTREME does, in order of index.

    `spellings` is how its files spell labels, `num_rows` how many rows the data have, None where nobody knows, `where`
    the file for messages. Raise UserError for a row without prediction, which a file without index cannot leave out.
    """
    if num_rows is None:
        raise UserError(
            f"{where}: the number of rows in the data is unknown (manifest.json does not say), and XTREME's files have "
            "a line for every row: evaluate again, or use --format tsv, which has an index"
        )
    there = {answer.index for answer in answers}
    missing = next((row for row in range(num_rows) if row not in there), None)
    if missing is not None:
        raise UserError(
            f"{where}: {num_rows - len(there):,} rows have no prediction, the first is row {missing} (dropped, or "
            "behind a limit), and XTREME's files have a line for every row: use --format tsv, which has an index"
        )
    rows = ("".join(f"{spellings.get(text, text)}\n" for text in answer.predicted) for answer in answers)
    return ("" if has_one_answer else "\n").join([*rows, ""])


def tsv(answers: Sequence[TextAnswer]) -> str:
    """Lay out the predictions of one file as plain TSV."""
    shares = [answer.probabilities or [{}] * len(answer.predicted) for answer in answers]
    # Of all rows or of none: whoever reads a column expects a number in every line.
    columns = list(shares[0][0])
    if any(set(one) != set(columns) for theirs in shares for one in theirs):
        columns = []
    rows = [[*COLUMNS, *columns]]
    for answer, theirs in zip(answers, shares, strict=True):
        gold = answer.gold or [""] * len(answer.predicted)
        for label, predicted, one in zip(gold, answer.predicted, theirs, strict=True):
            rows.append([str(answer.index), label, predicted, *(str(one[name]) for name in columns)])
    return "".join("\t".join(row) + "\n" for row in rows)
