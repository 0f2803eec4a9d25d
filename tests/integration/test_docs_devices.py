"""The commands of the pages on interruptions and devices are run, on as many processes as a CPU has.

What differs from the pages: the data are small, GPUs are processes on the CPU, and an encoder that would have to be
downloaded is the bundled one.
"""

import os
import re
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doc_commands
import forked
import pytest
from doc_commands import Command
from tiny import RANDOM

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300
TINY = (
    "trainer.accelerator=cpu",
    *RANDOM,
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "data.limit={train: 64, validation: 16, test: 16}",
    "data.languages=[en]",
    "optimization.max_steps=2",
    "logger.tensorboard=false",
)
OF_SRUN = {
    "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NAME": "train", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NUM_NODES": "1",
    "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
}  # fmt: skip
"""What srun sets for each of two tasks on one machine, beside their numbers."""


INTERRUPTED, DEVICES = (doc_commands.on(ROOT / "docs" / f"{page}.md") for page in ("interruptions", "devices"))


def on_cpu(command: Command) -> list[str]:
    """Turn a command for GPUs into the same for two processes on the CPU."""
    small = re.sub(r"trainer\.devices=\d+", "trainer.devices=2", shlex.join(command.words))
    small = small.replace("encoder=xlmr_large", "encoder=mini").replace("seed=1,2,3", "seed=1")
    return shlex.split(small)


def test_torchrun_is_told_of_as_many_processes_as_the_config() -> None:
    [command] = [one.line for one in DEVICES if one.words[0] == "torchrun"]
    options = dict(re.findall(r"(--nnodes|--nproc-per-node|trainer\.devices|trainer\.num_nodes)[= ](\d+)", command))
    assert options["--nproc-per-node"] == options["trainer.devices"]
    assert options["--nnodes"] == options["trainer.num_nodes"]


def test_an_interrupted_run_goes_on_as_the_page_says(train: Callable[..., Any]) -> None:
    first, again, never = (command.words[2:] for command in INTERRUPTED)
    small = ("data.languages=[en]", "optimization.max_steps=2")

    assert train(*first, *small).status == 0
    outcome = train(*again, *small)
    assert outcome.status == 0
    assert "is complete: nothing to train" in outcome.err
    refused = train(*never, *small)
    assert refused.status == 2
    assert "resume=never" in refused.err


def processes(command: Command) -> list[tuple[list[str], dict[str, str]]]:
    """Return what stands for a command on this machine: arguments of Python's and the environment, of each process."""
    program, *arguments = on_cpu(command)
    if program == "torchrun":
        # Two machines of one process each: both are this one.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{free.getsockname()[1]}"
        line = " ".join(arguments).replace("HOST:29500", endpoint).replace("trainer.devices=2", "trainer.devices=1")
        arguments = re.sub(r"--nproc-per-node \d+", "--nproc-per-node 1", line).split()
        return [(["-m", "torch.distributed.run", *arguments, *TINY], {})] * 2
    if program == "srun":
        option, python, *arguments = arguments
        assert (option[:2], python) == ("--", "python")
        own = [OF_SRUN | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)} for task in range(2)]
        return [([*arguments, "trainer.devices=2", *TINY], one) for one in own]
    return [(["-P", "-m", program, *arguments, *TINY], {})]


@pytest.mark.parametrize("command", DEVICES, ids=lambda command: command.line)
def test_a_command_for_several_devices_ends_well(command: Command, in_folder: Path, cache: Path) -> None:
    for name in ("train.py", "conf"):
        (in_folder / name).symlink_to(ROOT / name)
    environment = os.environ | {"BABELFIT_CACHE": str(cache), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    started = []
    for number, (arguments, own) in enumerate(processes(command)):
        with Path(f"said-{number}.txt").open("w") as file:
            python = [sys.executable, *arguments]
            started.append(forked.Forked(python, env=environment | own, stdout=file, stderr=file))
    statuses = [process.wait(SECONDS) for process in started]

    said = [path.read_text() for path in sorted(in_folder.glob("said-*.txt"))]
    assert set(statuses) == {0}, said
    # Ours begin a line. torchrun logs one after a stamp where the other machine's end takes its store away.
    assert not any(re.search("^Traceback", text, flags=re.MULTILINE) for text in said), said
    runs = sorted(path.parent for path in (in_folder / "outputs").rglob("report.md"))
    assert len(runs) == 1
