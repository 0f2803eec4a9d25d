"""Commands as a user types them, but in this process: importing the stack takes seconds each time."""

import logging
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from tiny import RANDOM

ROOT = Path(__file__).resolve().parents[2]

SMALL = (
    "data.limit={train: 192, validation: 48, test: 48}",
    *RANDOM,
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "optimization.epochs=2",
)
"""The default run, small enough to take two seconds."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _pages_where_they_are_looked_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the tests that look at no page and no figure the second that each run draws them for."""
    if request.node.get_closest_marker("page") is None:
        monkeypatch.setattr("babelfit.reports.page.write_page", lambda *_, **__: None)


@pytest.fixture
def command(in_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `python SCRIPT ARGUMENTS` in an empty folder."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(script: str, *arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        handlers, level = logging.root.handlers[:], logging.root.level
        capfd.readouterr()
        status = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            GlobalHydra.instance().clear()
            logging.root.handlers[:], logging.root.level = handlers, level
        captured = capfd.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def train(command: Command) -> Command:
    """Run `python train.py` on a small part of the sample."""
    return lambda *arguments: command("train.py", *SMALL, *arguments)
