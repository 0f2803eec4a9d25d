"""When memory runs out the same work is done again in smaller parts, as long as that is for this device to decide."""

import numpy as np
import pytest
import torch
from tiny import ragged

from babelfit.batches.budget import TokenBudget
from babelfit.errors import UserError


def test_parts_hold_all_sequences_in_order_and_no_more_tokens_than_the_budget() -> None:
    batch = ragged([30, 9, 8, 8, 1])
    parts = TokenBudget(17).parts(batch)

    assert all(part.num_tokens <= 17 or part.num_sequences == 1 for part in parts)
    assert torch.equal(torch.cat([part.input_ids for part in parts]), batch.input_ids)
    assert np.concatenate([part.lengths for part in parts]).tolist() == [30, 9, 8, 8, 1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: no memory")])
def test_work_is_done_again_under_half_the_budget_until_it_fits(error: RuntimeError) -> None:
    budget = TokenBudget(64)

    def work() -> int:
        if budget.tokens > 20:
            raise error
        return budget.tokens

    assert budget.within(work, alone=True) == 16
    with pytest.raises(UserError, match=r"trainer\.tokens_per_device=8 \(half\)"):
        budget.halve(alone=False)
    with pytest.raises(UserError, match="out of memory with a single example"):
        TokenBudget(1).halve(alone=True)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def work() -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        TokenBudget(64).within(work, alone=True)
