"""One, two and three processes on the CPU (gloo) do the same run; whatever one of them does, none hangs.

Losses and weights are compared in 64-true, where no rounding can hide a mistake. Starting processes takes seconds, so
most runs share three groups of them (`several`), made once.
"""

import csv
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from safetensors.torch import load_file
from tiny import RANDOM

from babelfit.ledger.study import read_sweep

ROOT = Path(__file__).resolve().parents[2]
IN_RANKS = ROOT / "tests" / "helpers" / "in_ranks.py"
STRANGE = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}
"""What some clusters set in every container, whatever runs in it."""

SECONDS = 150
"""How long a command may take before it counts as hanging."""

UNEVEN = (
    *RANDOM,
    "encoder.overrides={num_hidden_layers: 2, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64, "
    "hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}",
    # Four steps an epoch: three of 15 examples, and one of a single example, of which some ranks get none.
    "data.train_languages=[en,de]",
    "data.limit={train: 23, validation: 11, test: 31}",
    "optimization.batch_size=15",
    "data.max_length=64",
    "trainer.tokens_per_device=64",
    "data.languages=[en,de,sw]",
    "optimization.epochs=2",
    "validation.every=3",
    "checkpoint.every=1",
    "logger.every=1",
    "logger.tensorboard=false",
)


def train(name: str, *arguments: str, fault: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"script": "train", "arguments": [*UNEVEN, f"name={name}", *arguments], "fault": fault}


def evaluate(name: str, *arguments: str) -> dict[str, Any]:
    return {
        "script": "evaluate",
        "arguments": ["model=outputs/double-1/model", "data=xnli_sample", "languages=[en,de,sw]", f"name={name}",
                      "data.max_length=64", "trainer.tokens_per_device=300", "data.limit.test=40", *arguments],
    }  # fmt: skip


WINDOWS = ("data=wikiann", "data.folder=sample", "data.max_length=8", "trainer.tokens_per_device=8",
           "optimization.max_steps=2", "data.limit={train: 5, validation: 5, test: 5}",
           "optimization.batch_size=3")  # fmt: skip
"""Sentences of several windows, each as long as the budget."""

COMPARED = ("checkpoint.compare=true", "checkpoint.average=2", "optimization.max_steps=6")
POOR = {"kind": "little memory", "rank": 1, "tokens": 40}
DOUBLE, SINGLE, FSDP = "trainer.precision=64-true", "trainer.precision=32-true", "trainer.strategy=fsdp"


@dataclass(frozen=True)
class Ended:
    """How a group of processes ended: as a whole, and each command on each rank."""

    status: int
    err: str
    statuses: list[list[int]]


class Folder:
    """A folder in which commands are run, and what they leave there."""

    def __init__(self, path: Path, *, environment: dict[str, str]) -> None:
        self.path = path
        self.environment = environment

    def start(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a Python command to its end; raises TimeoutExpired where it hangs."""
        environment = self.environment | variables
        return forked.run([sys.executable, *command], cwd=self.path, env=environment, timeout=SECONDS)

    def in_ranks(self, devices: int, *commands: dict[str, Any], **variables: str) -> Ended:
        for path in self.path.glob("statuses-*.json"):
            path.unlink()
        done = self.start(IN_RANKS, str(devices), json.dumps(commands), **variables)
        written = sorted(self.path.glob("statuses-*.json"))
        return Ended(done.returncode, done.stderr, [json.loads(path.read_text()) for path in written])

    def run(self, name: str) -> Path:
        return self.path / "outputs" / name

    def metrics(self, run: str, name: str) -> dict[int, float]:
        with (self.run(run) / "metrics.csv").open(newline="") as file:
            return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["metric"] == name}

    def status(self, run: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.run(run) / "status.json").read_text())
        return status

    def predictions(self, run: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.run(run) / "predictions" / "test").glob("*.jsonl")}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Folder:
    own = {"BABELFIT_CACHE": str(cache), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "COLUMNS": "200"}
    return Folder(tmp_path_factory.mktemp("devices"), environment=os.environ | own)


def _slow_scontrol(folder: Path) -> dict[str, str]:
    """Make a scontrol that takes its time, and then writes down what rank 1 has ended; return a job's environment."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "scontrol"
    script.write_text('#!/bin/sh\nsleep 1\ncat statuses-1.json >> requeued\necho " $@" >> requeued\n')
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "123"}


