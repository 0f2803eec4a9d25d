"""A tiny dataset for each kind of task: two languages, files in one folder, something to learn in them."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from babelfit.data.facts import DatasetFacts
from babelfit.data.labelled import LabelledDataModule
from babelfit.rows.readers import read_tagged, read_tsv
from babelfit.rows.sources import Layout
from babelfit.tasks import Classification, Regression, Tagging, Task

LOW, HIGH = ("one", "two", "three", "four"), ("five", "six", "seven", "eight")
SIZES = {"train": 32, "dev": 12, "test": 12}
LANGUAGES = ("en", "de")
TAGS = {"one": "B-PER", "two": "I-PER", "five": "B-LOC"}


@dataclass(frozen=True)
class Tiny:
    """How a task's files are written, what chooses them, and the DataModule that reads them, if it is one of ours."""

    write: Callable[[Path], None]
    overrides: tuple[str, ...]
    module: type[LabelledDataModule] | None = None


def sentences(split: str, language: str) -> list[tuple[bool, list[str]]]:
    """Draw sentences of low or of high words, and whether they are high: the same for the same arguments."""
    draw = random.Random(f"{split} {language}")
    kinds = [draw.random() < 0.5 for _ in range(SIZES[split])]
    return [(is_high, draw.choices(HIGH if is_high else LOW, k=draw.randint(3, 8))) for is_high in kinds]


def write(folder: Path, *, lines_of: Callable[[bool, list[str]], str], suffix: str = "tsv", header: str = "") -> None:
    """Write a file for each split and language, given what a sentence becomes in it."""
    folder.mkdir(parents=True)
    for split in SIZES:
        for language in LANGUAGES:
            lines = [lines_of(*sentence) for sentence in sentences(split, language)]
            (folder / f"{split}-{language}.{suffix}").write_text(header + "".join(lines), encoding="utf-8")


def labelled(task: Task, *, read: Callable[..., Any], **written: Any) -> Tiny:
    """Make a dataset of facts, as anybody's own is made."""
    patterns = {"train": "train-{language}.tsv", "validation": "dev-{language}.tsv", "test": "test-{language}.tsv"}
    sizes = {"train": SIZES["train"], "validation": SIZES["dev"], "test": SIZES["test"]}
    facts = DatasetFacts(
        name=f"tiny_{task.name}",
        task=task,
        rows=dict.fromkeys(LANGUAGES, sizes),
        layouts=(Layout(name="tiny", patterns=patterns, read=read),),
    )

    class Module(LabelledDataModule):
        dataset = facts

        def __init__(self, **settings: Any) -> None:
            super().__init__(facts, **settings)

    chosen = ("data=xnli", "data.revision=null", f"data.name={facts.name}", f"head={task.head}")
    return Tiny(partial(write, **written), chosen, Module)


COLUMNS: Mapping[str, tuple[str, ...]] = {"text": ("text",), "label": ("label",)}

TINY = {
    "classification": labelled(
        Classification(labels=("low", "high"), texts=("text",)),
        read=partial(read_tsv, columns=COLUMNS, spellings={"low": "low", "high": "high"}),
        lines_of=lambda is_high, words: f"{' '.join(words)}\t{'high' if is_high else 'low'}\n",
        header="text\tlabel\n",
    ),
    "tagging": labelled(
        Tagging(labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC")),
        read=partial(read_tagged, tags=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"), prefixed=False),
        lines_of=lambda _, words: "".join(f"{word}\t{TAGS.get(word, 'O')}\n" for word in words) + "\n",
    ),
    "regression": labelled(
        Regression(texts=("text",)),
        read=partial(read_tsv, columns=COLUMNS, spellings=None),
        lines_of=lambda is_high, words: f"{' '.join(words)}\t{3.5 * is_high + len(words) / 8:.3f}\n",
        header="text\tlabel\n",
    ),
    "masked_tokens": Tiny(
        partial(write, lines_of=lambda _, words: f"{' '.join(words)}\n", suffix="txt"),
        ("data=text", "data.reset_positions=false"),
    ),
}
"""By the name of the task."""

MODULES = {tiny.module.dataset.name: tiny.module for tiny in TINY.values() if tiny.module is not None}
"""DataModules, by the name under which DATASETS must know them for a while."""
