"""`babelfit train`: one run, from its configuration to its scores, or with -m many of them."""

from typing import TYPE_CHECKING

from babelfit.commands.options import Verbs, add_hydra_verb

if TYPE_CHECKING:
    from omegaconf import DictConfig


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    add_hydra_verb(verbs, "train", "train on the source languages, then score every language; with -m a sweep", run)


def run() -> None:
    """Train what the command line says."""
    from babelfit.commands.compose import run_hydra

    run_hydra("train", train)


def train(config: "DictConfig") -> None:
    """Check the configuration and train; in a job that a sweep's launcher started, have a process of its own do so."""
    from hydra.core.hydra_config import HydraConfig

    from babelfit.commands import users_files
    from babelfit.commands.hydra_session import hydra_session
    from babelfit.commands.multirun import is_multirun

    job = HydraConfig.get()
    with hydra_session(job):
        if is_multirun():
            from babelfit.sweep.trials import run_as_job

            run_as_job([str(one) for one in job.overrides.task], config_dir=users_files.folder_of(job))
            return
        from babelfit.config.schema import TrainConfig, checked
        from babelfit.devices.launch import run_in_subprocesses
        from babelfit.devices.ranks import process_group

        settings = checked(config, TrainConfig)
        if not run_in_subprocesses(settings.trainer):
            from babelfit.training import fit

            with process_group(settings.trainer):
                fit(settings)
