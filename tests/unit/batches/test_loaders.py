"""What workers of a loader die of is said; anything else is not touched."""

import errno
import re

import pytest

from babelfit.batches.loaders import workers_explained
from babelfit.errors import UserError


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("unable to write to file </torch_123_456>: No space left on device (28)"),
        RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: Success (0)"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                     "workers are out of shared memory."),
    ],
)  # fmt: skip
def test_shared_memory_that_is_too_small_is_named_with_the_way_out(error: Exception) -> None:
    with pytest.raises(UserError, match=r"trainer\.workers=0, or give a container more"), workers_explained():
        raise error


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "DataLoader worker (pid 7204) is killed by signal: Killed. ",
            "the worker 7204 .* is killed by signal: Killed:",
        ),
        ("DataLoader worker (pid(s) 12, 13) exited unexpectedly", "the worker 12, 13 .* exited unexpectedly:"),
    ],
)
def test_a_worker_that_is_gone_is_named(said: str, told: str) -> None:
    with pytest.raises(UserError, match=told), workers_explained():
        raise RuntimeError(said)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device", "outputs/x"), RuntimeError("mat1 and mat2"), KeyError(1)]
)
def test_other_errors_are_raised_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))), workers_explained():
        raise error
