"""The Lightning Trainer for a device configuration."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from transformers.utils.logging import disable_progress_bar

from babelfit import preemption
from babelfit.config import TrainerConfig
from babelfit.errors import UserError


def check_devices(config: TrainerConfig, *, precision: str) -> str:
    """Say whether a run goes to `gpu` or `cpu`; raises UserError where the devices cannot do what is asked."""
    if config.accelerator not in ("auto", "cpu", "gpu"):
        raise UserError(f"trainer.accelerator={config.accelerator}: must be one of auto, cpu, gpu")
    on_gpu = torch.cuda.is_available() and config.accelerator != "cpu"
    if config.accelerator == "gpu" and not on_gpu:
        raise UserError("trainer.accelerator=gpu: no GPU is visible; use trainer.accelerator=cpu")
    if precision == "16-mixed" and not on_gpu:
        raise UserError("trainer.precision=16-mixed needs a GPU; on CPU use 32-true or bf16-mixed")
    if config.devices * config.num_nodes > 1:
        raise UserError("trainer.devices and trainer.num_nodes must be 1: several devices are not supported yet")
    return "gpu" if on_gpu else "cpu"


def build_trainer(
    config: TrainerConfig, *, folder: Path, precision: str, callbacks: list[Any] | None = None, **options: Any
) -> Trainer:
    """Build the Trainer for these devices."""
    _quiet()
    return Trainer(
        accelerator=check_devices(config, precision=precision),
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision=precision,  # type: ignore[arg-type]
        default_root_dir=folder,
        callbacks=[RichProgressBar(), _OwnSignals(), *(callbacks or [])],
        # The step's examples are dealt out by our own sampler, and checkpoints are written by our own callback.
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


@contextmanager
def stopped_by_keyboard(trainer: Trainer) -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt, which Lightning turns into an exit of its own, with another status."""
    try:
        yield
    except SystemExit as end:
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise


class _OwnSignals(Callback):
    """Take SIGTERM and SIGUSR1 back from Lightning, which takes them after its setup and before these hooks."""

    def on_train_start(self, *_: Any) -> None:
        preemption.install()

    def on_predict_start(self, *_: Any) -> None:
        preemption.install()


def _quiet() -> None:
    """Keep hints that do not apply here, and the bars of steps that take no time, off the terminal."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*is deprecated.*",
        "You're resuming from a checkpoint that ended before the epoch ended.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    disable_progress_bar()
