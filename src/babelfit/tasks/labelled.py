"""What tasks with labels have in common: how sure a model is beside how often it is right, and which it confuses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from babelfit.batches.ragged import NO_LABEL
from babelfit.statistics.sums import PERCENT, Array
from babelfit.tasks.task import TargetAnswers

NUM_BINS = 15


def answers_of_logits(outputs: Mapping[str, Array], *, indices: Array, order: Sequence[int] | None) -> TargetAnswers:
    """Return what logits answer, (targets, labels), with the probability of every label."""
    logits = torch.from_numpy(outputs["logits"]).to(torch.float64)
    probabilities: Array = logits.softmax(-1).numpy()
    if order is not None:
        probabilities = probabilities[:, list(order)]
    return TargetAnswers(
        indices=indices,
        examples=np.searchsorted(indices, outputs["index"]),
        gold=outputs["gold"],
        predicted=probabilities.argmax(1),
        confidences=probabilities.max(1),
        probabilities=probabilities,
    )


def label_ids(names: Sequence[str | None], *, labels: Sequence[str]) -> list[int]:
    """Return the ids of label names; NO_LABEL for any other text."""
    ids: dict[str | None, int] = {name: label_id for label_id, name in enumerate(labels)}
    return [ids.get(name, NO_LABEL) for name in names]


def calibration(given: TargetAnswers) -> dict[str, Any]:
    """Compare confidence with accuracy in 15 bins of equal width (Guo et al. 2017); nothing where it is not known.

    `ece` is the distance of both, averaged over the targets. A bin holds its upper end and not its lower one, as
    theirs; `confidence` and `accuracy` of an empty bin are None.
    """
    if given.confidences is None:
        return {}
    right = (given.predicted == given.gold).astype(np.float64)
    bins = np.digitize(given.confidences, np.arange(1, NUM_BINS) / NUM_BINS, right=True)
    counts, confidences, hits = (
        np.bincount(bins, weights=weights, minlength=NUM_BINS)
        for weights in (np.ones_like(right), given.confidences, right)
    )

    def means(sums: Array) -> list[float | None]:
        return [float(total / count) if count else None for total, count in zip(sums, counts, strict=True)]

    return {
        "ece": float(np.abs(confidences - hits).sum() / len(right)),
        "calibration": {
            "count": counts.astype(int).tolist(),
            "confidence": means(confidences),
            "accuracy": means(hits),
        },
    }


def confusion(given: TargetAnswers, *, names: Sequence[str]) -> dict[str, Any]:
    """Count predicted (columns) by gold labels (rows), under these names; those of the same name together."""
    kinds = list(dict.fromkeys(names))
    number = np.array([kinds.index(name) for name in names])
    cells = number[given.gold] * len(kinds) + number[given.predicted]
    counts = np.bincount(cells, minlength=len(kinds) ** 2).reshape(len(kinds), len(kinds))
    return {"labels": kinds, "counts": counts.tolist()}


def how_sure(probability: float | None) -> str:
    """Return a probability in words; nothing where it is not known."""
    return "" if probability is None else f"{PERCENT.text(probability)} %"


@dataclass(frozen=True, kw_only=True)
class Spellings:
    """How other people spell labels, in upper or lower case."""

    labels: Sequence[str]
    aliases: Mapping[str, str]  # other spellings: label by spelling
    data: str  # the dataset whose labels they are, for messages

    def names(self, texts: Iterable[str]) -> list[str]:
        """Return the labels that are meant; raise ValueError for an unknown one."""
        ours = {name.casefold(): name for name in self.labels}
        ours |= {alias.casefold(): name for alias, name in self.aliases.items()}
        found = []
        for text in texts:
            if text.casefold() not in ours:
                known = ", ".join([*self.labels, *self.aliases])
                raise ValueError(f"unknown label {text!r}; {self.data} has {known}")
            found.append(ours[text.casefold()])
        return found

    def check_gold(self, given: Sequence[str] | None, *, gold: Sequence[int], index: int) -> list[str] | None:
        """Return the gold labels of a row, None where it has none; raise ValueError where others are given."""
        if NO_LABEL in gold:
            return None
        expected = [self.labels[label_id] for label_id in gold]
        if given is not None and self.names(given) != expected:
            raise ValueError(f"gold {' '.join(given)} is {' '.join(expected)} in the data, row {index}")
        return expected


def is_share(value: object) -> bool:
    """Return whether something is a number from 0 to 1."""
    return isinstance(value, int | float) and 0 <= value <= 1
