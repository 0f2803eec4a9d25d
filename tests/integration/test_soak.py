"""The soak test in short: killed while a checkpoint is written and between steps, a run ends in the same bits."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from forked import Forked

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_that_is_killed_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "soak.json"
    script = runpy.run_path(str(ROOT / "benchmarks" / "crash_soak.py"))
    forks = SimpleNamespace(Popen=Forked, STDOUT=subprocess.STDOUT)
    monkeypatch.setitem(script["start"].__globals__, "subprocess", forks)
    monkeypatch.setattr(sys, "argv", ["crash_soak.py", "--kills", "2", "--results", str(results)])
    script["main"]()
    found = json.loads(results.read_text())
    assert [one["aim"] for one in found["landed"]] == ["checkpoint", "step"]
    assert found["landed"][0]["checkpoint_unfinished"], "killed after a checkpoint, not within"
    assert all(one["step"] > 0 for one in found["landed"]), "killed before training"
    assert all(found["equal"].values())


@pytest.mark.parametrize(("kills", "equal", "told"), [(1, True, "only 1 of 2 kills"), (2, False, "not equal")])
def test_a_missed_kill_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int, equal: bool, told: str
) -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "crash_soak.py"))
    found: dict[str, Any] = {"kills": kills, "steps": 60, "seconds_in_all": 1, "equal": {"it": equal}, "landed": []}
    monkeypatch.setitem(script["main"].__globals__, "soak", lambda *_, **__: found)
    monkeypatch.setattr(sys, "argv", ["crash_soak.py", "--kills", "2", "--results", str(tmp_path / "soak.json")])
    with pytest.raises(SystemExit, match=told):
        script["main"]()
    assert json.loads((tmp_path / "soak.json").read_text()) == found
