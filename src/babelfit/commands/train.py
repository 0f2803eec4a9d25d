"""`python train.py`: one run, from its configuration to its scores."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from babelfit.commands.session import cli_session


def train(config: DictConfig) -> None:
    """Check the configuration and train; in a job that a sweep's launcher started, have a process of its own do so."""
    with cli_session():
        from babelfit.commands.multirun import is_multirun

        if is_multirun():
            from babelfit.sweep.trials import run_as_job

            run_as_job([str(one) for one in HydraConfig.get().overrides.task])
            return
        from babelfit.config.schema import TrainConfig, checked
        from babelfit.devices.launch import run_in_subprocesses
        from babelfit.devices.ranks import process_group

        settings = checked(config, TrainConfig)
        if not run_in_subprocesses(settings.trainer):
            from babelfit.training import fit

            with process_group(settings.trainer):
                fit(settings)
