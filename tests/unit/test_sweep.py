"""What the end of a trial means for the sweep."""

import signal
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from babelfit import launch, preemption, sweep


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch, in_folder: object) -> SimpleNamespace:
    """A trial that ends as its attribute `ended` says."""
    kept = SimpleNamespace(ended=launch.Ended(0))
    job = SimpleNamespace(overrides=SimpleNamespace(task=[]))
    monkeypatch.setattr(sweep, "HydraConfig", SimpleNamespace(get=lambda: job))
    monkeypatch.setattr(sweep, "identity", lambda values: values)
    monkeypatch.setattr(sweep, "_failed", [])
    monkeypatch.setattr(launch, "run", lambda *_, **__: kept.ended)
    return kept


@pytest.mark.parametrize("status", [75, 130])
def test_a_stopped_trial_stops_the_sweep_with_its_status(trial: SimpleNamespace, status: int) -> None:
    trial.ended = launch.Ended(status)
    with pytest.raises(SystemExit) as end:
        sweep.run_trial(OmegaConf.create({"name": "sweep"}))
    assert end.value.code == status


@pytest.mark.parametrize("status", [0, 1, 143])
def test_a_signal_stops_the_sweep_however_the_trial_ended(trial: SimpleNamespace, status: int) -> None:
    trial.ended = launch.Ended(status, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sweep.run_trial(OmegaConf.create({"name": "sweep"}))
    trial.ended = launch.Ended(status, signal.SIGUSR1)
    with pytest.raises(preemption.Preempted, match="SIGUSR1"):
        sweep.run_trial(OmegaConf.create({"name": "sweep"}))


@pytest.mark.parametrize("status", [1, 2, 137])
def test_a_failed_trial_is_remembered(trial: SimpleNamespace, status: int) -> None:
    trial.ended = launch.Ended(status)
    sweep.run_trial(OmegaConf.create({"name": "sweep"}))
    with pytest.raises(SystemExit) as end:
        sweep.end()
    assert end.value.code == 1
