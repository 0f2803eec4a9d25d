"""Which examples make up each step follows from (seed, epoch, step) alone; batches hold them whole and once."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from babelfit.batches.ragged import NO_LABEL, NOBODY, Examples, RaggedBatch, StepBatch
from babelfit.batches.steps import EvaluationBatches, Steps, TrainingSteps, epoch_order, micro_batches, split_over_ranks

SIZES = {4: 7, 0: 1, 2: 12}
"""Number of examples by language position: not in order, and one of them alone."""


def tokens(language: int, row: int) -> list[int]:
    """The ids of one example, told from all others by its first two."""
    return [100 + language, 200 + row, *range((row * 5 + language) % 9)]


def dataset(language: int, num_examples: int, *, types: bool = False) -> Dataset:
    ids = [tokens(language, row) for row in range(num_examples)]
    columns = {
        "input_ids": ids,
        "windows": [[len(one)] for one in ids],
        "targets": [[0]] * num_examples,
        "gold": [[(row + language) % 3] for row in range(num_examples)],
        "index": [1000 + row for row in range(num_examples)],
        "truncated": [False] * num_examples,
    }
    return Dataset.from_dict(columns | ({"token_type_ids": [[n % 2 for n in one] for one in ids]} if types else {}))


def examples(*, types: bool = False) -> Examples:
    return Examples([(language, dataset(language, size, types=types)) for language, size in SIZES.items()])


def place(number: int) -> tuple[int, int]:
    """The language and row of an example id."""
    for language, size in SIZES.items():
        if number < size:
            return language, number
        number -= size
    raise AssertionError


def held(batch: RaggedBatch) -> list[tuple[int, int]]:
    """The (language, row) of each sequence of a batch."""
    return list(zip(batch.languages.tolist(), (batch.indices - 1000).tolist(), strict=True))


def all_of(step: StepBatch) -> list[tuple[int, int]]:
    return [one for batch in step.micro_batches for one in held(batch)]


EVERY = [place(number) for number in range(sum(SIZES.values()))]


@given(st.lists(st.integers(0, len(EVERY) - 1), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_ragged_batch_holds_the_examples_asked_for_in_their_order(ids: list[int]) -> None:
    check_ragged(examples().ragged(ids), ids)


@pytest.mark.parametrize(
    "ids", [[0], [7], [19], [3, 4, 5], [19, 0], [7, 8, 7, 0], list(range(20)), list(range(19, -1, -1))]
)
def test_a_ragged_batch_may_lie_in_one_language_or_in_many(ids: list[int]) -> None:
    check_ragged(examples(types=True).ragged(np.array(ids)), ids, types=True)


def check_ragged(batch: RaggedBatch, ids: Sequence[int], *, types: bool = False) -> None:
    expected = [tokens(*place(number)) for number in ids]
    borders = batch.cu_seqlens.tolist()

    assert held(batch) == [place(number) for number in ids]
    assert batch.gold.tolist() == [sum(place(number)) % 3 for number in ids]
    assert borders == np.cumsum([0, *map(len, expected)]).tolist()
    assert [batch.input_ids[a:b].tolist() for a, b in pairwise(borders)] == expected
    assert batch.position_ids.tolist() == [n for one in expected for n in range(len(one))]
    assert batch.token_type_ids.tolist() == [token % 2 if types else 0 for one in expected for token in one]
    assert (batch.num_sequences, batch.num_tokens) == (len(ids), sum(map(len, expected)))
    assert batch.lengths.tolist() == list(map(len, expected))


def test_a_selection_of_rows_is_read_as_if_it_were_all() -> None:
    """`Dataset.select` leaves the table as it is and keeps a list of rows beside it."""
    chosen = Examples(
        [(1, dataset(1, 10).select([2, 5, 6, 9]).flatten_indices()), (0, dataset(0, 10).select(range(4)))]
    )

    assert len(chosen) == 8
    assert chosen.lengths.tolist() == [len(tokens(1, row)) for row in (2, 5, 6, 9)] + [
        len(tokens(0, row)) for row in range(4)
    ]
    assert held(chosen.ragged([3, 0, 7])) == [(1, 9), (1, 2), (0, 3)]


def test_lengths_are_those_of_the_examples() -> None:
    assert len(examples()) == len(EVERY) == 20
    assert examples().lengths.tolist() == [len(tokens(*one)) for one in EVERY]


@given(st.integers(1, 300), st.integers(0, 2**32), st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_an_epoch_takes_every_example_once(num_examples: int, seed: int, epoch: int) -> None:
    order = epoch_order(num_examples, seed=seed, epoch=epoch)

    assert sorted(order.tolist()) == list(range(num_examples))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_order(50, seed=1, epoch=0).tolist()
    others = [epoch_order(50, seed=seed, epoch=epoch).tolist() for seed, epoch in ((1, 1), (2, 0), (0, 1))]
    np.random.seed(7)  # the global state must not matter

    assert epoch_order(50, seed=1, epoch=0).tolist() == first
    assert len({tuple(order) for order in [first, *others]}) == 4
    assert first != sorted(first)


def training(*, batch_size: int, tokens_per_device: int = 24, seed: int = 1) -> TrainingSteps:
    return TrainingSteps(examples(), batch_size=batch_size, tokens_per_device=tokens_per_device, seed=seed)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 19, 20, 21, 100])
def test_the_steps_of_an_epoch_cover_every_example_once(batch_size: int) -> None:
    steps = training(batch_size=batch_size)
    taken = [steps[2, step] for step in range(len(steps))]
    sizes = [len(all_of(step)) for step in taken]

    assert sorted(one for step in taken for one in all_of(step)) == sorted(EVERY)
    assert sizes == [min(batch_size, 20 - start) for start in range(0, 20, batch_size)], "the last holds the rest"
    assert [step.weight for step in taken] == sizes


def test_steps_follow_the_order_of_their_epoch() -> None:
    steps = training(batch_size=6, seed=3)
    for epoch in (0, 1):
        order = [place(number) for number in epoch_order(20, seed=3, epoch=epoch)]
        for step in range(len(steps)):
            assert sorted(all_of(steps[epoch, step])) == sorted(order[6 * step : 6 * step + 6])


@pytest.mark.parametrize("tokens_per_device", [1, 11, 24, 50, 10_000])
def test_the_token_budget_moves_no_example_to_another_step(tokens_per_device: int) -> None:
    ours, whole = training(batch_size=8, tokens_per_device=tokens_per_device), training(batch_size=8)
    for step in range(len(whole)):
        mine = ours[1, step]
        assert Counter(all_of(mine)) == Counter(all_of(whole[1, step]))
        assert mine.weight == whole[1, step].weight
        assert all(part.num_tokens <= tokens_per_device or part.num_sequences == 1 for part in mine.micro_batches)


@pytest.mark.parametrize("steps_per_epoch", [1, 4, 7])
def test_steps_go_on_wherever_training_stands(steps_per_epoch: int) -> None:
    done = 0
    steps = Steps(steps_per_epoch=steps_per_epoch, steps_done=lambda: done)
    whole = [divmod(number, steps_per_epoch) for number in range(3 * steps_per_epoch)]
    for done in range(3 * steps_per_epoch):  # read by the sampler
        epoch = done // steps_per_epoch
        assert list(steps) == whole[done : (epoch + 1) * steps_per_epoch]
        assert len(steps) == steps_per_epoch


@pytest.mark.parametrize("tokens_per_device", [10, 24, 10_000])
def test_an_evaluation_takes_every_example_once_and_the_longest_first(tokens_per_device: int) -> None:
    batches = EvaluationBatches(examples(), tokens_per_device=tokens_per_device)
    taken = [batches[number] for number in range(len(batches))]
    lengths = np.concatenate([np.diff(batch.cu_seqlens) for batch in taken])

    assert sorted(one for batch in taken for one in held(batch)) == sorted(EVERY)
    assert (np.diff(lengths) <= 0).all()
    assert all(batch.num_tokens <= tokens_per_device or batch.num_sequences == 1 for batch in taken)
    assert len(taken) > 1 or tokens_per_device == 10_000


@pytest.mark.parametrize("num_examples", [1, 2, 1000, 100_003])
def test_the_order_of_an_epoch_is_the_permutation_of_its_seed(num_examples: int) -> None:
    order = epoch_order(num_examples, seed=3, epoch=2)
    assert order.tolist() == np.random.default_rng((3, 2)).permutation(num_examples).tolist()
    assert order.nbytes == 4 * num_examples


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_micro_batches_are_as_large_as_the_budget_lets_them_be(drawn: list[int], budget: int) -> None:
    lengths = np.array(drawn, dtype=np.int32)
    parts = micro_batches(lengths, tokens_per_device=budget)

    longest_first = sorted(range(len(drawn)), key=lambda place: -drawn[place])
    assert [place for part in parts for place in part.tolist()] == longest_first
    assert all(lengths[part].sum() <= budget or len(part) == 1 for part in parts)
    assert all(lengths[one].sum() + lengths[other[0]] > budget for one, other in pairwise(parts))


def test_billions_of_tokens_do_not_overflow() -> None:
    lengths = np.full(20_000, 2**20, dtype=np.int32)
    assert [len(part) for part in micro_batches(lengths, tokens_per_device=2**24)] == [16] * 1250


SHARES = st.tuples(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 5))


@given(SHARES)
@settings(max_examples=100, deadline=None)
def test_a_step_is_dealt_out_whole_and_nearly_evenly(drawn: tuple[list[int], int]) -> None:
    lengths, num_ranks = np.array(drawn[0], dtype=np.int64), drawn[1]
    shares = split_over_ranks(lengths, num_ranks=num_ranks)
    held = [int(lengths[share].sum()) for share in shares]

    assert len(shares) == num_ranks
    assert sorted(place for share in shares for place in share.tolist()) == list(range(len(lengths)))
    assert max(held) - min(held) <= max(lengths, default=0)
    again = split_over_ranks(lengths, num_ranks=num_ranks)
    assert [share.tolist() for share in again] == [share.tolist() for share in shares]


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
@pytest.mark.parametrize("tokens_per_device", [11, 24, 10_000])
def test_the_ranks_share_a_step_in_equally_many_micro_batches(num_ranks: int, tokens_per_device: int) -> None:
    options = {"batch_size": 6, "tokens_per_device": tokens_per_device, "seed": 1}
    ranks = [TrainingSteps(examples(), **options, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
    whole = TrainingSteps(examples(), **options)
    for step in range(len(whole)):
        parts = [rank[0, step] for rank in ranks]
        real = [one for part in parts for one in all_of(part) if one[0] != NOBODY]
        assert sorted(real) == sorted(all_of(whole[0, step]))
        assert {part.weight for part in parts} == {whole[0, step].weight}
        assert len({len(part.micro_batches) for part in parts}) == 1
        assert all(len(part.micro_batches) > 0 for part in parts)


@pytest.mark.parametrize("num_ranks", [2, 3, 30])
def test_an_evaluation_is_dealt_out_in_whole_batches(num_ranks: int) -> None:
    whole = EvaluationBatches(examples(), tokens_per_device=24)
    ranks = [
        EvaluationBatches(examples(), tokens_per_device=24, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)
    ]
    dealt_out = [held(rank[place]) for rank in ranks for place in range(len(rank))]

    assert len({len(rank) for rank in ranks}) == 1
    assert len(ranks[0]) > 0
    assert sorted(one for one in dealt_out if one[0][0] != NOBODY) == sorted(held(whole[n]) for n in range(len(whole)))


def test_a_ghost_is_one_token_without_a_label() -> None:
    batch = examples().ghost()

    assert (batch.num_tokens, batch.num_sequences, batch.gold.tolist()) == (1, 1, [NO_LABEL])
    assert batch.languages.tolist() == [NOBODY]
