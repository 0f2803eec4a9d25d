"""The soak test in short: killed while a checkpoint is written and between steps, a run ends in the same bits."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_that_is_killed_ends_the_same(tmp_path: Path) -> None:
    results = tmp_path / "soak.json"
    script = str(ROOT / "benchmarks" / "crash_soak.py")
    done = subprocess.run(
        [sys.executable, script, "--kills", "2", "--results", str(results)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())
    assert [one["aim"] for one in found["landed"]] == ["checkpoint", "step"]
    assert found["landed"][0]["checkpoint_unfinished"], "killed after a checkpoint, not within"
    assert all(one["step"] > 0 for one in found["landed"]), "killed before training"
    assert all(found["equal"].values())
