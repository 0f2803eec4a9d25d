"""How long a run would take: a few real steps and batches, measured on the real device and extrapolated by tokens."""

import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import Subset

from babelfit.batches.loaders import dataloader
from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.devices import lightning
from babelfit.devices.trainer import build_trainer
from babelfit.finetuning.prepared import Prepared

ON_ONE_DEVICE = ("trainer.devices=1", "trainer.num_nodes=1", "trainer.strategy=auto")
"""How it is measured, whatever the run will do."""

WARM_UP = 1
"""Steps and batches that are not counted: the first makes AdamW's states, and a GPU chooses its kernels."""

STEPS = 6
BATCHES = 4
SECONDS = 60
"""No new step after so long: on a slow device, fewer have to do."""

log = logging.getLogger(__name__)


class _Stopwatch(Callback):
    """Time each step and each batch, and stop training in time."""

    def __init__(self) -> None:
        self.measured: list[tuple[int, float]] = []  # tokens and seconds
        self._begin = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        self._started()

    def on_predict_batch_start(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        self._started()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: StepBatch, *_: Any
    ) -> None:
        self._ended(sum(part.num_tokens for part in batch.micro_batches))
        if len(self.measured) > WARM_UP and time.perf_counter() - self._begin > SECONDS:
            lightning.end_training(trainer)

    def on_predict_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: RaggedBatch, *_: Any
    ) -> None:
        self._ended(batch.num_tokens)

    def _started(self) -> None:
        _wait()
        self._start = time.perf_counter()

    def _ended(self, num_tokens: int) -> None:
        _wait()
        self.measured.append((num_tokens, time.perf_counter() - self._start))

    def seconds_per_token(self) -> float:
        """Return what was measured after the warm-up, or in it where there is no more."""
        counted = self.measured[WARM_UP:] or self.measured
        return sum(seconds for _, seconds in counted) / sum(tokens for tokens, _ in counted)


def measure(prepared: Prepared) -> list[tuple[str, str]]:
    """Run a few steps and predict a few batches; return how long a step, each part of the run and all of it take.

    Of several devices one is measured, and the others are taken to be as fast and to lose no time on each other.
    """
    data, trainer = prepared.data, prepared.config.trainer
    steps, batches = _run(prepared)
    num_devices = trainer.devices * trainer.num_nodes
    step = data.training_steps().tokens_per_epoch / data.steps_per_epoch * steps.seconds_per_token() / num_devices
    per_token = batches.seconds_per_token() / num_devices
    seconds = {
        f"training, {prepared.num_steps:,} steps": prepared.num_steps * step,
        f"validations, {prepared.num_validations:,}": (
            prepared.num_validations * prepared.num_tokens("validation", data.validated_languages) * per_token
        ),
        "last evaluation": sum(prepared.num_tokens(*scored) for scored in prepared.scored.items()) * per_token,
    }
    counted = len(steps.measured[WARM_UP:] or steps.measured)
    return [
        (f"a step, mean of {counted}", f"{step:.3f} s"),
        *((part, _duration(took)) for part, took in seconds.items()),
        ("all", _duration(sum(seconds.values()))),
    ]


def _run(prepared: Prepared) -> tuple[_Stopwatch, _Stopwatch]:
    """Run a few steps and predict a few batches; return the stopwatch of each."""
    data = prepared.data
    finetuner = prepared.finetuner(prepared.model())
    num_steps = min(STEPS, prepared.num_steps)
    log.info("measuring %d steps and %d batches of an evaluation", num_steps, BATCHES)
    steps, batches = _Stopwatch(), _Stopwatch()
    devices = replace(prepared.config.trainer, devices=1, num_nodes=1, strategy="auto")
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "folder": Path(folder),
            "precision": str(prepared.config.trainer.precision),
            "logger": False,
        }
        build_trainer(devices, callbacks=[steps], max_steps=num_steps, limit_val_batches=0, **options).fit(
            finetuner, datamodule=data
        )
        loader = data.val_dataloader()  # of other languages, the model has not all embeddings
        # From the longest to the shortest; the first twice, to warm up.
        places = [0, *np.linspace(0, len(loader) - 1, BATCHES).astype(int).tolist()]
        few = dataloader(Subset(loader.dataset, places), num_workers=0, pin_memory=False)
        build_trainer(devices, callbacks=[batches], **options).predict(finetuner, few)
    data.trainer = None
    return steps, batches


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
