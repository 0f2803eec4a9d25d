"""Training and evaluation in the process that asks for them, a script's or a notebook's, which they never end."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from babelfit.commands.compose import compose_config
from babelfit.config.schema import EvaluateConfig, TrainConfig, TrainerConfig, checked
from babelfit.devices import launch, preemption, ranks
from babelfit.devices.program import babelfit_command
from babelfit.errors import UserError
from babelfit.run.run import OUTPUTS, evaluation_folder

Overrides = Sequence[str] | Mapping[str, Any]


def train(overrides: Overrides, *, config_dir: str | Path | None = None) -> Path:
    """Train, and return the folder of the run."""
    given, options = as_overrides(overrides), _options(config_dir)
    with _session():
        config = compose_config("train", given, config_dir=None if config_dir is None else str(config_dir))
        settings = checked(config, TrainConfig)

        def work() -> None:
            from babelfit.training import fit

            fit(settings)

        _on_devices(settings.trainer, work=work, command=babelfit_command("train", *options, *given))
    return OUTPUTS / settings.name


def evaluate(overrides: Overrides, *, config_dir: str | Path | None = None) -> Path:
    """Evaluate, and return the folder that has the scores."""
    given, options = as_overrides(overrides), _options(config_dir)
    with _session():
        config = compose_config("evaluate", given, config_dir=None if config_dir is None else str(config_dir))
        settings = checked(config, EvaluateConfig)

        def work() -> None:
            from babelfit import evaluation

            evaluation.evaluate(settings)

        _on_devices(settings.trainer, work=work, command=babelfit_command("evaluate", *options, *given))
    if settings.data is None:
        return Path(str(settings.run))
    return evaluation_folder(settings, data_name=settings.data.name)


def as_overrides(given: Overrides) -> list[str]:
    """Return overrides as they stand on the command line; raise UserError for anything else."""
    if isinstance(given, Mapping):
        return [f"{key}={_written(value)}" for key, value in given.items()]
    if isinstance(given, str):
        raise UserError(f"give a list of overrides: [{given!r}]")
    for one in given:
        if not isinstance(one, str) or one.startswith("-") or "=" not in one.lstrip("~") + "=" * one.startswith("~"):
            raise UserError(
                f"{one!r} is not an override, such as 'seed=2'; a sweep is a command: babelfit train -m ..."
            )
    return list(given)


def _written(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str | Path):
        return QuotedString(str(value), Quote.single).with_quotes()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value)


def _options(config_dir: str | Path | None) -> list[str]:
    return [] if config_dir is None else ["--config-dir", str(config_dir)]


def _on_devices(trainer: TrainerConfig, *, work: Callable[[], None], command: Sequence[str]) -> None:
    """Do the work on the devices that are asked for: here, or as a command in a process for each of several."""
    try:
        if launch.run_in_subprocesses(trainer, command=command):
            return
    except SystemExit as end:
        if end.code == preemption.KEYBOARD_STATUS:
            raise KeyboardInterrupt from end
        raise UserError(f"the processes ended with status {end.code}; their messages say what is wrong") from end
    with ranks.process_group(trainer):
        work()


@contextmanager
def _session() -> Iterator[None]:
    """Log as a command does, where nobody else has a say in that, and let a signal end the process as it would have."""
    launch.drop_foreign_rank_variables()
    # Python lets the main thread alone handle signals.
    is_main = threading.current_thread() is threading.main_thread()
    try:
        with _logged(), preemption.handle_signals() if is_main else nullcontext():
            yield
    except preemption.Preempted as stopped:
        signal.raise_signal(signal.Signals[str(stopped)])
        raise UserError(f"stopped by {stopped}; the same call goes on where it stopped") from stopped


@contextmanager
def _logged() -> Iterator[None]:
    logger = logging.getLogger("babelfit")
    if logging.root.handlers or logger.handlers:
        yield
        return
    handler, level = logging.StreamHandler(), logger.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
