"""`babelfit train -m`: how Hydra comes to a sweep of ours, and how a command knows that it is part of one.

Hydra's own sweepers run what they are given once; this one comes back to what a killed sweep has left.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from babelfit.commands import users_files
from babelfit.commands.hydra_session import hydra_session
from babelfit.errors import UserError

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
        with hydra_session(self.config.hydra):
            from babelfit.devices import launch
            from babelfit.sweep.leader import Leader

            if launch.is_one_of_several():
                raise UserError("a sweep (-m) starts its trials itself: start it without torchrun and srun")
            leader = Leader.read(
                arguments,
                config=without_hydra(self.config),
                parser=OverridesParser.create(config_loader=self.hydra_context.config_loader),
                compose=self.compose,
                build_launcher=self.build_launcher,
                config_dir=users_files.folder_of(self.config.hydra),
            )
            leader.run()

    def compose(self, overrides: Sequence[str]) -> Any:
        """Return the checked configuration of one trial; raise UserError for what no run can have."""
        from babelfit.config.schema import TrainConfig, checked  # not above: nobody shall wait for it before --help

        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(str(error)) from error
        return checked(without_hydra(config), TrainConfig)

    def build_launcher(self, folder: Path) -> Launcher | None:
        """Return the launcher that sends trials elsewhere, whose own files go to a folder; None: trials run here.

        Raise UserError for what jobs cannot do.
        """
        options = self.config.hydra.launcher
        if options.get("_target_") == AT_ONCE:
            return None
        with read_write(self.config.hydra):
            self.config.hydra.sweep.dir = str(folder)
        try:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self.hydra_context, task_function=self._task, config=self.config
            )
        except RuntimeError as error:
            raise UserError(f"hydra.launcher._target_={options.get('_target_')}: {error}") from error
        if options.get("tasks_per_node", 1) != 1 or options.get("nodes", 1) != 1:
            raise UserError(
                "hydra.launcher.tasks_per_node and hydra.launcher.nodes must be 1, as a job starts the processes of "
                "its trial itself, on one machine; set hydra.launcher.gpus_per_node to trainer.devices"
            )
        return launcher


def is_multirun() -> bool:
    """Return whether this process is of a sweep; raise UserError for settings of a sweep where there is none."""
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN:
        return True
    for override in job.overrides.task:
        if str(override).startswith(("sweep=", "sweep.")):
            raise UserError(f"{override} is for sweeps: babelfit train -m {' '.join(job.overrides.task)}")
    return False


def without_hydra(config: DictConfig) -> DictConfig:
    """Return a configuration without what Hydra adds."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
