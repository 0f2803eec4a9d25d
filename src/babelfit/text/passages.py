"""Read files of text as a stream of documents, each a list of sentences; of parallel files, each a pair of sentences.

Nothing is held but the document that is read. A sentence is what stands in a line, be it one or a whole paragraph. Not
for finding files, and not for tokens.
"""

import gzip
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from babelfit.errors import UserError
from babelfit.text.corpus import Corpus

LOOKED_AT = 10_000
"""Lines of plain text that are looked at to see whether blank ones part documents; else each line is one of its own."""

MOST_LINES = 10_000
"""Lines after which a document ends in any case, so that it can be held in memory."""

LONGEST_HEADER = 1 << 16

_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_ROWS = 1024


@dataclass(kw_only=True)
class Reading:
    """How text is to be read, and what was met on the way."""

    text: str  # the column of text, in JSONL and parquet
    language: str  # that of the language
    skips_undecodable: bool
    progress: Callable[[int], object]
    counts: dict[str, int] = field(default_factory=lambda: {"lines": 0, "blank": 0, "undecodable": 0})


def documents(corpus: Corpus, reading: Reading) -> Iterator[list[str]]:
    """Yield the documents of a corpus in its language; raises UserError with file and line for what is malformed."""
    if corpus.form == "text":
        return _plain(corpus.paths[0], reading)
    if corpus.form == "tsv":
        return _columns(corpus, reading)
    if corpus.form == "moses":
        return _sides(corpus.paths, reading)
    return _rows(corpus, reading)


def languages(corpus: Corpus, reading: Reading) -> list[str]:
    """List the languages that a file's column of them names."""
    read = _json_rows if corpus.form == "jsonl" else _parquet_rows
    found: set[str] = set()
    for where, row in read(corpus.paths[0], reading, columns=[reading.language]):
        code = row[reading.language]
        if not isinstance(code, str) or not code:
            raise UserError(f"{where}: no language in column '{reading.language}', found {code!r}")
        found.add(code)
    return sorted(found)


def first_line(path: Path) -> str:
    """Read the first line of a file; "" where it has none."""
    with _opened(path) as (stream, _):
        line: str = stream.readline(LONGEST_HEADER).decode("utf-8-sig", errors="replace")
    return line.strip()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """Open a file, unpacked where it is gzipped, and as it lies on the disk."""
    with path.open("rb") as raw:
        try:
            yield gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw, raw
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(
                f"{path}: cannot be unpacked ({error}); expected a whole gzip file, copy it again"
            ) from error


def _lines(path: Path, reading: Reading) -> Iterator[str | None]:
    r"""Yield each line, None for one that is not UTF-8; only "\n" ends one: "\x85" or U+2028 inside one are text."""
    reported = 0
    with _opened(path) as (stream, raw):
        for number, line in enumerate(stream, start=1):
            try:
                text: str | None = (
                    line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\n").removesuffix("\r")
                )
            except UnicodeDecodeError as error:
                text = None
                _refuse_undecodable(f"{path}, line {number}", error, reading)
            yield text
            if number % _ROWS == 0:
                reading.progress(raw.tell() - reported)
                reported = raw.tell()
        reading.progress(raw.tell() - reported)


def _refuse_undecodable(where: str, error: UnicodeError, reading: Reading) -> None:
    """Raise UserError for text that is not UTF-8, or count it where it is skipped."""
    if not reading.skips_undecodable:
        byte = f"byte {error.object[error.start]:#04x}" if isinstance(error, UnicodeDecodeError) else "a half character"
        raise UserError(
            f"{where}: {byte} is not UTF-8; expected UTF-8 text. Convert the file, or leave such lines out and count "
            "them: data.undecodable=skip"
        ) from error
    reading.counts["undecodable"] += 1


def _plain(path: Path, reading: Reading) -> Iterator[list[str]]:
    lines = (line if line is None else line.strip() for line in _lines(path, reading))
    first = list(islice(lines, LOOKED_AT))
    is_text = [bool(line) for line in first]
    has_borders = True in is_text and False in is_text[is_text.index(True) : len(is_text) - is_text[::-1].index(True)]
    document: list[str] = []
    for line in chain(first, lines):
        reading.counts["lines"] += 1
        if line:
            document.append(line)
        elif line is not None:
            reading.counts["blank"] += 1
        if document and (line == "" or not has_borders or len(document) == MOST_LINES):
            yield document
            document = []
    if document:
        yield document


