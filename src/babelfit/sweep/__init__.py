"""The trials of `python train.py -m ...`, each a command of its own in a folder of its own."""

import hashlib
import json
import logging
import signal
import sys
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from babelfit import launch, preemption
from babelfit.config import identity
from babelfit.errors import UserError
from babelfit.run import CONFIG, OUTPUTS

log = logging.getLogger(__name__)

_failed: list[str] = []


def is_running() -> bool:
    """Tell whether this process leads a sweep, and trains nothing itself."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def run_trial(config: DictConfig) -> None:
    """Run one trial as a process, in outputs/<name>/<hash of what makes it the same run>; remember if it failed.

    A trial that was stopped, rather than failed, ends the sweep with its status: who stops one wants no other.
    """
    logging.getLogger("hydra").setLevel(logging.WARNING)  # it would announce each trial, too
    if launch.is_one_of_several():
        raise UserError("a sweep (-m) starts the processes of its trials itself: start it without torchrun and srun")
    values: Any = OmegaConf.to_container(config, resolve=True)
    sweep = values.pop("name")
    if (OUTPUTS / sweep / CONFIG).exists():
        raise UserError(f"{OUTPUTS / sweep} is a run and cannot hold the trials of a sweep: choose another name=")
    name = f"{sweep}/{_hash(identity(values))}"
    overrides = [str(one) for one in HydraConfig.get().overrides.task]
    log.info("trial %s: %s", name, " ".join(overrides))
    status, received = launch.run([{}], arguments=[*overrides, f"name={name}"])
    if status in (preemption.KEYBOARD_STATUS, preemption.EXIT_STATUS):
        sys.exit(status)
    if received == signal.SIGINT:
        raise KeyboardInterrupt
    if received is not None:
        # The trial had ended already, or was not yet there to answer.
        raise preemption.Preempted(received.name)
    if status:
        log.error("trial %s ended with status %d: %s", name, status, " ".join(overrides))
        _failed.append(name)


def end() -> None:
    """End a sweep in which trials failed with exit status 1."""
    if _failed:
        sys.exit(1)


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
