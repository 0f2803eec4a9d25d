"""metrics.csv grows a row per number, and goes on behind the step that a run resumes from."""

from pathlib import Path

import pytest

from babelfit.metrics_log import MetricsLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def log(path: Path, *steps: int, resumed_step: int = 0, loss: float = 0.5) -> None:
    """Log the loss of these optimizer steps, counted from 1."""
    metrics = MetricsLog(path, resumed_step=resumed_step)
    for step in steps:
        metrics.log_metrics({"loss": loss}, step=step - 1)


def rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_number_is_a_row_of_the_steps_done_then(path: Path) -> None:
    metrics = MetricsLog(path, resumed_step=0)
    metrics.log_metrics({"train_loss": 0.123456789, "epoch": 1}, step=9)
    metrics.log_metrics({"dev/en": 1.0, "dev/de": 1e-12}, step=19)
    metrics.log_metrics({"start": 2.0})

    assert rows(path) == [
        "step,metric,value",
        "10,train_loss,0.12345679",
        "20,dev/en,1",
        "20,dev/de,1e-12",
        "0,start,2",
    ]


def test_rows_are_on_disk_as_soon_as_they_are_logged(path: Path) -> None:
    metrics = MetricsLog(path, resumed_step=0)
    assert rows(path) == ["step,metric,value"]
    for step in range(3):
        metrics.log_metrics({"loss": 1.0}, step=step)
        assert len(rows(path)) == step + 2


def test_a_resumed_run_drops_what_lies_behind_its_step_and_goes_on(path: Path) -> None:
    log(path, 1, 2, 3, 4, loss=0.5)
    log(path, 3, 4, resumed_step=2, loss=0.25)

    assert rows(path) == ["step,metric,value", "1,loss,0.5", "2,loss,0.5", "3,loss,0.25", "4,loss,0.25"]


def test_a_run_that_starts_anew_keeps_nothing(path: Path) -> None:
    log(path, 1, 2)
    log(path, 1, resumed_step=0, loss=0.25)

    assert rows(path) == ["step,metric,value", "1,loss,0.25"]


def test_resuming_twice_from_one_step_changes_nothing(path: Path) -> None:
    log(path, 1, 2)
    before = path.read_bytes()
    log(path, resumed_step=2)
    log(path, resumed_step=2)

    assert path.read_bytes() == before


@pytest.mark.parametrize("torn", ["3", "3,loss", "3,loss,0.25", "3,loss,0.25\r", "x"])
def test_a_last_row_cut_off_by_a_kill_is_dropped(path: Path, torn: str) -> None:
    log(path, 1, 2)
    with path.open("a", encoding="utf-8") as file:
        file.write(torn)
    log(path, resumed_step=3)

    assert rows(path) == ["step,metric,value", "1,loss,0.5", "2,loss,0.5"]


def test_an_empty_file_gets_its_header(path: Path) -> None:
    path.touch()
    log(path, 1, resumed_step=1)

    assert rows(path) == ["step,metric,value", "1,loss,0.5"]
