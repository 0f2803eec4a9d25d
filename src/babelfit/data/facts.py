"""The facts about a dataset: its task, languages and sizes, and how its files lie. Reads none of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from babelfit.rows.sources import Layout
from babelfit.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The part of the bundled synthetic sample that is in a dataset's form."""

    rows: Mapping[str, Mapping[str, int]]  # language -> split -> rows
    write: Callable[[Path], None]  # into an empty folder, in one of the dataset's layouts


def drop_none(table: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    """Return no reason to drop a row."""
    return {}


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """What is true of a dataset, wherever a copy of it lies."""

    name: str  # in config.yaml, scores/*.json, manifest.json
    task: Task
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # language -> split -> rows of a whole copy
    layouts: tuple[Layout, ...] = ()  # the ways in which its files lie, also in the repository on the Hub
    hub_repo: str | None = None
    hub_languages: tuple[str, ...] = ()  # evaluated from the Hub, if nothing else is asked for
    is_parallel: bool = False  # row i of every language is the same item
    written_in: str | None = None  # language of the original training rows, of which the others are translations
    sample: Sample | None = None
    dropped: Callable[[pa.Table], Mapping[str, pa.ChunkedArray]] = drop_none
    """Which rows of a file are no examples: a mask for each reason."""