@pytest.fixture(scope="module")
def several(empty: Folder) -> Iterator[tuple[Folder, Ended, Ended]]:
    """All runs that share processes, on one, two and three; how they ended on two and on three."""
    in_process = runpy.run_path(str(IN_RANKS))["run"]

    def alone(command: dict[str, Any]) -> int:
        arguments = [*command["arguments"], "trainer.accelerator=cpu"]
        return int(in_process(command["script"], arguments, fault=command.get("fault")))

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(empty.path)
        patch.setenv("BABELFIT_CACHE", empty.environment["BABELFIT_CACHE"])
        torch.set_num_threads(1)
        (empty.path / "damaged" / "xnli").mkdir(parents=True)
        (empty.path / "damaged" / "xnli" / "train-en.tsv").write_text("p\th\tmaybe\n")
        assert alone(train("double-1", DOUBLE)) == 0
        assert alone(train("single-1", SINGLE)) == 0
        assert alone(evaluate("evaluated-1")) == 0
        assert alone(train("compared-1", DOUBLE, *COMPARED)) == 0
        assert alone(train("sharded", SINGLE, fault={"kind": "signal", "rank": 0, "step": 2})) == 75
        slurm = _slow_scontrol(empty.path)
        two = empty.in_ranks(
            2,
            train("double-2", DOUBLE),
            train("single-2", SINGLE),
            train("fsdp-2", SINGLE, FSDP),
            evaluate("evaluated-2"),
            train("moved", DOUBLE, fault={"kind": "signal", "rank": 1, "step": 2}),
            train("moved-fsdp", SINGLE, FSDP, fault={"kind": "signal to the supervisor", "rank": 1, "step": 3}),
            train("poor", DOUBLE, "trainer.tokens_per_device=500", fault=POOR),
            train("mistaken", "data=xnli", "data.folder=damaged"),
            train("double-2", DOUBLE, "seed=2"),
            train("full", DOUBLE, fault={"kind": "full disk", "step": 3}),
            train("diverged", DOUBLE, fault={"kind": "no number", "rank": 1, "step": 2}),
            train("sharded", SINGLE, FSDP, fault={"kind": "signal", "rank": 1, "step": 4}),
            train("sharded", SINGLE, FSDP),
            train("windows", *WINDOWS, FSDP),
            train("compared-2", DOUBLE, *COMPARED),
            train("unlucky", DOUBLE, fault={"kind": "no memory for the last backward", "rank": 1}),
            **slurm,
        )
        assert alone(train("moved", DOUBLE, fault={"kind": "signal", "rank": 0, "step": 4})) == 75
        assert alone(train("moved-fsdp", SINGLE, fault={"kind": "signal", "rank": 0, "step": 5})) == 75
        three = empty.in_ranks(
            3,
            train("double-3", DOUBLE),
            train("single-3", SINGLE),
            evaluate("evaluated-3", FSDP),
            train("moved", DOUBLE),
            train("moved-fsdp", SINGLE, "trainer.strategy=ddp"),
            train("killed", fault={"kind": "killed", "rank": 1, "step": 3}),
        )
        torch.set_num_threads(threads)
        yield empty, two, three


def same(folder: Folder, run: str, reference: str, *, within: float) -> None:
    """Check that two runs had the same losses, scores and final weights."""
    assert sorted(folder.metrics(run, "train/loss")) == list(range(1, 9))
    for name in ("train/loss", "source_dev", "validation/f1/en", "validation/accuracy/de", "learning_rate"):
        # metrics.csv has eight digits.
        expected = pytest.approx(folder.metrics(reference, name), abs=max(within, 2e-7))
        assert folder.metrics(run, name) == expected, name
    weights, theirs = (load_file(folder.run(one) / "model" / "model.safetensors") for one in (run, reference))
    for name, value in weights.items():
        # A key's bias changes no attention: its gradient is rounding alone, and Adam makes full steps of it where
        # that is not far below its epsilon.
        if run.startswith("double") or "key.bias" not in name:
            assert (value - theirs[name]).abs().max() < within, name
    assert folder.status(run)["selected"]["step"] == folder.status(reference)["selected"]["step"]


@pytest.mark.parametrize("devices", [2, 3])
def test_several_processes_take_the_steps_of_one(several: tuple[Folder, Ended, Ended], devices: int) -> None:
    folder = several[0]
    same(folder, f"double-{devices}", "double-1", within=1e-11)
    same(folder, f"single-{devices}", "single-1", within=1e-5)
    environment = json.loads((folder.run(f"double-{devices}") / "environment.json").read_text())
    assert environment["processes"] == devices


def test_other_selections_of_several_processes_are_those_of_one(several: tuple[Folder, Ended, Ended]) -> None:
    one, two = (
        json.loads((several[0].run(name) / "selections.json").read_text()) for name in ("compared-1", "compared-2")
    )
    assert one == two


def test_sharded_weights_take_the_same_steps(several: tuple[Folder, Ended, Ended]) -> None:
    same(several[0], "fsdp-2", "single-1", within=1e-5)


