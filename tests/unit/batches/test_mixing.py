"""An epoch takes of each language its share by the formula, as a function of seed and epoch alone."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from babelfit.batches.mixing import examples_per_epoch, in_words, mixed_order
from babelfit.batches.ragged import NOBODY, Examples, StepBatch
from babelfit.batches.steps import TrainingSteps, epoch_order

EXPONENTS = st.floats(0, 1)
SIZES = {4: 7, 0: 1, 2: 12}
"""Number of examples by language position."""
LANGUAGES = st.lists(st.integers(1, 5000), min_size=1, max_size=8)


@given(LANGUAGES, EXPONENTS)
@settings(max_examples=200, deadline=None)
def test_shares_are_those_of_the_formula_and_the_epoch_is_as_long_as_ever(sizes: list[int], exponent: float) -> None:
    counts = examples_per_epoch(sizes, exponent=exponent)
    shares = [(size / sum(sizes)) ** exponent for size in sizes]

    assert sum(counts) == sum(sizes)
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - sum(sizes) * share / sum(shares)) < 1


@pytest.mark.parametrize(
    ("exponent", "counts"),
    [
        (None, [9000, 900, 100]),
        (1, [9000, 900, 100]),
        (0, [3334, 3333, 3333]),
        # By hand: 9000, 900 and 100 to the power of 0.5 are 94.868, 30 and 10.
        (0.5, [7034, 2224, 742]),
    ],
)
def test_a_worked_example(exponent: float | None, counts: list[int]) -> None:
    found = examples_per_epoch([9000, 900, 100], exponent=exponent)
    assert sum(found) == 10_000
    assert np.abs(np.array(found) - counts).max() <= 1


@given(LANGUAGES, EXPONENTS, st.integers(0, 2**32), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_an_epoch_holds_so_many_of_each_language_and_repeats_none_needlessly(
    sizes: list[int], exponent: float, seed: int, epoch: int
) -> None:
    order = mixed_order(tuple(sizes), exponent=exponent, seed=seed, epoch=epoch)
    counts = examples_per_epoch(sizes, exponent=exponent)
    parts = np.searchsorted(np.cumsum(sizes), order, side="right")

    assert Counter(parts.tolist()) == {place: count for place, count in enumerate(counts) if count}
    for place, count in enumerate(counts):
        times = Counter(order[parts == place].tolist())
        # A round may end and another begin within the epoch.
        assert max(times.values(), default=0) <= count // sizes[place] + 2
    assert order.dtype == np.int32


@pytest.mark.parametrize("exponent", [0, 0.3, 0.7])
def test_over_the_epochs_all_examples_of_a_language_are_taken_equally_often(exponent: float) -> None:
    sizes = (40, 7, 2)
    taken = Counter(chain.from_iterable(
        mixed_order(sizes, exponent=exponent, seed=3, epoch=epoch).tolist() for epoch in range(20)
    ))  # fmt: skip
    for first, size in ((0, 40), (40, 7), (47, 2)):
        times = [taken[number] for number in range(first, first + size)]
        assert max(times) - min(times) <= 1
        assert min(times) > 0


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def drawn(seed: int, epoch: int) -> tuple[int, ...]:
        mixed_order.cache_clear()
        return tuple(mixed_order((30, 5), exponent=0.5, seed=seed, epoch=epoch).tolist())

    first = drawn(1, 4)
    np.random.seed(7)  # the global state must not matter
    assert drawn(1, 4) == first
    assert len({first, drawn(1, 5), drawn(2, 4), drawn(4, 1)}) == 4
    assert first != tuple(sorted(first))


def examples() -> Examples:
    def dataset(size: int) -> Dataset:
        ids = [[5] * (1 + row % 9) for row in range(size)]
        labels = {"targets": [[0]] * size, "gold": [[1]] * size, "index": range(size), "truncated": [False] * size}
        return Dataset.from_dict({"input_ids": ids, "windows": [[len(one)] for one in ids], **labels})

    return Examples([(language, dataset(size)) for language, size in SIZES.items()])


def all_of(step: StepBatch) -> list[tuple[int, int]]:
    """The (language, row) of each example of a step."""
    parts = [zip(batch.languages.tolist(), batch.indices.tolist(), strict=True) for batch in step.micro_batches]
    return list(chain.from_iterable(parts))


def mixed(**options: int) -> TrainingSteps:
    return TrainingSteps(examples(), batch_size=6, tokens_per_device=24, seed=1, exponent=0.2, **options)


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
def test_any_number_of_ranks_takes_the_same_mixed_steps(num_ranks: int) -> None:
    ranks = [mixed(rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    whole = mixed()
    for epoch in (0, 3):
        for step in range(len(whole)):
            parts = [rank[epoch, step] for rank in ranks]
            real = [one for part in parts for one in all_of(part) if one[0] != NOBODY]
            assert sorted(real) == sorted(all_of(whole[epoch, step]))
            assert {part.weight for part in parts} == {whole[epoch, step].weight} == {len(real)}


def test_the_steps_of_a_mixed_epoch_hold_each_languages_share() -> None:
    steps = mixed()
    assert len(steps) == -(-sum(SIZES.values()) // 6), "as many as without mixing"
    taken = Counter(language for step in range(len(steps)) for language, _ in all_of(steps[2, step]))
    assert taken == dict(zip(SIZES, examples_per_epoch(list(SIZES.values()), exponent=0.2), strict=True))


def test_the_heaviest_mixed_step_is_among_those_that_are_taken() -> None:
    steps = mixed()
    tokens = {
        (epoch, step): sum(batch.num_tokens for batch in steps[epoch, step].micro_batches)
        for epoch in range(3)
        for step in range(len(steps))
    }
    heaviest = sum(batch.num_tokens for batch in steps.heaviest(num_steps=3 * len(steps)).micro_batches)
    assert heaviest == max(tokens.values())


def test_without_an_exponent_the_order_is_that_of_all_examples() -> None:
    steps = TrainingSteps(examples(), batch_size=6, tokens_per_device=1000, seed=5)
    asked = examples().ragged(epoch_order(20, seed=5, epoch=1)[6:12])

    assert sorted(all_of(steps[1, 1])) == sorted(zip(asked.languages.tolist(), asked.indices.tolist(), strict=True))


def test_what_is_left_out_or_repeated_is_told() -> None:
    assert (
        in_words({"en": 1000, "sw": 10}, exponent=0) == "en 505 of 1,000 (495 left out), sw 505 of 10 (each 50.5 times)"
    )
    assert in_words({"en": 1000, "sw": 10}, exponent=None) == "en 1,000 of 1,000, sw 10 of 10"
