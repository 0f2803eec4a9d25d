"""Weights & Biases and MLflow, by Lightning's own loggers: a run that goes on stays the same run there."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, MLFlowLogger, WandbLogger

from babelfit.config.schema import TrainConfig
from babelfit.devices import ranks
from babelfit.errors import UserError, first_line
from babelfit.files import documents
from babelfit.files.atomic_files import write_json
from babelfit.run.run import OUTPUTS, Run
from babelfit.scoring.scores import Scores

FILE = "tracking.json"


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """Where a run is tracked, and what it is called there."""

    tracker: str
    id: str


def check_installed(config: TrainConfig) -> None:
    """Raise UserError where a tracker's package is not installed."""
    tracker = config.logger.tracker
    if tracker is not None and find_spec(tracker) is None:
        raise UserError(f"logger={tracker} needs a package that is not installed: pip install 'babelfit[{tracker}]'")


@contextmanager
def tracked(config: TrainConfig, *, run: Run) -> Iterator[list[Logger]]:
    """Open what a run is tracked by, on the first rank: one logger or none. The run has ended there when this ends.

    Raises UserError where the tracker cannot be reached, or does not know the run any more.
    """
    if config.logger.tracker is None or ranks.rank() > 0:
        yield []
        return
    path = run.folder / FILE
    before = _read(path, tracker=config.logger.tracker)
    try:
        logger, found = _OPENED[config.logger.tracker](config, before)
        if before is None:
            logger.log_hyperparams(asdict(config))
    except Exception as error:
        hint = "" if before is None else f"; to be tracked as a new run, delete {path}"
        raise UserError(f"logger={config.logger.tracker}: {first_line(error)}{hint}") from error
    write_json(path, documents.dumped(Tracked(tracker=config.logger.tracker, id=found)))
    try:
        yield [logger]
    except BaseException:
        _end(logger, is_well=False)
        raise
    _end(logger, is_well=True)


def _read(path: Path, *, tracker: str) -> str | None:
    """Return what a run is called in a tracker; None where it is not tracked there yet."""
    if not path.is_file():
        return None
    try:
        known = documents.parsed(Tracked, documents.loads(path.read_text(encoding="utf-8")), where="it")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, and the run is tracked as a new one") from error
    return known.id if known.tracker == tracker else None


def _sweep_of(config: TrainConfig) -> str | None:
    """Return the name of the sweep that a run is a trial of; None for a run of its own."""
    return config.name.rpartition("/")[0] or None


def _wandb(config: TrainConfig, known: str | None) -> tuple[Logger, str]:
    name = known or secrets.token_hex(8)
    group = _sweep_of(config)
    # Its files lie beside the runs, as some are links out of their folder.
    logger = WandbLogger(project=config.logger.project, name=config.name, id=name, group=group, save_dir=str(OUTPUTS))
    _ = logger.experiment  # begins it
    return logger, name


def _mlflow(config: TrainConfig, known: str | None) -> tuple[Logger, str]:
    group = _sweep_of(config)
    logger = MLFlowLogger(
        experiment_name=config.logger.project,
        run_name=config.name,
        run_id=known,
        # Absolute, as MLflow keeps connections by this name.
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{OUTPUTS.absolute() / 'mlflow.db'}",
        tags={"sweep": group} if group else {},
    )
    return logger, str(logger.run_id)


_OPENED: dict[str, Callable[[TrainConfig, str | None], tuple[Logger, str]]] = {"wandb": _wandb, "mlflow": _mlflow}


def log_scores(loggers: Sequence[Logger], all_scores: Sequence[Scores], *, step: int) -> None:
    """Log what a run ends with, by split, measure and language, and the mean over target languages."""
    numbers: dict[str, float] = {}
    for scores in all_scores:
        for language, values in scores.languages.items():
            numbers |= {f"{scores.split}/{key}/{language}": value for key, value in values.values.items()}
        if scores.transfer is not None and scores.transfer.target_mean is not None:
            numbers[f"{scores.split}/target_mean"] = scores.transfer.target_mean
    for logger in loggers:
        logger.log_metrics(numbers, step=step)


def _end(logger: Any, *, is_well: bool) -> None:
    logger.finalize("success" if is_well else "failed")
    if isinstance(logger, WandbLogger):
        logger.experiment.finish(exit_code=0 if is_well else 1)
