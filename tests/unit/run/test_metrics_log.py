"""metrics.csv grows a row per number, and goes on behind the rows that a checkpoint knew."""

import logging
from pathlib import Path

import pytest

from babelfit.errors import UserError
from babelfit.run.metrics import Logged, read
from babelfit.run.metrics_log import MetricsLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.fixture
def metrics(path: Path) -> MetricsLog:
    log = MetricsLog(path)
    log.rewind(0)
    return log


def rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_number_is_a_row_of_the_steps_done_then(metrics: MetricsLog, path: Path) -> None:
    metrics.log_metrics({"train_loss": 0.123456789}, step=10)
    metrics.log_metrics({"dev/en": 1.0, "dev/de": 1e-12}, step=20)
    metrics.log_metrics({"start": 2.0})

    assert rows(path) == [
        "step,metric,value",
        "10,train_loss,0.12345679",
        "20,dev/en,1",
        "20,dev/de,1e-12",
        "0,start,2",
    ]


def test_rows_are_on_disk_as_soon_as_they_are_logged(metrics: MetricsLog, path: Path) -> None:
    assert rows(path) == ["step,metric,value"]
    for step in range(3):
        metrics.log_metrics({"loss": 1.0}, step=step)
        assert len(rows(path)) == step + 2
        assert metrics.size == path.stat().st_size


@pytest.mark.parametrize("torn", ["", "2,loss,0.5\n", "2,loss,0.5\n3", "x"])
def test_a_resumed_run_drops_what_its_checkpoint_did_not_know(metrics: MetricsLog, path: Path, torn: str) -> None:
    metrics.log_metrics({"loss": 0.5}, step=1)
    size = metrics.size
    with path.open("a") as file:
        file.write(torn)
    for _ in range(2):
        metrics.rewind(size)
        assert rows(path) == ["step,metric,value", "1,loss,0.5"]
    metrics.log_metrics({"loss": 0.25}, step=2)
    assert rows(path) == ["step,metric,value", "1,loss,0.5", "2,loss,0.25"]


def test_a_run_that_starts_anew_keeps_nothing(metrics: MetricsLog, path: Path) -> None:
    metrics.log_metrics({"loss": 0.5}, step=1)
    metrics.rewind(0)
    assert rows(path) == ["step,metric,value"]


@pytest.mark.parametrize("left", [None, "", "step,metric,value\n"])
def test_rows_that_are_lost_are_told(
    metrics: MetricsLog, path: Path, left: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    metrics.log_metrics({"loss": 0.5}, step=1)
    size = metrics.size
    path.unlink()
    if left is not None:
        path.write_text(left)
    with caplog.at_level(logging.WARNING):
        metrics.rewind(size)
    assert "has lost rows" in caplog.text
    assert rows(path) == ["step,metric,value"]


@pytest.mark.parametrize("cut", [1, 5, 9, 11, 12])
def test_a_row_that_is_cut_is_dropped_when_the_run_goes_on(
    metrics: MetricsLog, path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    metrics.log_metrics({"loss": 0.5}, step=1)
    metrics.log_metrics({"loss": 0.25}, step=2)
    size = metrics.size
    path.write_bytes(path.read_bytes()[:-cut])
    # One goes on behind its checkpoint, another with what is logged once training is over.
    for resumed in (MetricsLog(path), MetricsLog(path)):
        if resumed.size < size:
            resumed.rewind(size)
        resumed.log_metrics({"loss": 0.125}, step=3)

    assert rows(path) == ["step,metric,value", "1,loss,0.5", "3,loss,0.125", "3,loss,0.125"]
    assert [one.step for one in read(path.parent)] == [1, 3, 3]
    assert ("ended within a row" in caplog.text) == (cut < 12)


@pytest.mark.parametrize("left", [None, "", "st", "step,metric,value"])
def test_what_is_appended_stands_below_the_header(path: Path, left: str | None) -> None:
    if left is not None:
        path.write_text(left)
    MetricsLog(path).log_metrics({"loss": 0.5}, step=1)
    assert rows(path) == ["step,metric,value", "1,loss,0.5"]


def test_what_is_logged_is_read_but_for_a_row_that_is_being_written(metrics: MetricsLog, path: Path) -> None:
    assert read(path.parent) == []
    metrics.log_metrics({"loss": 0.5, "a,b": float("inf")}, step=1)
    with path.open("a") as file:
        file.write("2,loss,0.")

    assert read(path.parent) == [Logged(1, "loss", 0.5), Logged(1, "a,b", float("inf"))]
    path.unlink()
    assert read(path.parent) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"2,loss", "line 3 (not enough values to unpack (expected 3, got 2))"),
        (b"2,loss,0.5,1", "line 3 (too many values to unpack (expected 3))"),
        (b"", "line 3 (not enough values"),
        (b"x,loss,0.5", "line 3 (invalid literal for int() with base 10: 'x')"),
        (b"2,loss,x", "line 3 (could not convert string to float: 'x')"),
        (b"2,\xff,0.5", "line 3 ('utf-8' codec can't decode byte 0xff"),
        (b"2,loss,1e200", "line 3 ('1e200' is farther from zero than 1e+100"),
        (b"2,loss,-1e308", "line 3 ('-1e308' is farther from zero"),
        (b"9" * 5000 + b",loss,1", "line 3 (step '9999"),
        (b"-2,loss,0.5", "line 3 (step '-2' is none of a training"),
    ],
)
def test_a_damaged_line_is_named(metrics: MetricsLog, path: Path, line: bytes, told: str) -> None:
    metrics.log_metrics({"loss": 0.5}, step=1)
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(UserError) as error:
        read(path.parent)
    assert f"{path} is damaged in {told}" in str(error.value)
    assert "it must have rows of step,metric,value. Correct or delete it" in str(error.value)


def test_rows_without_their_header_are_no_metrics(path: Path) -> None:
    path.write_text("1,loss,0.5\n2,loss,0.25\n")

    with pytest.raises(UserError, match=r"metrics\.csv is damaged in line 1 \(found '1,loss,0\.5'\)"):
        read(path.parent)
