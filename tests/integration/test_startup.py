"""The start-up benchmark in short: both starts reach their first step, and the second tokenizes nothing."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "benchmarks" / "startup.py")


def test_both_starts_are_measured(tmp_path: Path) -> None:
    results = tmp_path / "startup.json"
    arguments = ["--rows", "1000", "--languages", "1", "--folder", str(tmp_path), "--results", str(results)]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(results.read_text())
    assert [one["rows"] for one in found["sizes"]] == [100, 1000]
    for one in found["sizes"]:
        assert 35 < one["tokens_per_row"] < 55
        assert one["bytes_of_tokens"] > 4 * one["tokens_per_row"] * one["rows"]
        for which in ("first", "second"):
            numbers = one["starts"][which]
            assert numbers["seconds_to_step"] > 0
            assert numbers["private_bytes"] > numbers["private_bytes_after_import"] > 0
    assert list(tmp_path.iterdir()) == [results], "the generated rows are left behind"
    assert "| 1,000 | 1 | second |" in done.stdout


def test_a_dry_run_says_what_it_takes_and_does_nothing(tmp_path: Path) -> None:
    arguments = ["--dry-run", "--folder", str(tmp_path), "--results", str(tmp_path / "startup.json")]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "39,270, 392,702, 5,890,530 rows" in done.stdout
    assert not list(tmp_path.iterdir())


def test_too_little_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    arguments = ["--rows", "10000000000000", "--folder", str(tmp_path), "--results", str(tmp_path / "startup.json")]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "too little disk" in done.stderr
    assert not list(tmp_path.iterdir())
