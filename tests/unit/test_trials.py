"""What each trial gets of a machine, and what is made of how it ended."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.sweep import trials
from babelfit.sweep.trials import environments


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


@pytest.mark.parametrize(
    ("status", "state", "why"),
    [
        ({"state": "complete"}, "complete", ""),
        ({"state": "pruned", "why": "it was below"}, "pruned", "it was below"),
        ({"state": "interrupted", "why": "by SIGTERM"}, "stopped", ""),
        ({"state": "failed", "why": "no memory"}, "failed", "no memory"),
        (
            {"state": "running", "process": 7, "host": "here"},
            "failed",
            "process 7 on here is gone without a word: killed, or the machine went down",
        ),
        (None, "failed", "data.folder=x: no such folder"),
    ],
)
def test_how_a_job_ended_is_read_from_its_folder(tmp_path: Path, status: Any, state: str, why: str) -> None:
    (tmp_path / "a.log").write_text("10:00:00 begun\nerror data.folder=x: no such folder\n")
    (tmp_path / "a").mkdir()
    if status is not None:
        (tmp_path / "a" / "status.json").write_text(json.dumps(status))
    ended = trials._state(tmp_path / "a", log_before=0)
    assert (ended.state, ended.why) == (state, why)


def test_a_job_that_never_began_is_still_to_come(tmp_path: Path) -> None:
    assert trials._state(tmp_path / "a", log_before=0).state == "stopped"


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
    found = trials._last_words(tmp_path / "a.log", start=len(before))
    assert found.replace(f"{tmp_path}/", "") == heard
