"""What manifest.json says of a dataset and of what was read of it: field by field, in this order. Reads nothing.

Where an older manifest does not say a number, it is 0.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from babelfit.files.documents import Count, Part


@dataclass(frozen=True, kw_only=True)
class DatasetRead:
    """What a dataset is, so that nobody has to know it by name; older manifests say its name and origin alone."""

    data: str | None = None
    task: str | None = None
    labels: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)  # label by other spelling
    parallel: bool = False  # row i of every language is the same item
    hub_repo: str | None = ""  # None: it is not on the Hub; "": an older manifest, which does not say
    origin: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file as it was when it was read."""

    path: str
    bytes: Count
    sha256: str


def data_files(paths: Sequence[Path], digests: Sequence[str]) -> list[DataFile]:
    """Return what is said of files with these SHA-256."""
    return [
        DataFile(path=str(path), bytes=path.stat().st_size, sha256=digest)
        for path, digest in zip(paths, digests, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What the tokenizer makes of the text that is not cut."""

    words: Count = 0
    characters: Count = 0
    subwords: Count = 0
    unknown: Count = 0
    targets: Count | None = None  # that are reached: words, in tagging
    lengths: dict[str, Count] = field(default_factory=dict)  # quantiles of those of sequences, with special tokens


@dataclass(frozen=True, kw_only=True)
class RowsRead:
    """What was read of labelled rows."""

    split: str | None = None  # of the dataset
    layout: str | None = None
    files: list[DataFile]
    rows: Count = 0  # as they came
    dropped: dict[str, list[Count]] = field(default_factory=dict)  # by reason, which rows are no examples
    scripts: dict[str, Part] = field(default_factory=dict)  # shares of the letters
    drawn: list[Count] | None = None  # which rows, where a few were
    examples: Count = 0  # less the dropped ones, and those beyond a limit
    labels: dict[str, Count] = field(default_factory=dict)  # targets by label, those without gold by ""
    truncated: Count = 0
    windows: Count = 0
    duplicates: Count | None = None
    tokens: Tokens = Tokens()


@dataclass(frozen=True, kw_only=True)
class TextRead:
    """What was read of running text."""

    split: str
    layout: str
    files: list[DataFile]
    rows: int  # packed examples
    dropped: dict[str, list[int]]  # none
    lines: int
    blank: int
    undecodable: int
    documents: int
    sentences: int
    held_out: int  # sentences
    left_out: int  # sentences of training that are held out elsewhere
    special: int  # times that text reads like a special token
    pieces: int  # sentences that are cut into some
    truncated: int  # pairs of sentences
    tokens: Tokens
    scripts: dict[str, float]
    examples: int  # less those beyond a limit
    windows: int


Read = RowsRead | TextRead


def digests(read: Read) -> list[str]:
    """Return the SHA-256 of the files."""
    return [file.sha256 for file in read.files]


def paths(read: Read) -> str:
    """Return the paths of the files, joined by commas."""
    return ", ".join(file.path for file in read.files)


def dropped(read: Read) -> Collection[int]:
    """Return the dropped rows, each once: a row may be dropped for several reasons."""
    return set(chain(*read.dropped.values()))


def is_cut(read: Read) -> bool:
    """Return whether a limit left out the last rows."""
    return 0 < read.examples < read.rows - len(dropped(read))
