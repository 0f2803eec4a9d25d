"""The processes of a command: one a device. Starts those that nobody else starts, and looks after them.

torchrun and SLURM's srun start a process per device themselves. Without them `babelfit train trainer.devices=2` is a
supervisor: it runs the same command once per device and waits.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from babelfit.config.schema import TrainerConfig
from babelfit.devices import preemption
from babelfit.devices.program import this_command
from babelfit.errors import UserError

log = logging.getLogger(__name__)

SUPERVISOR = "BABELFIT_SUPERVISOR"
"""The environment variable that holds the process id of a process's supervisor."""

ONE_OF_SEVERAL = "BABELFIT_ONE_OF_SEVERAL"
"""The environment variable that a supervisor sets for the processes of several devices; for a sweep's trial, not."""

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")

PROCESSES_PER_CORE = 8
"""More are refused: they are a mistake, and a machine that has to make them all may not come back."""

SECONDS_TO_END = 10
"""How long the others may go on once one has failed: they end by themselves, unless they wait for it."""


def run_in_subprocesses(config: TrainerConfig, *, command: Sequence[str] | None = None) -> bool:
    """Run this command in a process per device, and return True once all have ended well; exit where one has not.

    Where this process is no command, which one the processes run is given.

    Return False where this process is one of those, or the only one that is needed. Raise UserError, before
    anything is started, where the devices are not there or the processes do not fit them.
    """
    wanted = config.devices * config.num_nodes
    if (launcher := _launcher()) is not None:
        name, devices, nodes = launcher
        if (devices, nodes) != (config.devices, config.num_nodes):
            raise UserError(
                f"trainer.devices={config.devices} trainer.num_nodes={config.num_nodes}, but {name} started {devices} "
                f"processes on each of {nodes} machines: add trainer.devices={devices} trainer.num_nodes={nodes}"
            )
        return False
    if config.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={config.num_nodes}: nobody started the other machines. Start the command on each by "
            f"torchrun --nnodes {config.num_nodes} --nproc-per-node {config.devices} ..., or by srun under SLURM"
        )
    check_devices(config)
    if wanted == 1 or ONE_OF_SEVERAL in os.environ:
        return False
    shared = {
        ONE_OF_SEVERAL: "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(wanted),
        "NODE_RANK": "0",
        # As many threads in all as there are cores.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, count_cores() // wanted))),
    }
    environments = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(wanted)]
    status = run(environments, command=command or this_command())
    if status:
        sys.exit(status)
    return True


def is_one_of_several() -> bool:
    """Return whether somebody started this process as one of several for the same command: we, torchrun or srun."""
    return ONE_OF_SEVERAL in os.environ or _launcher() is not None


def drop_foreign_rank_variables() -> None:
    """Drop RANK and its like from the environment of a process that is alone: Lightning and torch would believe them.

    Operators of clusters set them in every container, whatever runs in it.
    """
    if not is_one_of_several():
        for name in RANKS:
            os.environ.pop(name, None)


def check_devices(config: TrainerConfig, *, precision: str | None = None) -> str:
    """Return where a run goes, `gpu` or `cpu`; raise UserError where this machine cannot do what is asked."""
    if config.accelerator not in ("auto", "cpu", "gpu"):
        raise UserError(f"trainer.accelerator={config.accelerator}: must be one of auto, cpu, gpu")
    num_gpus = 0 if config.accelerator == "cpu" else count_gpus()
    if config.accelerator == "gpu" and not num_gpus:
        raise UserError("trainer.accelerator=gpu: no GPU is visible; use trainer.accelerator=cpu")
    if precision == "16-mixed" and not num_gpus:
        raise UserError("trainer.precision=16-mixed needs a GPU; on CPU use 32-true or bf16-mixed")
    most = PROCESSES_PER_CORE * count_cores()
    if not num_gpus and config.devices > most:
        raise UserError(f"trainer.devices={config.devices}: at most {most} processes on this machine's cores")
    if config.devices > max(num_gpus, 1) and config.accelerator != "cpu":
        raise UserError(
            f"trainer.devices={config.devices}: this machine has {num_gpus} visible GPUs"
            f"{'' if num_gpus else '; for processes on the CPU add trainer.accelerator=cpu'}"
        )
    return "gpu" if num_gpus else "cpu"


