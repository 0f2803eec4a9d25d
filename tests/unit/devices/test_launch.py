"""Which processes a command needs, and what is said where they cannot be."""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from torch import distributed

from babelfit.config.schema import TrainerConfig
from babelfit.devices import launch, ranks
from babelfit.errors import UserError

CONFIG = TrainerConfig(
    accelerator="cpu",
    devices=1,
    num_nodes=1,
    strategy="auto",
    precision="32-true",
    tokens_per_device=512,
    attention="auto",
    compile=False,
    workers=None,
)
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "LOCAL_RANK": "1", "RANK": "3", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4"}
SRUN = {
    "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3",
    "SLURM_JOB_NAME": "train",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*TORCHRUN, *SRUN}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, "run", lambda *_, **__: pytest.fail("a process was started"))


def test_one_device_needs_no_supervisor() -> None:
    assert not launch.run_in_subprocesses(CONFIG)
    assert ranks.rank() == 0


@pytest.mark.parametrize(("started", "name"), [(TORCHRUN, "torchrun"), (SRUN, "srun")])
def test_processes_that_somebody_else_started_must_fit_the_configuration(
    monkeypatch: pytest.MonkeyPatch, started: dict[str, str], name: str
) -> None:
    for key, value in started.items():
        monkeypatch.setenv(key, value)

    assert not launch.run_in_subprocesses(replace(CONFIG, devices=2, num_nodes=2))
    assert launch.is_one_of_several()
    launch.drop_foreign_rank_variables()
    assert (ranks.launched_rank(), ranks.rank()) == (3, 0)
    with pytest.raises(UserError, match=f"{name} started 2 processes.*trainer.devices=2 trainer.num_nodes=2"):
        launch.run_in_subprocesses(replace(CONFIG, devices=2))


def test_ranks_that_belong_to_no_process_of_ours_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    assert ranks.rank() == 0
    launch.drop_foreign_rank_variables()
    assert (ranks.launched_rank(), ranks.is_first_to_end("it")) == (0, True)
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.parametrize("job", ["bash", "interactive", "fish", "jupyter"])
def test_a_lone_task_of_a_step_is_a_shell_and_several_are_of_srun_whatever_the_job_is_called(
    monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    for key, value in (SRUN | {"SLURM_JOB_NAME": job}).items():
        monkeypatch.setenv(key, value)
    assert not launch.run_in_subprocesses(replace(CONFIG, devices=2, num_nodes=2))

    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "1")
    assert not launch.is_one_of_several()
    started = []
    monkeypatch.setattr(launch, "run", lambda environments, **_: started.extend(environments) or 0)
    assert launch.run_in_subprocesses(replace(CONFIG, devices=2))
    assert len(started) == 2


def test_a_batch_script_without_srun_starts_its_processes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")  # nobody's
    started = []
    monkeypatch.setattr(launch, "run", lambda environments, **_: started.extend(environments) or 0)

    assert launch.run_in_subprocesses(replace(CONFIG, devices=3))
    assert [(one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"]) for one in started] == [
        (str(rank), str(rank), "3") for rank in range(3)
    ]


@pytest.mark.parametrize("given", [{"workers": 100_000}, {"devices": 100_000}])
def test_far_more_processes_than_cores_are_refused_with_the_number(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, int]
) -> None:
    monkeypatch.setattr(launch, "count_cores", lambda: 2)
    (name,) = given
    with pytest.raises(UserError, match=f"trainer.{name}=100000: at most 16"):
        launch.num_workers(replace(CONFIG, **given))  # type: ignore[arg-type]


def test_the_others_wait_for_hours_while_one_rank_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = mock.Mock(), mock.Mock()
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(sys.modules["torch.distributed.rendezvous"], "rendezvous", lambda *_: iter([(store, 0, 2)]))
    for name in ("init_process_group", "barrier", "destroy_process_group"):
        monkeypatch.setattr(distributed, name, getattr(asked, name))

    with ranks.process_group(replace(CONFIG, devices=2)):
        timeout = asked.init_process_group.call_args.kwargs["timeout"]
    assert timeout > timedelta(hours=1)
    store.set_timeout.assert_called_once_with(timeout)


@pytest.mark.parametrize(("status", "patience"), [(75, 70), (2, 10)])
def test_a_process_that_puts_the_job_back_into_the_queue_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, status: int, patience: int
) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr(launch, "time", clock)
    processes: list[Any] = [SimpleNamespace(poll=lambda: None), SimpleNamespace(poll=lambda: status)]

    assert launch._first_failure(processes) == status
    assert now == [pytest.approx(patience, abs=0.1)]


@pytest.mark.parametrize(
    ("changes", "num_gpus", "message"),
    [
        ({"devices": 8, "accelerator": "gpu"}, 4, "trainer.devices=8: this machine has 4 visible GPUs"),
        ({"devices": 2, "accelerator": "auto"}, 0, "0 visible GPUs; for processes on the CPU add"),
        ({"num_nodes": 2}, 0, "torchrun --nnodes 2 --nproc-per-node 1"),
        ({"accelerator": "gpu"}, 0, "no GPU is visible"),
    ],
)
def test_what_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], num_gpus: int, message: str
) -> None:
    monkeypatch.setattr(launch, "count_gpus", lambda: num_gpus)
    with pytest.raises(UserError, match=message):
        launch.run_in_subprocesses(replace(CONFIG, **changes))  # type: ignore[arg-type]
