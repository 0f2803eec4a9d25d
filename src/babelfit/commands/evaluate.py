"""`babelfit evaluate`: the scores of a run or of a Hugging Face model."""

from typing import TYPE_CHECKING

from babelfit.commands.options import Verbs, add_hydra_verb

if TYPE_CHECKING:
    from omegaconf import DictConfig


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    add_hydra_verb(verbs, "evaluate", "score a run, or any Hugging Face model, in any languages", run)


def run() -> None:
    """Evaluate what the command line says."""
    from babelfit.commands.compose import run_hydra

    run_hydra("evaluate", evaluate)


def evaluate(config: "DictConfig") -> None:
    """Check the configuration and evaluate."""
    from hydra.core.hydra_config import HydraConfig

    from babelfit.commands.hydra_session import hydra_session

    with hydra_session(HydraConfig.get()):
        from babelfit.config.schema import EvaluateConfig, checked
        from babelfit.devices.launch import run_in_subprocesses
        from babelfit.devices.ranks import process_group

        settings = checked(config, EvaluateConfig)
        if not run_in_subprocesses(settings.trainer):
            from babelfit import evaluation

            with process_group(settings.trainer):
                evaluation.evaluate(settings)
