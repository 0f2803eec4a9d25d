"""The speed benchmark in short: both sides train the same rows, and everything that it promises to measure is there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
SMALL = ("--layers", "1", "--fields", "hidden_size=32", "num_attention_heads=2", "intermediate_size=64")


@pytest.fixture
def speed(benchmark: Command) -> Command:
    """Run `python benchmarks/speed.py` in an empty folder."""
    return lambda *arguments: benchmark("speed", *arguments)


@pytest.fixture
def data(shared: Path, tmp_path: Path) -> Path:
    """A few of the real rows: tokenizing all takes longer than all else."""
    folder = tmp_path / "xtreme" / "xnli"
    folder.mkdir(parents=True)
    (tmp_path / "xlmr_base").symlink_to(shared / "xlmr_base")
    for name in ("train-en.tsv", "dev-en.tsv", "test-en.tsv"):
        rows = (shared / "xtreme" / "xnli" / name).read_text(encoding="utf-8").split("\n")[:160]
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def test_both_sides_are_measured(speed: Command, tmp_path: Path, data: Path) -> None:
    results = tmp_path / "speed.json"
    what = ("--work", "xnli_training", "--sides", "ours", "dynamic", "--steps", "2", "--rounds", "1")
    done = speed(*SMALL, *what, "--data", str(data), "--results", str(results))
    assert done.status == 0, done.out + done.err
    found = json.loads(results.read_text())
    assert found["machine"]["packages"].keys() >= {"torch", "transformers"}
    assert found["machine"]["cores"] > 0
    (measured,) = found["settings"]
    assert measured["facts"]["layers"] == 1
    assert measured["facts"]["examples"] == measured["facts"]["sequences"] == 64
    assert 64 < measured["facts"]["tokens"] < measured["facts"]["padded_to_128"]
    assert [one["side"] for one in measured["runs"]] == ["ours", "dynamic"]
    assert all(one["seconds"] > 0 and one["peak_bytes"] > 1e8 for one in measured["runs"])
    assert measured["runs"][1]["optimizer"] == "adamw_torch_fused"
    assert measured["runs"][1]["attention"] == "sdpa"
    assert measured["summary"]["matrix_rate"] > 0
    assert "| xnli_training | dynamic |" in done.out


def test_a_dry_run_lists_what_would_run(speed: Command, shared: Path) -> None:
    done = speed("--data", str(shared), "--dry-run", "--size", "base", "large", "--compile", "no", "yes")
    lines = done.out.splitlines()
    assert done.status == 0, done.err
    # Of each size: four works, and the two trainings compiled.
    assert len(lines) == 2 * (4 + 2)
    assert all("group_by_length" in line for line in lines if "training" in line)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--data", "nowhere"), "nowhere has no xtreme/"), (("--fields", "hidden_size=big"), "must be FIELD=NUMBER")],
)
def test_a_mistake_is_told(speed: Command, shared: Path, arguments: tuple[str, ...], told: str) -> None:
    done = speed("--data", str(shared), "--dry-run", *arguments)
    assert done.status == 2
    assert told in done.err


def test_an_override_that_there_is_not_is_told_without_a_traceback(speed: Command, data: Path, tmp_path: Path) -> None:
    what = ("--work", "xnli_training", "--sides", "ours", "--ours", "encoder.nonsense=1")
    done = speed(*SMALL, *what, "--data", str(data), "--results", str(tmp_path / "speed.json"))
    assert done.status == 1
    assert "encoder.nonsense" in done.err
    assert "Traceback" not in done.err
