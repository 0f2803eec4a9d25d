"""The Lightning Trainer for a device configuration."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar, TQDMProgressBar
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from rich.console import Console
from transformers.utils.logging import disable_progress_bar

from babelfit.config.schema import TrainerConfig
from babelfit.devices.launch import check_devices
from babelfit.devices.lightning import leave_signals
from babelfit.devices.ranks import cluster_environment


def build_trainer(
    config: TrainerConfig,
    *,
    folder: Path,
    precision: str,
    callbacks: Sequence[Callback] = (),
    plugins: Sequence[Any] = (),
    **options: Any,
) -> Trainer:
    """Build the Trainer for these devices."""
    _quiet()
    trainer = Trainer(
        accelerator=check_devices(config, precision=precision),
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=_strategy(config),
        plugins=[cluster_environment(), *plugins],
        precision=precision,  # type: ignore[arg-type]
        default_root_dir=folder,
        callbacks=[*_progress_bar(), *callbacks],
        # The step's examples are dealt out by our own sampler, and checkpoints are written by our own callback.
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,  # but the one among the callbacks
        num_sanity_val_steps=0,
        **options,
    )
    leave_signals(trainer)
    return trainer


def _strategy(config: TrainerConfig) -> Strategy | str:
    """Return how the devices share the work; with one there is nothing to share."""
    num_devices = config.devices * config.num_nodes
    if num_devices == 1:
        return "auto"
    if config.strategy == "fsdp":
        return ModelParallelStrategy(
            data_parallel_size=num_devices, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    # Every parameter has a gradient in every step, and there are no statistics of batches to share.
    return DDPStrategy(broadcast_buffers=False, find_unused_parameters=False)


def _progress_bar() -> list[Callback]:
    """Return a bar for a terminal, one of tqdm's for a notebook, where rich's shows nothing without widgets, or none.

    In the file of a log a bar would be a line of control characters.
    """
    console = Console()
    return [_NotebookBar()] if console.is_jupyter else [_TerminalBar()] if console.is_terminal else []


class _TerminalBar(RichProgressBar):
    """Show what was logged last: to ask for newer numbers would make a GPU wait at every step."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> Any:
        """Return the numbers to show."""
        return pl_module.shown


class _NotebookBar(TQDMProgressBar):
    """Show what was logged last."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> Any:
        """Return the numbers to show."""
        return pl_module.shown


def _quiet() -> None:
    """Keep hints that do not apply here, and the bars of steps that take no time, off the terminal."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*smaller than the logging interval.*",
        ".*sync_dist=True.*",  # our scores are those of all devices already
        ".*broadcast_buffers. is deprecated.*",
        ".*overridden `transfer_batch_to_device`.*",  # on purpose: the finetuner moves the batches of all loaders
        ".*LeafSpec.*is deprecated.*",
        "You're resuming from a checkpoint that ended before the epoch ended.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    disable_progress_bar()
