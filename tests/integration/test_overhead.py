"""The benchmark of a step's overhead in short: all three ways take their steps and are told."""

import json
import sys
from pathlib import Path

import forked

ROOT = Path(__file__).resolve().parents[2]


def test_three_ways_are_timed(tmp_path: Path) -> None:
    results = tmp_path / "overhead.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "overhead.py"), "--steps", "3", "--rounds", "2"]
    done = forked.run([*command, "--results", str(results)], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    times = json.loads(results.read_text())["milliseconds"]
    assert times.keys() == {"bare loop", "Lightning alone", "a run"}
    assert all(len(rounds) == 2 and min(rounds) > 0 for rounds in times.values())
    assert "| bare loop |" in done.stdout
