"""Which few examples of a target language are trained on: drawn by seed, and the few among the more. Reads no file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset
from datasets.table import InMemoryTable

from babelfit.batches.ragged import Array, gold_values, has_gold
from babelfit.errors import UserError


def sample_few(dataset: Dataset, *, k: int, seed: int, language: str, label_names: Sequence[str] | None) -> Dataset:
    """Draw k examples of each label, or without `label_names` k examples; in the order in which they came.

    The draw depends on seed, language and the examples alone, and that of a smaller k is a part of it. Raises
    UserError where there are fewer; examples without gold are none.
    """
    gold = gold_values(pc.list_element(dataset.data["gold"], 0))  # of a sentence, the first word's
    groups: Mapping[str, Array] = {"": np.flatnonzero(has_gold(gold))}
    if label_names is not None:
        groups = {name: np.flatnonzero(gold == label) for label, name in enumerate(label_names)}
    chosen = []
    for place, (name, members) in enumerate(groups.items()):
        if len(members) < k:
            raise UserError(
                f"data.few_shot.k={k}: the training rows of '{language}' have only {len(members)} examples"
                f"{f' of {name}' if name else ''}. Choose a smaller k, or other data.few_shot.languages"
            )
        np.random.default_rng((seed, place, *language.encode())).shuffle(members)
        chosen.append(members[:k])
    return take_rows(dataset, np.sort(np.concatenate(chosen)))


def take_rows(dataset: Dataset, places: Array) -> Dataset:
    """Return some examples of a dataset, in memory: `select` would leave all and keep a list beside."""
    table: Any = dataset.with_format("arrow")[places.tolist()]
    return Dataset(InMemoryTable(table))
