"""Rows of evaluation that stand among the rows trained on. Reads hashes of tokenized rows, and no text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from babelfit.files.documents import Count
from babelfit.rows.read import Read, digests, paths

Array = NDArray[Any]

MOST_SHOWN = 3
"""Rows that are named as examples."""


@dataclass(frozen=True, kw_only=True)
class LeakedRow:
    """Where a row stands, counted from 0, and where in training."""

    row: Count
    file: str
    train_row: Count
    train_file: str


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What of one language of an evaluated split stands in training.

    `rows` are those whose text is one of training but for case, spaces and Unicode's forms, in any language, and
    `exact` how many of them are so to the letter; `translated` are rows that are none themselves, but the same item as
    one in another language, in parallel data.
    """

    rows: Count
    exact: Count
    of: Count
    examples: list[LeakedRow]
    translated: Count | None = None


Leaks = Mapping[str, Mapping[str, Leak]]
"""By split and language."""


def find(
    read: Mapping[str, Mapping[str, Read]],
    *,
    opened: Mapping[tuple[str, str], Dataset],
    is_parallel: bool,
) -> dict[str, dict[str, Leak]]:
    """Return the rows of each evaluated split that are among the rows trained on.

    A split that is itself trained on is left out: its scores are labelled as such.
    """
    trained = read.get("train", {})
    if not trained:
        return {}
    files = {digest for entry in trained.values() for digest in digests(entry)}
    rows = {name: _column(opened, "train", list(trained), name) for name in ("folded", "exact", "index")}
    languages = np.repeat(np.arange(len(trained)), [len(opened["train", language]) for language in trained])
    order = np.argsort(rows["folded"], kind="stable")
    sorted_folded, sorted_exact = rows["folded"][order], np.sort(rows["exact"])
    found: dict[str, dict[str, Leak]] = {}
    for split, entries in read.items():
        hits: dict[str, Array] = {}
        for language, entry in entries.items():
            if split == "train" or files.intersection(digests(entry)):
                continue
            ours = {name: _column(opened, split, [language], name) for name in ("folded", "exact", "index")}
            is_hit = _among(ours["folded"], sorted_folded)
            hits[language] = ours["index"][is_hit]
            places = order[np.searchsorted(sorted_folded, ours["folded"][is_hit][:MOST_SHOWN])]
            found.setdefault(split, {})[language] = Leak(
                rows=int(is_hit.sum()),
                exact=int(_among(ours["exact"], sorted_exact).sum()),
                of=len(is_hit),
                examples=[
                    LeakedRow(
                        row=int(row),
                        file=paths(entry),
                        train_row=int(rows["index"][place]),
                        train_file=paths(trained[list(trained)[languages[place]]]),
                    )
                    for row, place in zip(hits[language][:MOST_SHOWN], places, strict=True)
                ],
            )
        for language in hits if is_parallel else ():
            others = [theirs for other, theirs in hits.items() if other != language]
            same_items = np.setdiff1d(np.concatenate(others) if others else [], hits[language])
            there = _column(opened, split, [language], "index")
            translated = int(np.isin(same_items, there).sum())
            found[split][language] = replace(found[split][language], translated=translated)
    return found


def in_words(found: Leaks, *, dataset: str) -> list[str]:
    """Return in words what was found, a sentence or two for each split; nothing where no row was."""
    sentences = []
    for split, languages in found.items():
        leaking = {language: one for language, one in languages.items() if one.rows}
        if not leaking:
            continue
        counts = ", ".join(
            f"{language} {one.rows:,} of {one.of:,} ({one.exact:,} word for word)" for language, one in leaking.items()
        )
        sentence = f"{dataset} {split}: rows that the model is trained on: {counts}."
        translated = {language: one.translated for language, one in languages.items() if one.translated}
        if translated:
            listed = ", ".join(f"{language} {count:,}" for language, count in translated.items())
            sentence += f" Translations of such rows: {listed}."
        shown = [example for one in leaking.values() for example in one.examples][:MOST_SHOWN]
        places = "; ".join(f"row {one.row} of {one.file} is row {one.train_row} of {one.train_file}" for one in shown)
        sentences.append(f"{sentence} Counted from 0, {places}. Scores on these rows measure memory.")
    return sentences


def num_duplicates(dataset: Dataset) -> int:
    """Count the rows whose text stands in an earlier row already."""
    return len(dataset) - len(np.unique(dataset.data["folded"].to_numpy()))


def _column(opened: Mapping[tuple[str, str], Dataset], split: str, languages: Sequence[str], name: str) -> Array:
    return np.concatenate([opened[split, language].data.column(name).to_numpy() for language in languages])


def _among(values: Array, ordered: Array) -> Array:
    """Return a mask of the values that are among ordered ones."""
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)
