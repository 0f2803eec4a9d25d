"""Find the files of multilingual datasets by looking: which file holds which language and split.

Not for how a file is read, and not for tokens or choosing rows.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from babelfit.errors import UserError
from babelfit.files.atomic_files import sha256
from babelfit.files.documents import WORD
from babelfit.rows.readers import LABEL

HUB_PARQUET = {split: f"{{language}}/{split}-*.parquet" for split in ("train", "validation", "test")}
"""How the Hub's converted datasets lie in their repositories: split -> path."""


TRANSLATED = "translated "
"""Before the name of a split: its rows machine-translated into the language of the original training rows."""


class Reader(Protocol):
    """Read one file into text and label columns, as `readers` describes them."""

    def __call__(self, path: Path, *, language: str) -> pa.Table: ...


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way a dataset lies in a folder."""

    name: str
    patterns: Mapping[str, str]  # split -> path with {language} where there is a file a language; `*` for shards
    read: Reader

    def wanted(self, *, split: str, language: str) -> tuple[str, ...]:
        """Return where a split of a language may lie below a folder, which may itself be a folder inside the layout."""
        pattern = self.patterns.get(split)
        if pattern is None:
            return ()
        parts = pattern.split("/")
        tails = ("/".join(parts[start:]) for start in range(len(parts)))
        # A tail that lost its language would give every language the same file.
        named = (tail for tail in tails if ("{language}" in tail) == ("{language}" in pattern))
        return tuple(tail.replace("{language}", language) for tail in named)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the rows of one language in one split lie; nothing is read before it is asked for."""

    dataset: str
    split: str
    language: str
    layout: Layout
    files: tuple[Path, ...]
    gold: "Source | None" = None  # whose labels are those of these rows, which have none themselves

    @property
    def read_files(self) -> tuple[Path, ...]:
        """Return the files of the rows, and after them those of their labels."""
        return self.files if self.gold is None else (*self.files, *self.gold.files)

    def sha256(self) -> list[str]:
        """Hash each file that is read, as `sha256sum` does."""
        return [sha256(path) for path in self.read_files]

    def read(self) -> pa.Table:
        """Read all rows; an example's index is its row here. Raises UserError for malformed files and for no rows."""
        table = pa.concat_tables([self.layout.read(path, language=self.language) for path in self.files])
        if table.num_rows == 0:
            raise UserError(
                f"{_listed(self.files)}: no rows for language '{self.language}'; expected the {self.split} split "
                f"of {self.dataset}. Copy it again."
            )
        if self.gold is None:
            return table
        labelled = self.gold.read()
        if labelled.num_rows != table.num_rows:
            raise UserError(
                f"{_listed(self.files)}: {table.num_rows:,} rows without labels for '{self.language}', but "
                f"{labelled.num_rows:,} in {_listed(self.gold.files)}, which has the labels: both must have the same "
                "rows"
            )
        return table.set_column(table.column_names.index(LABEL), LABEL, labelled[LABEL])


def find(folder: Path, *, layouts: Sequence[Layout], dataset: str, split: str, language: str) -> Source:
    """Return one language of one split, found by looking; raise UserError with every path looked for."""
    # The code becomes part of a path and of a glob.
    if not re.fullmatch(WORD, language):
        raise UserError(f"{language!r} is not a language code; expected letters, digits, '-' and '_', as in 'en'")
    if not folder.is_dir():
        raise UserError(f"data.folder: '{folder}' is not a folder; give the folder that holds {dataset}")
    found = _look(folder, layouts=layouts, split=split, language=language)
    if found is not None:
        layout, files = found
        return Source(dataset=dataset, split=split, language=language, layout=layout, files=files)
    wanted = {layout.name: layout.wanted(split=split, language=language) for layout in layouts}
    looked = "".join(f"\n  {path}  ({name})" for name, paths in wanted.items() for path in paths)
    near = _near(folder, wanted=tuple(chain(*wanted.values())))
    raise UserError(
        f"no {split} split of {dataset} for language '{language}' in '{folder}'. Looked for:{looked}\n"
        + (f"Found: {', '.join(near)}\n" if near else "")
        + "Set data.folder to a folder that has one of these"
        + (". The Hub has none." if split.startswith(TRANSLATED) else ", or to null for the Hub.")
        + (" Or train on another split: data.train_split=validation." if split == "train" else "")
    )


def available(folder: Path, *, layouts: Sequence[Layout], split: str, languages: Sequence[str]) -> tuple[str, ...]:
    """Return the languages that have files for a split; only reading them shows whether they have gold labels."""
    return tuple(
        language for language in languages if _look(folder, layouts=layouts, split=split, language=language) is not None
    )


def check_rows(
    source: Source, *, num_rows: int, seen: Sequence[str], expected: int, labels: Sequence[str]
) -> list[str]:
    """Return, a sentence each, what a whole copy would have and this one lacks: rows, and examples of every label.

    `seen` are the label names that occur.
    """
    doubts = []
    if num_rows != expected:
        doubts.append(
            f"{_listed(source.files)}: found {num_rows:,} rows for '{source.language}', where {source.dataset} "
            f"{source.split} has {expected:,}; this is {'a part' if num_rows < expected else 'not a copy'} of it."
        )
    absent = [label for label in labels if label not in seen]
    if seen and absent:
        doubts.append(
            f"{_listed(source.files)}: no row for '{source.language}' has label {_quoted(absent)}, "
            f"only {_quoted(sorted(seen))}."
        )
    return doubts


def _look(
    folder: Path, *, layouts: Sequence[Layout], split: str, language: str
) -> tuple[Layout, tuple[Path, ...]] | None:
    for layout in layouts:
        for pattern in layout.wanted(split=split, language=language):
            files = tuple(sorted(path for path in folder.glob(pattern) if path.is_file()))
            if files:
                return layout, files
    return None


def _near(folder: Path, *, wanted: Sequence[str]) -> list[str]:
    """Return the paths up to three levels deep that are spelled most like a wanted one, else any."""
    # A folder like "/" has no end.
    entries = islice(chain(folder.glob("*"), folder.glob("*/*"), folder.glob("*/*/*")), 5000)
    names = [f"{entry.relative_to(folder)}{'/' if entry.is_dir() else ''}" for entry in entries]
    close = chain(*(difflib.get_close_matches(path, names, n=2) for path in wanted))
    return sorted(set(close)) or sorted(names)[:8]


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in files)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