def num_workers(config: TrainerConfig) -> int:
    """Return how many processes build batches ahead of time: a GPU must not wait, a CPU has no core to spare."""
    if config.workers is not None:
        most = PROCESSES_PER_CORE * count_cores()
        if config.workers > most:
            raise UserError(
                f"trainer.workers={config.workers}: at most {most} on this machine of {count_cores()} cores; more than "
                "one or two for each device give nothing"
            )
        return config.workers
    return 2 if check_devices(config) == "gpu" else 0


def run(environments: Sequence[dict[str, str]], *, command: Sequence[str]) -> int:
    """Run a command in a process for each environment, wait for all, return the status of the first to fail."""
    with supervise() as processes:
        for own in environments:
            processes.start(command, environment=os.environ | own)
        return _first_failure(processes.running)


class Processes:
    """Processes of ours, which get the signals that come to this one: they are not in the terminal's process group."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []
        self.received: signal.Signals | None = None  # the last signal that came

    def start(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one more, which ends with this one; what it says goes to this terminal, or to a file."""
        own = {**environment, SUPERVISOR: str(os.getpid())}
        error = None if log is None else subprocess.STDOUT
        process = subprocess.Popen(command, env=own, start_new_session=True, stdout=log, stderr=error)
        self.running.append(process)
        if self.received is not None:
            process.send_signal(self.received)
        return process

    def pass_on(self, number: int, _: FrameType | None) -> None:
        """Send a signal to all of them, each once."""
        self.received = signal.Signals(number)
        for process in self.running:
            process.send_signal(number)


@contextmanager
def supervise(*, seconds_to_end: float = 0) -> Iterator[Processes]:
    """Pass signals on to the processes that are started within, and leave none of them behind.

    Those that an error leaves running may take so many seconds to write a checkpoint.
    """
    processes = Processes()
    signals = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.signal(number, processes.pass_on) for number in signals]
    try:
        yield processes
    finally:
        if seconds_to_end:
            _end(processes.running, seconds=seconds_to_end)
        for process in processes.running:
            process.kill()
            process.wait()
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _end(processes: Sequence[subprocess.Popen[bytes]], *, seconds: float) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + seconds
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)


def end_with_supervisor() -> None:
    """Watch over the supervisor, where there is one: if it is gone, end as on SIGTERM, with a checkpoint."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:
        return

    def watch() -> None:
        while str(os.getppid()) == supervisor:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _first_failure(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until all have ended well, or one has not; then not much longer for the others."""
    first, deadline = None, float("inf")
    while time.monotonic() < deadline:
        statuses = [process.poll() for process in processes]
        if first is None and any(statuses):
            first = next((rank, status) for rank, status in enumerate(statuses) if status)
            deadline = time.monotonic() + SECONDS_TO_END
            if first[1] == preemption.EXIT_STATUS:
                deadline += preemption.SECONDS_TO_REQUEUE
        if None not in statuses:
            break
        time.sleep(0.05)
    rank, status = first or (0, 0)
    # A process that was killed could not say so itself.
    if status < 0:
        log.error("process %d of %d was killed by %s", rank, len(processes), signal.Signals(-status).name)
        return 128 - status
    return status


def _launcher() -> tuple[str, int, int] | None:
    """Return who else started this process, with the processes on each machine and the number of machines."""
    found = os.environ.get
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(found("LOCAL_WORLD_SIZE", "1"))
        return "torchrun", devices, int(found("WORLD_SIZE", "1")) // devices
    # In a batch script of SLURM without srun there is no step, and the lone task of one is a shell or its like.
    tasks = int(found("SLURM_STEP_NUM_TASKS", found("SLURM_NTASKS", "1")))
    if "SLURM_STEP_ID" in os.environ and tasks > 1:
        nodes = int(found("SLURM_STEP_NUM_NODES", found("SLURM_JOB_NUM_NODES", "1")))
        return "srun", tasks // nodes, nodes
    return None


def count_gpus() -> int:
    """Return how many GPUs this process sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def count_cores() -> int:
    """Return how many cores this process may use, or all, where a system cannot say it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
