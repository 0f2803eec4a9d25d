"""The commands of the pages on interruptions and devices are run, on as many processes as a CPU has.

What differs from the pages: the data are small, GPUs are processes on the CPU, and an encoder that would have to be
downloaded is the bundled one.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doc_commands
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
SRUN = """#!/bin/sh
# Two tasks on one machine, as srun starts them.
shift
export SLURM_JOB_ID=$$ SLURM_JOB_NAME=train SLURM_STEP_ID=0 SLURM_STEP_NUM_NODES=1 SLURM_STEP_NUM_TASKS=2 SLURM_NTASKS=2
export SLURM_NTASKS_PER_NODE=2 SLURM_JOB_NUM_NODES=1 SLURM_NNODES=1 SLURM_NODEID=0 SLURM_NODELIST=localhost
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & other=$!
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" && wait $other
"""


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


@pytest.fixture
def environment(tmp_path: Path, cache: Path) -> dict[str, str]:
    """What the commands find: this Python as `python`, torchrun, and a stand-in for srun."""
    programs = tmp_path / "bin"
    programs.mkdir()
    # Not a link, which would not be of the virtual environment.
    python = f'#!/bin/sh\nexec "{sys.executable}"'
    stand_ins = {"python": f'{python} "$@"\n', "babelfit": f'{python} -P -m babelfit "$@"\n', "srun": SRUN}
    for name, script in stand_ins.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"BABELFIT_CACHE": str(cache), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PATH": path}
    return os.environ | own


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for processes that must end well; return what they said."""
    said = [process.communicate(timeout=SECONDS)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


@pytest.mark.parametrize("command", DEVICES, ids=lambda command: command.line)
def test_a_command_for_several_devices_ends_well(command: Command, tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("train.py", "conf"):
        (tmp_path / name).symlink_to(ROOT / name)
    program, *arguments = on_cpu(command)
    machines = 1
    if program == "torchrun":
        # Two machines of one process each: both are this one.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{free.getsockname()[1]}"
        line = " ".join(arguments).replace("HOST:29500", endpoint).replace("trainer.devices=2", "trainer.devices=1")
        arguments = re.sub(r"--nproc-per-node \d+", "--nproc-per-node 1", line).split()
        machines = 2
    if program == "srun":
        arguments.append("trainer.devices=2")
    found = shutil.which(program, path=environment["PATH"])
    assert found is not None
    said = ended(
        [
            subprocess.Popen(
                [found, *arguments, *TINY],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(machines)
        ]
    )

    # Ours begin a line. torchrun logs one after a stamp where the other machine's end takes its store away.
    assert not any(re.search("^Traceback", text, flags=re.MULTILINE) for text in said), said
    runs = sorted(path.parent for path in (tmp_path / "outputs").rglob("report.md"))
    assert len(runs) == 1
