"""A training of two weights, whose steps and validations are written down: to see what Lightning does around them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch.utils.data import DataLoader

from babelfit.batches.loaders import dataloader
from babelfit.batches.steps import Steps
from babelfit.config.schema import TrainerConfig
from babelfit.devices import lightning
from babelfit.devices.trainer import build_trainer

CONFIG = TrainerConfig(
    accelerator="cpu",
    devices=1,
    num_nodes=1,
    strategy="auto",
    precision="32-true",
    tokens_per_device=512,
    attention="auto",
    compile=False,
    workers=None,
)
NUM_VALIDATION_BATCHES = 2


class Stopped(Exception):  # noqa: N818 (it is no error)
    """What ends a training as a kill would."""


class Batch:
    """A batch of a type that Lightning does not know."""

    def __init__(self, value: float) -> None:
        self.value = torch.tensor(value)


class Batches(LightningDataModule):
    """Batches by (epoch, step), from the step at which training stands, and a few for validation."""

    def __init__(self, steps_per_epoch: int) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        epoch, step = place
        return Batch(1.0 + epoch * self.steps_per_epoch + step)

    def train_dataloader(self) -> DataLoader[Any]:
        steps = Steps(steps_per_epoch=self.steps_per_epoch, steps_done=lambda: self.trainer.global_step)  # type: ignore[union-attr]
        return dataloader(self, sampler=steps, num_workers=0, pin_memory=False)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return dataloader([Batch(1.0)] * NUM_VALIDATION_BATCHES, num_workers=0, pin_memory=False)  # type: ignore[arg-type]

    predict_dataloader = val_dataloader


class Module(LightningModule):
    """Two weights, in groups of the optimizer in the other order, and a list of what happens to them."""

    def __init__(self, total_steps: int, *, score: Callable[[int], float] = float) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.tensor([1.0]))
        self.second = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.total_steps = total_steps
        self.score = score
        self.shown: dict[str, float] = {}
        self.events: list[str] = []

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self.events.append("moved")
        return batch

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        assert float(batch.value) == self.global_step + 1, "the batches are those of the step"
        self.events.append(f"step {self.global_step + 1}")
        return batch.value * (self.first.sum() + self.second.square().sum())

    def on_train_start(self) -> None:
        self.on_train_batch_end()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.global_step >= self.total_steps:
            lightning.end_training(self.trainer)

    def validation_step(self, batch: Batch, _: int) -> None:
        self.events.append(f"validation batch at {self.global_step}")

    def on_validation_epoch_end(self) -> None:
        self.events.append(f"validated {self.global_step}")
        self.log("score", self.score(self.global_step))
        self.log("step", float(self.global_step))

    def predict_step(self, batch: Batch, _: int) -> int:
        self.events.append("predicted")
        return 1

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW([{"params": [self.second]}, {"params": [self.first], "lr": 0.1}], lr=0.01)

    def that(self, *kinds: str) -> list[str]:
        """Return the events of some kinds."""
        return [event for event in self.events if event.startswith(kinds)]


def fitted(
    module: Module,
    folder: Path,
    *callbacks: Callback,
    per_epoch: int = 6,
    every: int = 4,
    resumed: Path | None = None,
    precision: str = "32-true",
    **options: Any,
) -> Trainer:
    """Train as a run does."""
    limits = lightning.limits(total_steps=module.total_steps, steps_per_epoch=per_epoch, validation_every=every)
    trainer = build_trainer(
        CONFIG, folder=folder, precision=precision, callbacks=callbacks, **{"logger": False, **limits, **options}
    )
    trainer.fit(module, datamodule=Batches(per_epoch), ckpt_path=resumed, weights_only=True)
    return trainer


class StopAt(Callback):
    """Save a checkpoint after a step, or within its validation, and end."""

    def __init__(self, step: int, path: Path, *, in_validation: bool = False) -> None:
        self.step, self.path, self.in_validation = step, path, in_validation

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not self.in_validation:
            self.stop(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            self.stop(trainer)

    def stop(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)
        raise Stopped
