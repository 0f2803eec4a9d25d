"""How long a run would take: a few real steps and batches, measured on the real device and extrapolated by tokens."""

import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.utils.data import Subset

from babelfit.batches.loaders import dataloader
from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.devices.trainer import build_trainer
from babelfit.finetuning import building

if TYPE_CHECKING:
    from babelfit.planning.plan import Plan

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
            trainer.should_stop = True

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
        """Return what was measured behind the warm-up, or in it where there is no more."""
        counted = self.measured[WARM_UP:] or self.measured
        return sum(seconds for _, seconds in counted) / sum(tokens for tokens, _ in counted)


def measured(planned: "Plan") -> list[tuple[str, str]]:
    """Take a few steps and predict a few batches, and say how long a step and all of the run would take.

    Of several devices one is measured, and the others are taken to be as fast and to lose no time on each other.
    """
    config, data, num_devices = planned.config, planned.data, planned.num_devices
    devices = replace(config.trainer, devices=1, num_nodes=1, strategy="auto")
    finetuner = building.build_finetuner(config, data=data, model=building.build_model(config, data=data))
    num_steps = min(STEPS, planned.num_steps)
    log.info("measuring %d steps and %d batches of an evaluation", num_steps, BATCHES)
    steps, batches = _Stopwatch(), _Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "folder": Path(folder),
            "precision": str(config.trainer.precision),
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
    tokens = {
        "train": data.training_steps().tokens_per_epoch / data.steps_per_epoch,
        "validation": sum(planned.tokens("validation", one) for one in data.validated_languages),
        "evaluation": sum(planned.tokens(split, one) for split, those in planned.scored.items() for one in those),
    }
    step = tokens["train"] * steps.seconds_per_token() / num_devices
    per_token = batches.seconds_per_token() / num_devices
    training_seconds = planned.num_steps * step
    validation_seconds = planned.num_validations * tokens["validation"] * per_token
    evaluation_seconds = tokens["evaluation"] * per_token
    counted = len(steps.measured[WARM_UP:] or steps.measured)
    return [
        (f"a step, mean of {counted}", f"{step:.3f} s"),
        (f"training, {planned.num_steps:,} steps", _duration(training_seconds)),
        (f"validations, {planned.num_validations:,}", _duration(validation_seconds)),
        ("last evaluation", _duration(evaluation_seconds)),
        ("all", _duration(training_seconds + validation_seconds + evaluation_seconds)),
    ]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