def test_a_run_moves_from_two_processes_to_one_to_three(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, three = several
    assert ([one[4] for one in two.statuses], [one[3] for one in three.statuses]) == ([75, 75], [0, 0, 0])
    assert two.err.count("stopped by") == two.statuses[0].count(75), "each signal is told once"
    same(folder, "moved", "double-1", within=1e-11)


def test_a_run_moves_from_sharded_weights_to_whole_ones(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, three = several
    assert ([one[5] for one in two.statuses], [one[4] for one in three.statuses]) == ([75, 75], [0, 0, 0])
    same(folder, "moved-fsdp", "single-1", within=1e-5)


def test_no_rank_ends_before_the_job_is_back_in_the_queue(several: tuple[Folder, Ended, Ended]) -> None:
    # Else whoever looks after the processes could kill the one that puts it there.
    of_rank_1 = several[1].statuses[1]
    assert (several[0].path / "requeued").read_text().splitlines() == [
        f"{json.dumps(of_rank_1[:place])} requeue 123" for place, status in enumerate(of_rank_1) if status == 75
    ]


def test_a_run_moves_from_whole_weights_to_sharded_ones_and_on(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, _ = several
    assert [one[11:13] for one in two.statuses] == [[75, 0], [75, 0]]
    same(folder, "sharded", "single-1", within=1e-5)


def test_sharded_weights_are_gathered_equally_often_for_a_sentence_of_several_windows(
    several: tuple[Folder, Ended, Ended],
) -> None:
    # Otherwise the processes wait for each other, until the time for a command is over.
    assert [one[13] for one in several[1].statuses] == [0, 0]


def test_a_rank_that_runs_out_of_memory_halves_its_budget_alone(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, _ = several
    assert [one[6] for one in two.statuses] == [0, 0]
    assert "tokens_per_device=250 (half)" in two.err
    same(folder, "poor", "double-1", within=1e-11)


def test_a_mistake_is_told_once_and_ends_every_rank(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, _ = several
    assert [one[7:9] for one in two.statuses] == [[2, 2], [2, 2]]
    assert two.err.count("train-en.tsv, line 1") == 1, "what every rank finds"
    assert not folder.run("mistaken").exists()
    assert two.err.count("outputs/double-2 holds another run") == 1, "what rank 0 finds"
    assert "Traceback" not in two.err


def test_what_fails_on_one_rank_in_training_ends_all_and_is_told_once(several: tuple[Folder, Ended, Ended]) -> None:
    folder, two, _ = several
    assert [one[9:11] for one in two.statuses] == [[2, 2], [2, 2]]
    assert two.err.count("the checkpoint at step 3 could not be written") == 1
    assert sorted(path.name for path in (folder.run("full") / "checkpoints").glob("*.ckpt")) == [
        "last.ckpt",
        "previous.ckpt",
    ]
    assert two.err.count("the loss of step 3 is not finite") == 1
    rows = re.findall(r"^  (?:en|de): rows ([\d ]+) \(counted", two.err, re.MULTILINE)
    assert len(" ".join(rows).split()) == 15, "the rows of the whole step are named, not of one rank"
    for run in ("full", "diverged"):
        assert folder.status(run)["state"] == "failed"


def test_memory_that_runs_out_while_others_wait_ends_the_run_with_the_way_on(
    several: tuple[Folder, Ended, Ended],
) -> None:
    folder, two, _ = several
    assert two.status == 2
    assert two.err.count("out of memory where the other devices cannot wait") == 1
    assert "trainer.tokens_per_device=32" in two.err
    status = folder.status("unlucky")
    assert status["state"] == "failed"
    assert "trainer.tokens_per_device=32" in status["why"], "rank 0 says what happened on rank 1"


def test_predictions_are_equal_byte_for_byte_on_any_number_of_processes(several: tuple[Folder, Ended, Ended]) -> None:
    folder = several[0]
    one = folder.predictions("evaluated-1")
    assert sorted(one) == ["de.jsonl", "en.jsonl", "sw.jsonl"]
    assert all(len(rows.splitlines()) == 40 for rows in one.values())
    assert folder.predictions("evaluated-2") == folder.predictions("evaluated-3") == one


def test_torchrun_starts_the_processes_of_one_run(several: tuple[Folder, Ended, Ended]) -> None:
    folder = several[0]
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", ROOT / "train.py")
    done = folder.start(*start, "trainer=cpu", "trainer.devices=2", *UNEVEN, DOUBLE, "name=torchrun")

    assert done.returncode == 0, done.stderr
    same(folder, "torchrun", "double-1", within=1e-11)


def test_srun_starts_the_processes_of_one_evaluation(several: tuple[Folder, Ended, Ended]) -> None:
    folder = several[0]
    of_step = {
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NAME": "train", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "localhost",
    }  # fmt: skip
    arguments = evaluate("srun")["arguments"]
    command = [sys.executable, str(ROOT / "evaluate.py"), "trainer=slurm", "trainer.accelerator=cpu", *arguments]
    said = [folder.path / f"said-{task}.txt" for task in range(2)]
    tasks = []
    for task, path in enumerate(said):
        environment = folder.environment | of_step | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)}
        with path.open("w") as file:
            tasks.append(forked.Forked(command, cwd=folder.path, env=environment, stdout=file, stderr=file))
    statuses = [task.wait(SECONDS) for task in tasks]
    told = [path.read_text() for path in said]

    assert statuses == [0, 0], told
    assert folder.predictions("srun") == folder.predictions("evaluated-1")
    assert told[1] == "", "the first rank speaks"


def test_every_trial_of_a_sweep_is_a_run_of_its_own_whatever_the_last_one_did(
    several: tuple[Folder, Ended, Ended],
) -> None:
    folder = several[0]
    # The first of them is refused by its own process, which alone looks at the encoder.
    sweep = ("-m", "name=sweep", "encoder.freeze_layers=9,0", "optimization.max_steps=8", DOUBLE, *UNEVEN)
    done = folder.start(ROOT / "train.py", "trainer=cpu", "trainer.devices=2", *sweep, **STRANGE)

    assert done.returncode == 1, done.stderr
    assert "1 of 2 trials failed" in done.stderr
    assert "encoder.freeze_layers=9: xlm-roberta has 2 layers here" in done.stderr
    assert "Traceback" not in done.stderr
    wrong, trained = dict.fromkeys(re.findall("(sweep/[0-9a-f]{8}): encoder", done.stderr))
    assert not folder.run(wrong).exists()
    same(folder, trained, "double-1", within=1e-11)
    refused = folder.start(ROOT / "train.py", "-m", "name=double-1", "seed=1,2")
    assert (refused.returncode, refused.stderr.count("outputs/double-1 has a config.yaml")) == (2, 1)


def test_a_signal_to_a_sweep_stops_it_and_a_trial_that_is_killed_does_not(empty: Folder) -> None:
    arguments = ("-m", "name=stopped", "seed=1,2,3", "trainer=cpu", *UNEVEN, "optimization.epochs=1000")
    with (empty.path / "told.txt").open("w") as file:
        sweep = forked.Forked(
            [sys.executable, ROOT / "train.py", *arguments],
            cwd=empty.path,
            env=empty.environment | STRANGE,
            stderr=file,
        )
        for trial in (1, 2):
            # checkpoints/ of a trial that takes its steps
            while len(running := list(empty.run("stopped").glob("*/checkpoints/last.ckpt"))) < trial:
                assert sweep.poll() is None
                time.sleep(0.05)
            if trial == 1:
                process = json.loads((running[0].parents[1] / "status.json").read_text())["process"]
                os.kill(process, signal.SIGKILL)
        sweep.send_signal(signal.SIGTERM)
        status = sweep.wait(SECONDS)

    told = (empty.path / "told.txt").read_text()
    assert status == 75, told
    assert told.count("failed: killed by SIGKILL") == 1
    assert told.count("stopped by SIGTERM") == 1
    trials = [path for path in empty.run("stopped").iterdir() if path.is_dir()]
    assert len(trials) == 2, "a third trial was started"
    assert all(empty.metrics(f"stopped/{trial.name}", "train/loss") for trial in trials), "rank 0 writes them"
    assert [trial.state for trial in read_sweep(empty.run("stopped")).trials] == ["failed", "running"]


def test_a_killed_process_ends_the_others(several: tuple[Folder, Ended, Ended]) -> None:
    folder, _, three = several
    assert three.status == 128 + signal.SIGKILL
    assert "process 1 of 3 was killed by SIGKILL" in three.err
    assert sorted(folder.metrics("killed", "train/loss")) == [1, 2, 3]
    assert "another process of this run is gone without a word" in folder.status("killed")["why"]


def test_processes_whose_supervisor_is_killed_stop_with_a_checkpoint(empty: Folder) -> None:
    empty.in_ranks(2, train("orphaned", fault={"kind": "killed supervisor", "rank": 1, "step": 3}))
    for _ in range(20 * SECONDS):
        if empty.status("orphaned")["state"] != "running":
            break
        time.sleep(0.05)

    assert empty.status("orphaned")["state"] == "interrupted"
    assert (empty.run("orphaned") / "checkpoints" / "last.ckpt").exists()
