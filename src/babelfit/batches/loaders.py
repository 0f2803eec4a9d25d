"""How batches come to the training process: built by it, or ahead of time by workers. What is in them: steps.py."""

import errno
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from babelfit.errors import UserError, first_line

SHARED_MEMORY = Path("/dev/shm")
"""Where workers put batches for the training process."""


def dataloader(
    batches: Dataset[Any], *, sampler: Sampler[Any] | None = None, num_workers: int, pin_memory: bool
) -> DataLoader[Any]:
    """Return a loader of batches as they are; workers stay from epoch to epoch, and page-locked memory is for GPUs."""
    return DataLoader(
        batches,
        sampler=sampler,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        worker_init_fn=_without_signals,
        pin_memory=pin_memory,
    )


@contextmanager
def workers_explained() -> Iterator[None]:
    """Raise UserError for what workers die of: shared memory that is too small, and the kernel."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = str(error)
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None
        if is_full or re.search("shared memory|No space left on device.*torch_|torch_.*No space left on device", said):
            size = f" of {shutil.disk_usage(SHARED_MEMORY).total / 1e6:.1f} MB" if SHARED_MEMORY.is_dir() else ""
            raise UserError(
                f"the shared memory{size} in {SHARED_MEMORY} is too small for the batches of trainer.workers "
                f"({first_line(error)}): take trainer.workers=0, or give a container more (docker run --shm-size=2g)"
            ) from error
        if found := re.search(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (.*)", said):
            raise UserError(
                f"the worker {found[1]} of trainer.workers {found[2].rstrip('. ')}: the kernel kills one when memory "
                "runs out. Take fewer trainer.workers, or 0; the same command goes on from the last checkpoint"
            ) from error
        raise


def _as_it_is(batch: Any) -> Any:
    return batch


def _without_signals(_: int) -> None:
    """Leave signals to the training process, which may need a few more batches; it ends its workers itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
