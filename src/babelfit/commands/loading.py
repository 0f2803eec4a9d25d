"""What a folder that somebody names has: a run or an evaluation, and a model to predict with."""

from pathlib import Path

from babelfit.config import config_files
from babelfit.config.schema import EvaluateConfig
from babelfit.datasets import DATASETS
from babelfit.errors import UserError
from babelfit.files.untrusted_files import check_folder
from babelfit.heads.predicting import TextPredictor
from babelfit.ledger.study import is_sweep
from babelfit.run import exported
from babelfit.run.run import CONFIG, EVALUATION, Run, check_kind


def check(folder: Path) -> None:
    """Raise UserError where a folder holds neither a run nor an evaluation."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of a run or an evaluation, outputs/NAME")
    if is_sweep(folder):
        raise UserError(f"{folder} is a sweep: give one of the runs in it, or all of them to babelfit.scores()")
    check_folder(folder)
    check_kind(folder)


def load_predictor(folder: Path) -> TextPredictor:
    """Load the model of a run, or that an evaluation is of; raise UserError where there is none."""
    check(folder)
    if (folder / CONFIG).is_file():
        run = Run.existing(folder)
        return _load(run, name=run.config().data.name)
    evaluation = config_files.load(folder / EVALUATION, EvaluateConfig)
    if evaluation.run is not None:
        run = Run.existing(Path(evaluation.run))
        return _load(run, name=run.config().data.name)
    if evaluation.model is None or evaluation.data is None:
        raise UserError(f"{folder} has a model's predictions, but not the model")
    return TextPredictor.load(
        evaluation.model,
        task=DATASETS[evaluation.data.name].dataset.task,
        max_length=evaluation.data.max_length,
        tokens_per_device=evaluation.trainer.tokens_per_device,
    )


def _load(run: Run, *, name: str) -> TextPredictor:
    if not run.model.is_dir():
        raise UserError(f"{run.folder} has no model: its training is {run.status().state}")
    exported.check(run)
    config = run.config()
    return TextPredictor.load(
        str(run.model),
        task=DATASETS[name].dataset.task,
        max_length=config.data.max_length,
        tokens_per_device=config.trainer.tokens_per_device,
    )
