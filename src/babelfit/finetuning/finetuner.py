"""The LightningModule: encoder, head and optimizer, glued. One Lightning batch is one optimizer step.

`training_step` runs backward itself for all micro-batches of the step but the last, whose loss it returns, so that
Lightning's automatic optimization (precision, clipping, hooks) goes on as usual. On several devices the gradients are
exchanged in that last backward.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import ModelParallelStrategy
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from transformers import PreTrainedModel

from babelfit.batches.budget import TokenBudget, is_out_of_memory
from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.devices import lightning, preemption, ranks
from babelfit.encoder.encoder import layers
from babelfit.finetuning.dev_scores import DevScores
from babelfit.finetuning.recipe import Recipe
from babelfit.heads import HEADS
from babelfit.heads.head import Outputs
from babelfit.scoring.objectives import objectives
from babelfit.tasks.task import Task


class Finetuner(LightningModule):
    """Train a model on steps of micro-batches, and predict examples one by one."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        task: Task,
        languages: Sequence[str],
        source_languages: Sequence[str],
        tokens_per_device: int,
        recipe: Recipe | None = None,
        objective: str | None = None,
        dev_languages: Sequence[str] = (),
    ) -> None:
        """Wrap a model whose attention is ragged; without a recipe it only predicts.

        `languages` are numbered as in the batches. All objectives are logged with `dev_languages`, else `source_dev`.
        """
        super().__init__()
        self.model = model
        self.head = HEADS[task.head]
        self.task = task
        self.languages = list(languages)
        self.source_languages = list(source_languages)
        self.objective = objective
        self.dev_languages = list(dev_languages)
        self._budget = TokenBudget(tokens_per_device)
        self._recipe = recipe
        self.numbers: dict[str, torch.Tensor | float] = {}  # of the latest step, for the log
        self.gradient_norm: torch.Tensor | None = None  # of the latest step; none where a scaler looks after it
        self.predicted: list[dict[str, torch.Tensor]] = []
        """Of each batch, on the device: index, language, gold and the head's outputs, (targets, ...) each."""
        self.shown: dict[str, float] = {}  # beside the progress bar: what was logged last
        scored = list(dict.fromkeys([*source_languages, *dev_languages]))  # sources may be dev languages, too
        # In a tuple, which is no part of the module: half precision is for weights, and not for sums.
        self._dev_scores = (DevScores(task, languages=self.languages, scored=scored),)

    @property
    def dev_scores(self) -> DevScores:
        """Return the sums of the validation that goes on, on this device."""
        return self._dev_scores[0].to(self.device)

    @property
    def recipe(self) -> Recipe:
        """How to train; only asked for where there is training."""
        assert self._recipe is not None
        return self._recipe

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch while the device still computes; Lightning would wait for it, array by array."""
        return batch.to(device, non_blocking=True)

    # Training

    def training_step(self, step: StepBatch, _: int) -> torch.Tensor:
        """Run one optimizer step's micro-batches and return the loss of the last, its backward still to come."""
        # Dropout depends on (seed, step, rank) alone, so that a resumed run draws what the first one would have.
        torch.manual_seed(_mixed(self.recipe.seed, self.global_step, self.global_rank))
        self._step = step
        loss, share = self._budget.within(lambda: self._all_but_last(step), alone=self._alone)
        self.numbers = {
            "train/loss": ranks.sum_over_ranks(share),
            "learning_rate": self.trainer.optimizers[0].param_groups[0]["lr"],
        }
        return loss

    def _all_but_last(self, step: StepBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Add up the gradients of all micro-batches but the last; return its loss and this rank's share of the step's.

        The loss to come counts once for each rank, because exchanging gradients takes their mean.
        """
        self.zero_grad(set_to_none=True)
        micro_batches = [part for batch in step.micro_batches for part in self._parts(batch)]
        share = torch.zeros((), device=self.device)
        weight = max(1, step.weight)  # of a step with few tokens, none may be masked
        with lightning.without_exchange(self):
            for batch in micro_batches[:-1]:
                loss = self._loss(batch) / weight
                lightning.backward(loss * self.trainer.world_size, module=self)
                share += loss.detach()
        loss = self._loss(micro_batches[-1]) / weight
        return loss * self.trainer.world_size, share + loss.detach()

    def configure_model(self) -> None:
        """Shard the weights over the devices where that is the strategy: each layer by itself, then what is left."""
        if not isinstance(self.trainer.strategy, ModelParallelStrategy) or isinstance(self, FSDPModule):
            return
        mesh = self.trainer.strategy.device_mesh["data_parallel"]
        for layer in layers(self.model):
            fully_shard(layer, mesh=mesh)
        fully_shard(self, mesh=mesh)
        # What is left is gathered before these methods, rather than before `forward`, which nobody calls.
        register_fsdp_forward_method(self, "_loss")
        register_fsdp_forward_method(self, "_outputs")

    def _loss(self, batch: RaggedBatch) -> torch.Tensor:
        return self.head.loss(self.model, batch)

    def _outputs(self, batch: RaggedBatch) -> Outputs:
        return self.head.outputs(self.model, batch)

    def backward(self, loss: torch.Tensor) -> None:
        """Run the last micro-batch's backward; where memory runs out, the whole step again under half the budget."""
        try:
            loss.backward()
            return
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        # The others have begun to exchange gradients with this rank, and cannot be told to begin again.
        self._budget.halve(alone=self.trainer.world_size == 1)

        def whole_step() -> None:
            with lightning.in_step_precision(self.trainer):
                last, _ = self._all_but_last(self._step)
            lightning.backward(last, module=self)

        self._budget.within(whole_step, alone=self._alone)

    def optimizer_zero_grad(self, *_: Any) -> None:
        """Leave the gradients alone: Lightning would zero what the earlier micro-batches have added up."""

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip here instead of in Lightning."""
        self.gradient_norm = lightning.clip_gradients(self, optimizer, limit=self.recipe.clip)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule, which moves on at every step, as Lightning wants them."""
        optimizer, schedule = self.recipe.build(self.model)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a run with sharded weights read the optimizer's state, too."""
        lightning.number_optimizer_states(checkpoint, module=self)

    def on_train_start(self) -> None:
        """Take no step where a resumed run had taken them all."""
        self.on_train_batch_end()

    def on_train_batch_end(self, *_: Any) -> None:
        """End at the last step, which is validated then."""
        if self.global_step >= self.recipe.total_steps:
            lightning.end_training(self.trainer)

    # Evaluation

    def validation_step(self, batch: RaggedBatch, _: int) -> None:
        """Count what a batch adds to the scores of each language."""
        # Lightning's validation within training is not in inference mode; sharded weights cannot be.
        with torch.inference_mode(self._alone):
            self.dev_scores.update(self._answered(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the scores of each language and the objectives, of which `source_dev` selects the checkpoint."""
        scores = self.dev_scores.compute()
        self.dev_scores.reset()
        for language, values in scores.items():
            for name, value in values.items():
                self.log(f"validation/{name}/{language}", _double(value))
        main = {language: values[self.task.selecting.key] for language, values in scores.items()}
        found = {"source_dev": sum(main[one] for one in self.source_languages) / len(self.source_languages)}
        if self.dev_languages:
            others = objectives(main, source_languages=self.source_languages, languages=self.dev_languages)
            found = {**others, **found}
        for name, value in found.items():
            self.log(name, _double(value))
            if name in ("source_dev", self.objective):
                self.shown[name] = value
        # Lightning logs at this number instead of at a count of its own, which loses its place in a resume.
        self.log("step", float(self.global_step))

    def predict_step(self, batch: RaggedBatch, _: int) -> int:
        """Predict a ragged batch and return how many sequences it has; a tensor, Lightning would wait for."""
        preemption.answer()
        self.predicted.append(self._answered(batch))
        return batch.num_sequences

    def _answered(self, batch: RaggedBatch) -> Outputs:
        """Return the head's outputs for a batch, with what they are about."""
        of_batch = {"index": batch.indices, "language": batch.languages, "gold": batch.gold}
        return of_batch | {name: _at_least_float32(one) for name, one in self._outputs_in_parts(batch).items()}

    def _outputs_in_parts(self, batch: RaggedBatch) -> Outputs:
        """Run a batch in as many parts as memory asks for."""

        def whole() -> Outputs:
            found = [self._outputs(part) for part in self._parts(batch)]
            return {name: torch.cat([one[name] for one in found]) for name in found[0]}

        return self._budget.within(whole, alone=self._alone)

    def _parts(self, batch: RaggedBatch) -> list[RaggedBatch]:
        return self._budget.parts(batch) if self._alone else [batch]

    @property
    def _alone(self) -> bool:
        """Whether this rank may decide alone how many forwards it runs: sharded weights need all ranks for each."""
        return not isinstance(self, FSDPModule)


def _mixed(*numbers: int) -> int:
    """Mix numbers into one seed."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _double(score: float) -> torch.Tensor:
    """Return a score as it is: Lightning would round a plain number to single precision."""
    return torch.tensor(score, dtype=torch.float64)


def _at_least_float32(column: torch.Tensor) -> torch.Tensor:
    """Return the same numbers in a type that numpy has; others are left as they are."""
    return column.to(torch.promote_types(column.dtype, torch.float32)) if column.is_floating_point() else column
