"""Train a model through the finetuner and the Trainer, as a run does, and keep the loss of every step."""

from typing import Any

from pytorch_lightning import LightningDataModule, Trainer
from pytorch_lightning.callbacks import Callback
from transformers import PreTrainedModel

from babelfit.encoder import attention
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.recipe import Recipe
from babelfit.tasks import of_head


class Losses(Callback):
    """Keep the loss of every step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        self.values.append(float(module.numbers["train/loss"]))


def losses_of(model: PreTrainedModel, data: LightningDataModule, *, head: str, recipe: Recipe) -> list[float]:
    model.set_attn_implementation(attention.name("auto"))
    finetuner = Finetuner(
        model, task=of_head(head), languages=["en"], source_languages=["en"], tokens_per_device=2048, recipe=recipe
    )
    losses = Losses()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=recipe.total_steps,
        logger=False,
        callbacks=[losses],
        limit_val_batches=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(finetuner, train_dataloaders=data)
    return losses.values
