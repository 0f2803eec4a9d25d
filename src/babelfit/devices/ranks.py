"""The processes of one run: who is who, and how they agree. One process alone needs no group and agrees with itself.

Rank 0 alone decides and writes what is shared; `from_first` gives the others its result, or ends them with its mistake.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from babelfit.config.schema import TrainerConfig
from babelfit.devices.launch import check_devices
from babelfit.errors import UserError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from torch import Tensor

Result = TypeVar("Result")

LONGEST_WAIT = timedelta(hours=12)
"""How long one rank may work alone, on a large checkpoint or a slow disk; NCCL would end the run after 10 minutes."""

_END = "babelfit/end"
"""What the keys begin with under which the ranks let each other know, in the group's store, how they end."""


@contextmanager
def process_group(config: TrainerConfig) -> Iterator[None]:
    """Make the group of all processes of this command, for as long as it works well."""
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    size = config.devices * config.num_nodes
    if size == 1 or distributed.is_initialized():
        yield
        return
    cluster = cluster_environment()
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = cluster.main_address, str(cluster.main_port)
    options: dict[str, Any] = {"backend": "gloo"}
    if check_devices(config) == "gpu":
        device = torch.device("cuda", cluster.local_rank())
        torch.cuda.set_device(device)
        options = {"backend": "cpu:gloo,cuda:nccl", "device_id": device}
    rank = cluster.node_rank() * config.devices + cluster.local_rank()
    # A process that never comes is missed after torch's half hour; those that came wait much longer for each other.
    store, _, _ = next(rendezvous("env://", rank, size))
    store.set_timeout(LONGEST_WAIT)
    distributed.init_process_group(store=store, rank=rank, world_size=size, timeout=LONGEST_WAIT, **options)
    yield
    # After a mistake the others may be anywhere: the end of the process takes the group with it.
    distributed.barrier()
    distributed.destroy_process_group()


def cluster_environment() -> "ClusterEnvironment":
    """Return what Lightning has to know of who started the processes: torchrun, srun, or launch.py."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if "SLURM_STEP_ID" in os.environ and SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()


def rank() -> int:
    """Return the number of this process in its group; one process alone is 0."""
    if _grouped():
        from torch import distributed

        return distributed.get_rank()
    return 0


def launched_rank() -> int:
    """Return the rank that this process was started with, also before there is a process group."""
    if _grouped():
        return rank()
    started = os.environ.get
    return int(started("RANK") or (started("SLURM_PROCID") if "SLURM_STEP_ID" in os.environ else None) or 0)


def world_size() -> int:
    """Return the number of processes of this run."""
    if _grouped():
        from torch import distributed

        return distributed.get_world_size()
    return 1


def from_first(work: Callable[[], Result]) -> Result:
    """Do a piece of work on rank 0 alone; return its result, or raise its UserError or OSError, on every rank."""
    if world_size() == 1:
        return work()
    from torch import distributed

    outcome: list[Any] = [None, None]
    raised: Exception | None = None
    if rank() == 0:
        try:
            outcome[0] = work()
        except (UserError, OSError) as error:
            raised, outcome[1] = error, str(error)
    distributed.broadcast_object_list(outcome)
    if raised is not None:
        raise raised
    if outcome[1] is not None:
        raise UserError(outcome[1])
    result: Result = outcome[0]
    return result


@contextmanager
def enter_on_first(context: Callable[[], AbstractContextManager[Result]]) -> Iterator[Result]:
    """Enter a context on rank 0 alone; yield what it gives on every rank."""
    with ExitStack() as stack:
        yield from_first(lambda: stack.enter_context(context()))


def any_rank(decision: bool) -> bool:
    """Return whether any rank decides so; all must ask. Hosts agree among themselves, and wait for no GPU."""
    if world_size() == 1:
        return decision
    import torch
    from torch import distributed

    vote = torch.tensor(int(decision))
    distributed.all_reduce(vote, op=distributed.ReduceOp.MAX)
    return bool(vote)


def sum_over_ranks(value: "Tensor") -> "Tensor":
    """Add up a tensor over the ranks, in place; no rank waits for the sum before it asks for it."""
    if world_size() > 1:
        from torch import distributed

        distributed.all_reduce(value)
    return value


def gather_to_first(value: Result) -> list[Result]:
    """Return the values of all ranks, in their order, on rank 0, and an empty list on the others."""
    if world_size() == 1:
        return [value]
    from torch import distributed

    values: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(value, values)
    return values or []


def is_first_to_end(why: str) -> bool:
    """Return whether this process is the first of its run to end badly: it says why, the others follow from it."""
    if not _grouped():
        # Each machine for itself: what is wrong may be wrong on one of them.
        return int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0) == 0
    try:
        if _store().add(f"{_END}/claimed", 1) > 1:
            return False
        _store().set(f"{_END}/why", why.encode(errors="backslashreplace"))
    except RuntimeError:
        # The store is rank 0's: without it, rank 0 has ended, and has said why.
        return False
    return True


def why_another_ended() -> str | None:
    """Return why the first process to end badly did; None where none has said so yet."""
    if not _grouped():
        return None
    with suppress(RuntimeError):
        if _store().check([f"{_END}/why"]):
            why: str = _store().get(f"{_END}/why").decode()
            return why
    return None


def end_after_first(work: Callable[[], None], *, seconds: float) -> None:
    """Let rank 0 do the last thing of all; the others end after it, but wait no longer than so many seconds.

    Whoever looks after the processes may kill those that are left once one has ended.
    """
    if launched_rank() == 0:
        work()
    if not _grouped():
        return
    # Without the store, rank 0 has ended, or the others have.
    with suppress(RuntimeError):
        if rank() == 0:
            _store().set(f"{_END}/done", "")
        else:
            _store().wait([f"{_END}/done"], timedelta(seconds=seconds))


def quiet_other_ranks() -> None:
    """Let every rank but the first say only what goes wrong, and what happens on it alone."""
    if launched_rank():
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger("babelfit.batches.budget").setLevel(logging.WARNING)
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _store() -> Any:
    from torch import distributed

    return distributed.distributed_c10d._get_default_store()


def _grouped() -> bool:
    # A command that never gets as far as torch has no group, and shall not wait for the import.
    import sys

    if "torch" not in sys.modules:
        return False
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized()
