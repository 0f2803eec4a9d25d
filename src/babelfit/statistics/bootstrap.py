"""Intervals by resampling: how far scores would move with other examples of the same kind. Knows arrays only.

A resample is a draw of as many examples with replacement (Efron 1979). Examples that add the same numbers are drawn
together: how often each kind is drawn is multinomial, which is the same distribution, and quick. Intervals are
percentile intervals.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from babelfit.statistics.sums import Array, Counts

Key = TypeVar("Key", bound=Hashable)
OfSums = Callable[[Array], Array]

NUM_RESAMPLES = 2_000
SEED = 0
LEVEL = 0.95

MOST_WEIGHTS = 4_000_000
"""Drawn at a time: 32 MB."""


def resampled(
    counts: Mapping[Key, Counts],
    of_sums: OfSums,
    *,
    together: bool,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> dict[Key, Array]:
    """Score resamples of some sets of examples, given the numbers that the score adds up: (resamples,) for each set.

    With `together`, an index is one item in all of the sets: a resample has the same items in each, as often (a
    bootstrap clustered by item). An item that a set lacks adds nothing to it; a resample without any item of a set has
    no score there, NaN. Otherwise each set is drawn for itself.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[Key, Array] = {}
    for keys in [list(counts)] if together and counts else [[key] for key in counts]:
        columns = by_item([counts[key] for key in keys])
        scores = _resample(columns, of_sums, generator=generator, num_resamples=num_resamples)
        drawn |= {key: scores[:, column] for column, key in enumerate(keys)}
    return drawn


def paired(
    counts: Mapping[tuple[str, Key], Counts],
    of_sums: OfSums,
    *,
    together: bool,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[tuple[str, Key], Array]:
    """Score resamples of several answers to the same examples: (resamples,) for each; keys begin with a language.

    Within a language all have the same examples in each resample; with `together` the languages, too.
    """
    if together:
        return resampled(counts, of_sums, together=True, num_resamples=num_resamples)
    drawn: dict[tuple[str, Key], Array] = {}
    for number, language in enumerate(dict.fromkeys(language for language, _ in counts)):
        own = {key: one for key, one in counts.items() if key[0] == language}
        drawn |= resampled(own, of_sums, together=True, num_resamples=num_resamples, seed=SEED + number)
    return drawn


def by_item(sets: Sequence[Counts]) -> Array:
    """Lay sets beside each other, an item a row: (items, sets, numbers + 1), the last being 1 where a set has it."""
    items = np.unique(np.concatenate([one.indices for one in sets]))
    columns = np.zeros((len(items), len(sets), sets[0].rows.shape[1] + 1))
    for number, one in enumerate(sets):
        places = np.searchsorted(items, one.indices)
        columns[places, number] = np.column_stack([one.rows, np.ones(len(places))])
    return columns


def _resample(columns: Array, of_sums: OfSums, *, generator: np.random.Generator, num_resamples: int) -> Array:
    """Resample items of (items, sets, numbers + 1), and return the scores: (resamples, sets)."""
    num_items, num_sets, width = columns.shape
    kinds, counts = np.unique(columns.reshape(num_items, -1), axis=0, return_counts=True)
    shares = counts / num_items
    scores = np.empty((num_resamples, num_sets))
    step = max(1, MOST_WEIGHTS // len(kinds))
    for start in range(0, num_resamples, step):
        block = scores[start : start + step]
        weights = generator.multinomial(num_items, shares, size=len(block))
        sums = (weights.astype(np.float64) @ kinds).reshape(len(block), num_sets, width)
        # Examples that divide by nothing, sentences without spans, score 0; no examples have no score.
        block[:] = np.where(sums[..., -1] > 0, of_sums(sums[..., :-1]), np.nan)
    return scores


def interval(values: Array) -> list[float] | None:
    """Return the 95 % percentile interval of resampled values, NaN left out; None where none is left or one is inf."""
    known = values[~np.isnan(values)]
    if not len(known) or not np.isfinite(known).all():
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def transfer_intervals(
    scores: Mapping[str, Array], *, source_languages: Sequence[str]
) -> dict[str, list[float] | None]:
    """Return the intervals of the transfer numbers, given each language's resampled scores; None for undefined ones."""
    sources = [values for language, values in scores.items() if language in source_languages]
    targets = [values for language, values in scores.items() if language not in source_languages]
    undefined = np.array([np.nan])
    source = np.mean(sources, axis=0) if sources else undefined
    target = np.mean(targets, axis=0) if targets else undefined
    everything = np.mean(list(scores.values()), axis=0) if scores else undefined
    # A share of nothing, or of less, is no number at all: without these resamples the interval would be too narrow.
    retention = np.divide(target, source, out=np.full_like(source + target, np.inf), where=~(source <= 0))
    numbers = {
        "source": source,
        "target_mean": target,
        "mean": everything,
        "gap": source - target,
        "retention": retention,
    }
    return {name: interval(values) for name, values in numbers.items()}