def _columns(corpus: Corpus, reading: Reading) -> Iterator[list[str]]:
    path = corpus.paths[0]
    for number, line in enumerate(_lines(path, reading), start=1):
        if number == 1 and corpus.has_header:
            continue
        reading.counts["lines"] += 1
        if line is None:
            continue
        if not line.strip():
            reading.counts["blank"] += 1
            continue
        fields = line.split("\t")
        if len(fields) != 2:
            raise UserError(
                f"{path}, line {number}: found {len(fields)} tab-separated fields; expected 2, one per language"
            )
        yield from _pair(fields[0], fields[1], reading)


def _sides(paths: Sequence[Path], reading: Reading) -> Iterator[list[str]]:
    ended = object()
    first, second = (_lines(path, reading) for path in paths)
    for number, (one, other) in enumerate(zip_longest(first, second, fillvalue=ended)):
        if one is ended or other is ended:
            longer = number + 1 + sum(1 for _ in (second if one is ended else first))
            counts = (number, longer) if one is ended else (longer, number)
            lengths = " and ".join(f"{path} has {count:,} lines" for path, count in zip(paths, counts, strict=True))
            raise UserError(f"{lengths}: they must have the same sentences line by line")
        reading.counts["lines"] += 1
        if isinstance(one, str) and isinstance(other, str):
            yield from _pair(one, other, reading)


def _pair(first: str, second: str, reading: Reading) -> Iterator[list[str]]:
    """Yield two sentences as a document; none where one of them is blank."""
    if (first := first.strip()) and (second := second.strip()):
        yield [first, second]
    else:
        reading.counts["blank"] += 1


def _rows(corpus: Corpus, reading: Reading) -> Iterator[list[str]]:
    """Yield the text of each row in the corpus's language as a document, a line a sentence."""
    read = _json_rows if corpus.form == "jsonl" else _parquet_rows
    columns = [reading.text, reading.language] if corpus.is_mixed else [reading.text]
    for where, row in read(corpus.paths[0], reading, columns=columns):
        if corpus.is_mixed and row[reading.language] != corpus.language:
            continue
        reading.counts["lines"] += 1
        text = row[reading.text]
        if text is not None and not isinstance(text, str):
            raise UserError(f"{where}: expected text in column '{reading.text}', found {text!r:.60}")
        sentences = [sentence for line in (text or "").split("\n") if (sentence := line.strip())]
        reading.counts["blank"] += not sentences
        for start in range(0, len(sentences), MOST_LINES):
            yield sentences[start : start + MOST_LINES]


def _json_rows(path: Path, reading: Reading, *, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(_lines(path, reading), start=1):
        if not line or line.isspace():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error}); expected one object per line") from error
        if not isinstance(row, dict):
            raise UserError(f"{where}: expected a JSON object, found {line[:60]!r}")
        _refuse_missing(where, found=list(row), columns=columns)
        if _LONE_SURROGATE.search(line):
            try:
                str(row[columns[0]]).encode()
            except UnicodeEncodeError as error:
                _refuse_undecodable(where, error, reading)
                continue
        yield where, row


def _parquet_rows(path: Path, reading: Reading, *, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    with _opened(path) as (stream, raw), TemporaryFile() as unpacked:
        if stream is not raw:
            # Parquet is read from its end.
            shutil.copyfileobj(stream, unpacked)
        try:
            file = pq.ParquetFile(raw if stream is raw else unpacked)
            _refuse_missing(str(path), found=file.schema_arrow.names, columns=columns)
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
                for row in _decoded(batch):
                    where = f"{path}, row {number} (the first is 0)"
                    number += 1
                    if isinstance(row, UnicodeDecodeError):
                        _refuse_undecodable(where, row, reading)
                    else:
                        yield where, row
                reading.progress(int(path.stat().st_size * batch.num_rows / max(1, file.metadata.num_rows)))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{path}: cannot be read as parquet ({error}); expected a whole file, copy it again"
            ) from error


def _decoded(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | UnicodeDecodeError]:
    """Yield the rows of a batch, or the error for one that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except UnicodeDecodeError as error:
                yield error


def _refuse_missing(where: str, *, found: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in found:
            keys = "data.columns.text, data.columns.language"
            raise UserError(f"{where}: no column '{column}', only {', '.join(found) or 'none'}; name it: {keys}")
