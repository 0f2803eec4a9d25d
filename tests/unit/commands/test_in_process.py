"""Overrides from Python are those of the command line, and a process that asks for a run is never ended by it."""

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from babelfit.commands import in_process
from babelfit.commands.compose import compose_config
from babelfit.commands.in_process import as_overrides
from babelfit.config.schema import TrainConfig, checked
from babelfit.devices import launch, preemption
from babelfit.devices.program import babelfit_command
from babelfit.errors import UserError

TWO = ["trainer=cpu", "trainer.devices=2", "name=two"]


def test_a_mapping_is_written_as_overrides() -> None:
    given = {
        "data": "xnli_sample",
        "data.languages": ["en", "no"],
        "data.limit": {"train": 5, "test": None},
        "optimization.learning_rate": 1e-5,
        "checkpoint.compare": True,
        "encoder.revision": None,
        "data.folder": Path("it's here, [maybe]"),
    }
    parsed = OverridesParser.create().parse_overrides(as_overrides(given))
    assert {one.key_or_group: one.value() for one in parsed} | {"data.folder": "it's here, [maybe]"} == {
        **given,
        "data.folder": "it's here, [maybe]",
    }


def test_a_mapping_composes_to_the_same_run_as_a_list() -> None:
    mapping = {"data.languages": ["en", "no"], "encoder": "mini_random", "seed": 3, "name": "x"}
    line = ["data.languages=[en,'no']", "encoder=mini_random", "seed=3", "name=x"]
    configs = [checked(compose_config("train", as_overrides(one)), TrainConfig) for one in (mapping, line)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("given", ["seed=2", ["-m", "seed=1,2"], ["seed"], [3], ["--help"]])
def test_what_is_no_override_is_refused(given: Any) -> None:
    with pytest.raises(UserError):
        as_overrides(given)


def test_removals_are_overrides() -> None:
    assert as_overrides(["~experiment", "+encoder.overrides.x=1"]) == ["~experiment", "+encoder.overrides.x=1"]


@pytest.mark.parametrize(("status", "raised"), [(130, KeyboardInterrupt), (2, UserError), (75, UserError)])
def test_several_devices_are_processes_of_the_program(
    monkeypatch: pytest.MonkeyPatch, in_folder: Path, status: int, raised: type[BaseException]
) -> None:
    started: list[Any] = []

    def run(environments: list[dict[str, str]], *, command: list[str]) -> int:
        started.append((len(environments), command))
        return status

    monkeypatch.setattr(launch, "run", run)
    (in_folder / "mine").mkdir()
    with pytest.raises(raised):
        in_process.train(TWO, config_dir="mine")
    assert started == [(2, babelfit_command("train", "--config-dir", "mine", *TWO))]


def test_several_devices_that_end_well_leave_the_same_folder(monkeypatch: pytest.MonkeyPatch, in_folder: Path) -> None:
    monkeypatch.setattr(launch, "run", lambda *_, **__: 0)
    assert in_process.train(TWO) == Path("outputs/two")


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Do something else in the place of a training."""
    return lambda work: monkeypatch.setattr("babelfit.training.fit", lambda _: work())


def test_a_signal_ends_what_asked_for_the_run_as_it_would_have(
    in_folder: Path, instead: Callable[[Callable[[], None]], None]
) -> None:
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        instead(lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(UserError, match="stopped by SIGTERM; the same call goes on"):
            in_process.train([])
        ours = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
    assert ours != preemption._signals.handle


def test_a_run_can_be_asked_for_in_any_thread(in_folder: Path, instead: Callable[[Callable[[], None]], None]) -> None:
    instead(lambda: None)
    folders = []
    thread = threading.Thread(target=lambda: folders.append(in_process.train(["name=there"])))
    thread.start()
    thread.join()
    assert folders == [Path("outputs/there")]


def test_lines_are_logged_where_nobody_else_has_said_how(
    in_folder: Path,
    instead: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    instead(lambda: logging.getLogger("babelfit.training").info("here"))
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    in_process.train([])
    assert "here" not in capsys.readouterr().err
    monkeypatch.setattr(logging.root, "handlers", [])
    in_process.train([])
    assert capsys.readouterr().err.endswith(" here\n")
    assert logging.getLogger("babelfit").handlers == []
