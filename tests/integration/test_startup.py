"""The start-up benchmark in short: both starts reach their first step, and the second tokenizes nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def startup(benchmark: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Run `python benchmarks/startup.py` in an empty folder."""
    return lambda *arguments: benchmark("startup", *arguments, "--folder", str(tmp_path))


def test_both_starts_are_measured(startup: Callable[..., Any], tmp_path: Path) -> None:
    results = tmp_path / "startup.json"
    done = startup("--rows", "1000", "--languages", "1", "--results", str(results))
    assert done.status == 0, done.out + done.err
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
    assert "| 1,000 | 1 | second |" in done.out


def test_a_dry_run_says_what_it_takes_and_does_nothing(startup: Callable[..., Any], tmp_path: Path) -> None:
    done = startup("--dry-run", "--results", str(tmp_path / "startup.json"))
    assert done.status == 0, done.err
    assert "39,270, 392,702, 5,890,530 rows" in done.out
    assert not list(tmp_path.iterdir())


def test_too_little_disk_is_said_before_anything_is_written(startup: Callable[..., Any], tmp_path: Path) -> None:
    done = startup("--rows", "10000000000000", "--results", str(tmp_path / "startup.json"))
    assert done.status == 1
    assert "too little disk" in done.err
    assert not list(tmp_path.iterdir())
