"""metrics.csv grows a row per number, and goes on behind the rows that a checkpoint knew."""

import logging
from pathlib import Path

import pytest

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
