"""Gold is of any type and shape: it is read, moved and cut as labels are, and what is missing is known in each."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset

from babelfit.batches.ragged import NO_LABEL, NOBODY, Examples, gold_values, has_gold
from babelfit.batches.steps import TrainingSteps

KINDS: dict[str, tuple[pa.DataType, list[Any], Any]] = {
    "labels": (pa.int32(), [2, 0, NO_LABEL, 1], np.int64),
    "numbers": (pa.float32(), [0.5, -100.0, float("nan"), 3.25], np.float32),
    "places": (pa.list_(pa.int32(), 2), [[3, 4], [0, 0], [NO_LABEL, NO_LABEL], [7, 9]], np.int64),
    "several numbers": (pa.list_(pa.float32(), 3), [[1, 0, 1], [0, 0, 0], [float("nan")] * 3, [1, 1, 1]], np.float32),
}
MISSING = [True, True, False, True]


def examples(kind: pa.DataType, gold: list[Any]) -> Examples:
    """Examples of one to four tokens, each with one target."""
    ids = [list(range(5, 6 + row)) for row in range(len(gold))]
    columns = {
        "input_ids": pa.array(ids, pa.list_(pa.int32())),
        "windows": pa.array([[len(one)] for one in ids], pa.list_(pa.int32())),
        "targets": pa.array([[0]] * len(ids), pa.list_(pa.int32())),
        "gold": pa.array([[one] for one in gold], pa.list_(kind)),
        "index": pa.array(range(len(ids))),
    }
    return Examples([(0, Dataset(pa.table(columns)))])


@pytest.mark.parametrize("name", KINDS)
def test_gold_is_read_in_the_order_asked_for_and_goes_with_its_sequences(name: str) -> None:
    kind, gold, dtype = KINDS[name]
    expected = np.array(gold, dtype=dtype)
    batch = examples(kind, gold).ragged([3, 1, 2, 0])

    assert batch.gold.dtype == dtype
    np.testing.assert_array_equal(batch.gold, expected[[3, 1, 2, 0]])
    moved = batch.to("cpu")
    assert moved.gold.shape == batch.gold.shape
    halves = [half.gold for half in moved.halves()]
    assert all(len(half) for half in halves)
    torch.testing.assert_close(torch.cat(halves), moved.gold, equal_nan=True)


@pytest.mark.parametrize("name", KINDS)
def test_missing_gold_is_known_in_arrays_and_tensors(name: str) -> None:
    kind, gold, _ = KINDS[name]
    batch = examples(kind, gold).ragged(range(4))
    assert has_gold(batch.gold).tolist() == MISSING
    assert has_gold(batch.to("cpu").gold).tolist() == MISSING
    assert has_gold(batch.gold[:0]).tolist() == []
    assert has_gold(gold_values(pa.chunked_array([pa.array(gold[:1], kind), pa.array(gold[1:], kind)]))).tolist() == (
        MISSING
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_ghost_has_gold_of_the_same_kind_which_is_missing(name: str) -> None:
    kind, gold, dtype = KINDS[name]
    rows = examples(kind, gold)
    ghost, batch = rows.ghost(), rows.ragged([0])

    assert (ghost.num_tokens, ghost.num_sequences, ghost.languages.tolist()) == (1, 1, [NOBODY])
    assert (ghost.gold.dtype, ghost.gold.shape) == (dtype, batch.gold.shape)
    assert has_gold(ghost.gold).tolist() == [False]
    # Of one example, the other rank has nothing else.
    ranks = [TrainingSteps(rows, batch_size=1, tokens_per_device=9, seed=1, rank=rank, num_ranks=2) for rank in (0, 1)]
    shares = [rank[0, 0] for rank in ranks]
    assert [share.weight for share in shares] == [1, 1]
    assert [share.micro_batches[0].languages.tolist() for share in shares] == [[0], [NOBODY]]
