"""What `python train.py -m ...` does: choose trials, have them run, record how they ended. Hydra calls `Sweeper`.

Hydra's own sweepers run what they are told once; this one comes back to what a killed sweep has left.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from babelfit.commands.session import told
from babelfit.config.schema import TrainConfig, checked
from babelfit.devices import launch
from babelfit.errors import UserError
from babelfit.sweep.leader import Leader, without_hydra

log = logging.getLogger(__name__)

AT_ONCE = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
"""Hydra's own launcher, which stands for: no launcher, our own processes on this machine."""


class Sweeper(HydraSweeper):
    """Hydra's way to a sweep."""

    hydra_context: HydraContext
    config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra has composed: the configuration without what is swept."""
        self.hydra_context, self.config = hydra_context, config
        self._task = task_function

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that the command line stands for."""
        logging.getLogger("hydra").setLevel(logging.WARNING)
        with told():
            if launch.is_one_of_several():
                raise UserError("a sweep (-m) starts its trials itself: start it without torchrun and srun")
            Leader.made(arguments, sweeper=self).carry_out()

    def composed(self, overrides: Sequence[str]) -> TrainConfig:
        """Compose and check the configuration of one trial; raises UserError for what no run can have."""
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(str(error)) from error
        return checked(without_hydra(config), TrainConfig)

    def built_launcher(self, folder: Path) -> Launcher | None:
        """Build the launcher that sends trials elsewhere; none where they run on this machine."""
        if self.config.hydra.launcher.get("_target_") == AT_ONCE:
            return None
        with read_write(self.config.hydra):
            self.config.hydra.sweep.dir = str(folder)  # where it keeps its own files
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self._task, config=self.config
        )


def is_running() -> bool:
    """Tell whether this process is of a sweep; raises UserError for settings of a sweep where there is none."""
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN:
        return True
    for override in job.overrides.task:
        if str(override).startswith(("sweep=", "sweep.")):
            raise UserError(f"{override} is for sweeps: python train.py -m {' '.join(job.overrides.task)}")
    return False
