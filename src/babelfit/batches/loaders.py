"""How batches come to the training process: built by it, or ahead of time by workers. What is in them: steps.py."""

import signal
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler


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


def _as_it_is(batch: Any) -> Any:
    return batch


def _without_signals(_: int) -> None:
    """Leave signals to the training process, which may need a few more batches; it ends its workers itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
