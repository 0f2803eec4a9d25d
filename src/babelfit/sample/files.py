"""Where the sample's files lie: the XTREME layout, a folder a dataset and a file a split and language."""

from collections.abc import Iterable
from pathlib import Path

FILES = {"train": "train", "validation": "dev", "test": "test"}


def write_lines(folder: Path, *, split: str, language: str, lines: Iterable[str]) -> None:
    """Write one file of a dataset's folder; the lines bring their own ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{FILES[split]}-{language}.tsv"
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
