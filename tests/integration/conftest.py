"""Commands as a user types them, but in this process: importing the stack takes seconds each time."""

import logging
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import pytest
from hydra.core.global_hydra import GlobalHydra
from tiny import RANDOM

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300

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
    """Spare the tests that look at no page and no figure the second that each run and each sweep draws them for."""
    if request.node.get_closest_marker("page") is None:
        monkeypatch.setattr("babelfit.reports.page.write_page", lambda *_, **__: None)
        monkeypatch.setattr("babelfit.reports.sweep_pictures.draw", lambda _, *, path: path.touch())


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk, as each run does eighty times: what is written is there for whoever reads it."""
    monkeypatch.setattr(os, "fsync", os.fstat)


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
            with forked.processes_forked():
                runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            # As Python does: a text is said, and the status is 1.
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                sys.stderr.write(f"{end.code}\n")
        finally:
            GlobalHydra.instance().clear()
            logging.root.handlers[:], logging.root.level = handlers, level
        captured = capfd.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def benchmark(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `python benchmarks/NAME.py ARGUMENTS` in an empty folder; the processes that it measures are forked."""
    run = subprocess.run

    def forking(started: Sequence[str], *, cwd: Path | None = None, **options: Any) -> Any:
        if started[0] != sys.executable:
            return run(started, cwd=cwd, **options)
        done = forked.run(started, cwd=cwd, env=options["env"], timeout=SECONDS)
        done.stdout += done.stderr
        return done

    monkeypatch.setattr(subprocess, "run", forking)
    return lambda name, *arguments: command(f"benchmarks/{name}.py", *arguments)


@pytest.fixture
def train(command: Command) -> Command:
    """Run `python train.py` on a small part of the sample."""
    return lambda *arguments: command("train.py", *SMALL, *arguments)


@pytest.fixture(scope="session")
def _kept() -> dict[Hashable, tuple[Path, Any]]:
    """What `once` has made, by its key: the folder, and what was returned."""
    return {}


@pytest.fixture
def once(
    in_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    _kept: dict[Hashable, tuple[Path, Any]],
) -> Callable[..., Any]:
    """Call a function in an empty folder, for the first test that asks; copy what it left to here, return what it did.

    All that give the same key get the same: nothing may be patched that the function sees.
    """
    has_page = request.node.get_closest_marker("page") is not None

    def copied(make: Callable[[], Any], *key: Hashable) -> Any:
        if (has_page, *key) not in _kept:
            folder = tmp_path_factory.mktemp("once")
            with chdir(folder):
                _kept[has_page, *key] = (folder, make())
        folder, returned = _kept[has_page, *key]
        shutil.copytree(folder, in_folder, dirs_exist_ok=True)
        return returned

    return copied


@pytest.fixture
def finished(train: Command, once: Callable[..., Any]) -> Command:
    """Have a run that `train` has finished, to look at or to begin with; of the same arguments, a copy of the same."""

    def finish(*arguments: str) -> Outcome:
        def make() -> Outcome:
            outcome = train(*arguments)
            assert outcome.status == 0, outcome.err
            return outcome

        made: Outcome = once(make, "finished", *arguments)
        return made

    return finish
