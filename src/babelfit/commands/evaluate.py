"""`python evaluate.py`: the scores of a run or of a Hugging Face model."""

from omegaconf import DictConfig

from babelfit.commands.session import cli_session


def evaluate(config: DictConfig) -> None:
    """Check the configuration and evaluate."""
    with cli_session():
        from babelfit.config.schema import EvaluateConfig, checked
        from babelfit.devices.launch import run_in_subprocesses
        from babelfit.devices.ranks import process_group

        settings = checked(config, EvaluateConfig)
        if not run_in_subprocesses(settings.trainer):
            from babelfit import evaluation

            with process_group(settings.trainer):
                evaluation.evaluate(settings)
