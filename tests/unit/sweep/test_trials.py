"""What each trial gets of a machine, and what is made of how it ended."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.ledger.study import Study, SweepFacts
from babelfit.sweep import outcome, trials
from babelfit.sweep.outcome import Before
from babelfit.sweep.trials import Runner, environments


def devices(number: int) -> Any:
    return SimpleNamespace(devices=number)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight cores and four GPUs."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(trials, "count_cores", lambda: 8)
    monkeypatch.setattr(trials, "count_gpus", lambda: 4)
    monkeypatch.setattr(trials, "check_devices", lambda _: "gpu")


@pytest.mark.usefixtures("gpus")
def test_a_trial_alone_has_all_of_the_machine() -> None:
    assert environments(1, devices(2)) == [{}]


@pytest.mark.usefixtures("gpus")
def test_each_trial_has_gpus_of_its_own() -> None:
    assert environments(2, devices(2)) == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "0,1"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2,3"},
    ]


@pytest.mark.usefixtures("gpus")
def test_gpus_are_those_that_the_sweep_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments(2, devices(1))] == ["3", "1"]
    with pytest.raises(UserError, match=r"sweep\.workers=3 trials of trainer\.devices=1 need 3 GPUs; 2 are visible"):
        environments(3, devices(1))


@pytest.mark.usefixtures("gpus")
def test_threads_that_a_user_has_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "check_devices", lambda _: "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert environments(2, devices(1)) == [{"OMP_NUM_THREADS": "5"}] * 2


INTERRUPTED = {"state": "interrupted", "why": "by SIGTERM"}
GONE = "process 7 on here is gone without a word: killed, or the machine went down"


def write_status(folder: Path, status: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_text(json.dumps(status))


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ({"state": "complete", "objectives": {"source_dev": 0.5}}, "complete", ""),
        ({"state": "pruned", "why": "it was below"}, "pruned", "it was below"),
        (INTERRUPTED, "stopped", ""),
        ({"state": "failed", "why": "no memory"}, "failed", "no memory"),
        ({"state": "running", "process": 7, "host": "here"}, "failed", GONE),
        (None, "failed", "data.folder=x: no such folder"),
    ],
)
def test_how_a_job_ended_is_read_from_its_folder(tmp_path: Path, status: Any, state: str, why: str) -> None:
    before = Before.at(tmp_path / "a")
    (tmp_path / "a.log").write_text("10:00:00 begun\nerror data.folder=x: no such folder\n")
    if status is not None:
        write_status(tmp_path / "a", status)
    ended = outcome.of_job(tmp_path / "a", before=before, is_over=True)
    assert (ended.state, ended.why) == (state, why)
    # While others of its array may still go on, what is not written down is not known.
    ended = outcome.of_job(tmp_path / "a", before=before, is_over=False)
    assert ended.state == ("stopped" if state == "failed" else state)


@pytest.mark.parametrize("status", [INTERRUPTED, {"state": "pruned", "why": "it was below"}, {"state": "complete"}])
def test_what_an_earlier_start_left_says_nothing_of_this_one(tmp_path: Path, status: Any) -> None:
    write_status(tmp_path / "a", status)
    (tmp_path / "a.log").write_text("error of before\n")
    before = Before.at(tmp_path / "a")
    with (tmp_path / "a.log").open("a") as log:
        log.write("error no such folder\n")
    ended = outcome.of_process(2, tmp_path / "a", before=before, is_asked_to_end=False)
    assert (ended.state, ended.why) == ("failed", "no such folder")
    killed = outcome.of_process(-9, tmp_path / "a", before=before, is_asked_to_end=False)
    assert killed.why.startswith("killed by SIGKILL")
    assert outcome.of_job(tmp_path / "a", before=before, is_over=True).why == "no such folder"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_trial_that_dies_of_the_sweeps_own_signal_was_stopped(tmp_path: Path, number: int) -> None:
    before = Before.at(tmp_path / "a")
    ended = outcome.of_process(-number, tmp_path / "a", before=before, is_asked_to_end=True)
    assert (ended.state, ended.status) == ("stopped", 75)
    assert outcome.of_process(-number, tmp_path / "a", before=before, is_asked_to_end=False).state == "failed"


def test_a_job_that_never_began_is_still_to_come(tmp_path: Path) -> None:
    ended = outcome.of_job(tmp_path / "a", before=Before.at(tmp_path / "a"), is_over=True)
    assert ended.state == "stopped"


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("Traceback\nValueError: this\n", "ValueError: this"),
        ("", "it said nothing; see a.log"),
        ("10:00:00 looking\nerror one thing;\n  and another\n", "one thing;\n  and another"),
    ],
)
def test_the_last_words_are_those_of_this_start(tmp_path: Path, said: str, heard: str) -> None:
    before = b"error an older one\n"
    (tmp_path / "a.log").write_bytes(before + said.encode())
    found = outcome._last_words(tmp_path / "a.log", start=len(before))
    assert found.replace(f"{tmp_path}/", "") == heard


class Launcher:
    """A launcher whose jobs end as they are told to, and which gives up like submitit's."""

    def __init__(self, *, error: Exception | None = None, states: dict[str, Any]) -> None:
        self.error, self.states = error, states

    def launch(self, batch: Any, initial_job_idx: int) -> None:
        for arguments in batch:
            (name,) = (one.removeprefix("name=") for one in arguments if one.startswith("name="))
            if (status := self.states.get(name)) is not None:
                write_status(Path("outputs") / name, status)
        if self.error is not None:
            raise self.error


def test_of_a_launcher_that_gives_up_only_what_is_written_down_is_recorded(in_folder: Path) -> None:
    folder = Path("outputs/s")
    folder.mkdir(parents=True)
    study = Study(folder, facts=SweepFacts(search="grid", space={}, base={}, objective="source_dev"))
    batch = [study.place(study.begin({"seed": str(seed)}), f"{seed:08x}") for seed in (1, 2, 3)]
    settings: Any = SimpleNamespace(workers=1, keep="all", best=1)
    runner = Runner(study, settings=settings, num_trials=3, overrides_of=lambda overrides: [*overrides])
    done = {"state": "complete", "objectives": {"source_dev": 0.5}}
    launcher: Any = Launcher(error=RuntimeError("job 2 was cancelled"), states={"s/00000001": done})

    with pytest.raises(UserError, match=r"job 2 was cancelled.*may still wait or run"):
        runner.run_elsewhere(iter(batch), launcher=launcher)
    assert [trial.state for trial in study.trials()] == ["complete", "running", "running"]
