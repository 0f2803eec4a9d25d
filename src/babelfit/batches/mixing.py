"""How often an epoch takes the examples of each language, where these are not taken once each. Knows counts alone."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from babelfit.batches.ragged import Array


def examples_per_epoch(sizes: Sequence[int], *, exponent: float | None) -> list[int]:
    """Divide an epoch, as many examples as there are, over languages of n_1, n_2, ... examples; null: as they are.

    Language i gets the share q_i = p_i^a / sum_j p_j^a with p_i = n_i / sum_j n_j (Conneau & Lample 2019, section 3.1),
    a being the exponent: 1 leaves the shares as they are, 0 makes them equal. Rounded so that the whole stays the same,
    those that lose most by it first.
    """
    if exponent is None:
        return list(sizes)
    counts = np.asarray(sizes, dtype=np.float64)
    weights = (counts / counts.sum()) ** exponent
    exact = counts.sum() * weights / weights.sum()
    whole = np.floor(exact).astype(np.int64)
    left = round(counts.sum()) - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return [int(count) for count in whole]


@lru_cache(maxsize=1)
def mixed_order(sizes: tuple[int, ...], *, exponent: float, seed: int, epoch: int) -> Array:
    """Return one epoch's random order of example ids, languages one after the other: a function of its arguments.

    Each language goes through its examples in one random order after another, and every epoch goes on where the one
    before it stopped: none is taken again before all were, whatever their share.
    """
    taken = []
    starts = np.cumsum([0, *sizes])
    for place, (size, count) in enumerate(zip(sizes, examples_per_epoch(sizes, exponent=exponent), strict=True)):
        first = epoch * count
        rounds = range(first // size, -(-(first + count) // size))
        # Of four numbers, the last of them not 0: no draw is that of an epoch's own order below.
        orders = [np.random.default_rng((seed, place, number, 1)).permutation(size) for number in rounds]
        begin = first - rounds.start * size
        taken.append(starts[place] + np.concatenate([*orders, np.empty(0, np.int64)])[begin : begin + count])
    order = np.concatenate(taken).astype(np.int32)
    np.random.default_rng((seed, epoch)).shuffle(order)
    return order


def in_words(sizes: Mapping[str, int], *, exponent: float | None) -> str:
    """Return in words how many examples of each language an epoch takes, and how many it leaves out or repeats."""
    counts = examples_per_epoch(list(sizes.values()), exponent=exponent)
    counted = []
    for (language, size), count in zip(sizes.items(), counts, strict=True):
        what = (
            f"{size - count:,} left out" if count < size else f"each {count / size:.1f} times" if count > size else ""
        )
        counted.append(f"{language} {count:,} of {size:,}{f' ({what})' if what else ''}")
    return ", ".join(counted)
