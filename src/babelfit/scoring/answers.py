"""What predictions say beside gold, as arrays, and what is counted of it: parts of a score, calibration, confusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch

from babelfit.predictions.prediction_files import AnyPrediction, Prediction
from babelfit.scoring.metrics import SpanF1
from babelfit.statistics.bootstrap import Array, Parts

NUM_BINS = 15


@dataclass(frozen=True, kw_only=True)
class Answers:
    """One language's predictions that have gold. A target is an example's label, or one word's tag."""

    rows: Array  # (predictions,): which rows are predicted, those without gold too
    indices: Array  # (examples,)
    examples: Array  # (targets,): which of the examples, from 0
    gold: Array  # (targets,): label ids
    predicted: Array  # (targets,): label ids
    confidences: Array | None  # (targets,): probabilities of the predicted labels, where all are known


def answers(records: Sequence[AnyPrediction], *, label_names: Sequence[str]) -> Answers:
    """Take the predictions with gold; there must be one."""
    ids = {name: label_id for label_id, name in enumerate(label_names)}
    scored = [record for record in records if record.gold is not None]
    predicted = [_as_list(record.predicted) for record in scored]
    confidences = [_confidences(record) for record in scored]
    return Answers(
        rows=np.array([record.index for record in records]),
        indices=np.array([record.index for record in scored]),
        examples=np.repeat(np.arange(len(scored)), [len(names) for names in predicted]),
        gold=np.array([ids[name] for name in chain(*(_as_list(record.gold or ()) for record in scored))]),
        predicted=np.array([ids[name] for name in chain(*predicted)]),
        confidences=np.array([*chain(*confidences)]) if all(confidences) else None,
    )


def _as_list(labels: str | Sequence[str]) -> Sequence[str]:
    return [labels] if isinstance(labels, str) else labels


def _confidences(record: AnyPrediction) -> Sequence[float]:
    """Return the probability of each predicted label; empty where they are not known."""
    if isinstance(record, Prediction):
        return [record.probabilities[record.predicted]] if record.predicted in record.probabilities else []
    return record.probabilities


def parts(given: Answers, *, head: str, label_names: Sequence[str]) -> Parts:
    """Say what each example adds to the main metric of a head."""
    if head == "token_classification":
        counts = SpanF1(label_names).by_sentence(
            torch.from_numpy(given.predicted), torch.from_numpy(given.gold), torch.from_numpy(given.examples)
        )
        right, predicted, gold = counts.numpy().T
        return Parts(indices=given.indices, numerators=2 * right, denominators=predicted + gold)
    right = (given.predicted == given.gold).astype(np.int64)
    return Parts(indices=given.indices, numerators=right, denominators=np.ones_like(right))


def calibration(given: Answers) -> dict[str, Any]:
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


def confusion(given: Answers, *, head: str, label_names: Sequence[str]) -> dict[str, Any]:
    """Count predicted (columns) by gold labels (rows): of tags, words by the type of their entity or O."""
    names = list(label_names)
    if head == "token_classification":
        names = [name if name == "O" else name[2:] for name in names]
    kinds = list(dict.fromkeys(names))
    number = np.array([kinds.index(name) for name in names])
    cells = number[given.gold] * len(kinds) + number[given.predicted]
    counts = np.bincount(cells, minlength=len(kinds) ** 2).reshape(len(kinds), len(kinds))
    return {"labels": kinds, "counts": counts.tolist()}
