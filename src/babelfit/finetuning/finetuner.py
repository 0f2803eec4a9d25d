"""The LightningModule: encoder, head and optimizer, glued. One Lightning batch is one optimizer step.

`training_step` runs backward itself for all micro-batches of the step but the last, whose loss it returns, so that
Lightning's automatic optimization (precision, clipping, hooks) goes on as usual. On several devices the gradients are
exchanged in that last backward.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.strategies import ModelParallelStrategy
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_, get_total_norm
from transformers import PreTrainedModel

from babelfit.batches.budget import TokenBudget, is_out_of_memory
from babelfit.batches.ragged import NOBODY, RaggedBatch, StepBatch, has_gold
from babelfit.devices import ranks
from babelfit.encoder.encoder import layers
from babelfit.finetuning.recipe import Recipe
from babelfit.heads import HEADS
from babelfit.heads.head import Outputs
from babelfit.scoring.metrics import MAIN_METRIC, build_metrics
from babelfit.scoring.objectives import objectives


class Finetuner(LightningModule):
    """Train a model on steps of micro-batches, and predict examples one by one."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        head: str,
        languages: Sequence[str],
        source_languages: Sequence[str],
        tokens_per_device: int,
        recipe: Recipe | None = None,
        objective: str | None = None,
        dev_languages: Sequence[str] = (),
    ) -> None:
        """Take a model whose attention is ragged; without a recipe it only predicts.

        `languages` are numbered as in the batches. All objectives are logged with `dev_languages`, else `source_dev`.
        """
        super().__init__()
        self.model = model
        self.head = HEADS[head]
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
        self._main_metric = MAIN_METRIC[head]
        label_names = [name for _, name in sorted((model.config.id2label or {}).items())]
        self.metrics = {
            language: build_metrics(head, label_names=label_names, across_ranks=True)
            for language in [*source_languages, *dev_languages]
        }

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
            "train/loss": ranks.summed(share),
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
        with self._without_exchange():
            for batch in micro_batches[:-1]:
                loss = self._loss(batch) / weight
                self._backward(loss * self.trainer.world_size)
                share += loss.detach()
        loss = self._loss(micro_batches[-1]) / weight
        return loss * self.trainer.world_size, share + loss.detach()

    @contextmanager
    def _without_exchange(self) -> Iterator[None]:
        """Let backward add up this rank's own gradients."""
        if isinstance(self, FSDPModule):
            self.set_requires_gradient_sync(False)
            yield
            self.set_requires_gradient_sync(True)
        elif isinstance(self.trainer.model, DistributedDataParallel):
            with self.trainer.model.no_sync():
                yield
        else:
            yield

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

    def _backward(self, loss: torch.Tensor) -> None:
        with torch.autocast(self.device.type, enabled=False):
            self.trainer.precision_plugin.pre_backward(loss, self).backward()

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
            with self.trainer.precision_plugin.train_step_context():
                last, _ = self._all_but_last(self._step)
            self._backward(last)

        self._budget.within(whole_step, alone=self._alone)

    def optimizer_zero_grad(self, *_: Any) -> None:
        """Leave the gradients alone: Lightning would zero what the earlier micro-batches have added up."""

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, *_: Any, **__: Any) -> None:
        """Clip here, because Lightning's own clipping refuses a fused optimizer under mixed precision."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if self.recipe.clip is None:
            norm = get_total_norm([one.grad for one in self.parameters() if one.grad is not None])
        else:
            # A fused optimizer would take the gradient scale out by itself, but only after the clipping.
            if scaler is not None:
                scaler.unscale_(optimizer)
            norm = clip_grad_norm_(self.parameters(), self.recipe.clip)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        self.gradient_norm = norm if scaler is None else None

    def configure_optimizers(self) -> Any:
        """Give Lightning the optimizer and its schedule, which goes on at every step."""
        optimizer, schedule = self.recipe.build(self.model)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Number the optimizer's parameters as the model does, which is how a run with sharded weights looks them up.

        torch numbers them by their place in the groups, and reads that order back whatever the numbers are.
        """
        if isinstance(self, FSDPModule):
            return  # numbered so already
        place_of = {parameter: place for place, parameter in enumerate(self.parameters())}
        for optimizer, saved in zip(self.trainer.optimizers, checkpoint["optimizer_states"], strict=True):
            places = [place_of[parameter] for group in optimizer.param_groups for parameter in group["params"]]
            saved["state"] = {places[number]: state for number, state in saved["state"].items()}
            for group in saved["param_groups"]:
                group["params"] = [places[number] for number in group["params"]]

    def on_train_start(self) -> None:
        """Take no step where a resumed run had taken them all."""
        self.on_train_batch_end()

    def on_train_batch_end(self, *_: Any) -> None:
        """Ask for the last validation: Lightning runs none after the last step unless it is told to stop there."""
        if self.global_step >= self.recipe.total_steps:
            self.trainer.should_stop = True

    # Evaluation

    def validation_step(self, batch: RaggedBatch, _: int) -> None:
        """Count right and wrong predictions, by language."""
        # Lightning's validation within training is not in inference mode; sharded weights cannot be.
        with torch.inference_mode(self._alone):
            outputs = self._outputs_in_parts(batch)
        is_counted = outputs.pop("active", has_gold(batch.gold))
        if "logits" in outputs:
            outputs = {"preds": outputs["logits"].argmax(-1), "target": batch.gold}
        for number in set(batch.languages.tolist()) - {NOBODY}:
            chosen = (batch.languages == number) & is_counted
            metrics = self.metrics[self.languages[number]].to(self.device)
            mine = {name: values[chosen] for name, values in outputs.items()}
            metrics.update(**mine, sentences=batch.indices[chosen])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of each language and the objectives, of which `source_dev` selects the checkpoint."""
        main = {}
        for language, metrics in self.metrics.items():
            # Of all ranks, also where this one had no example of the language.
            values = metrics.to(self.device).compute()
            metrics.reset()
            for name, value in values.items():
                self.log(f"validation/{name}/{language}", value)
            main[language] = values[self._main_metric]
        source_dev = torch.stack([main[language] for language in self.source_languages]).mean()
        found: dict[str, torch.Tensor | float] = {"source_dev": source_dev}
        if self.dev_languages:
            scores = {language: float(score) for language, score in main.items()}
            others = objectives(scores, source_languages=self.source_languages, languages=self.dev_languages)
            found = {**others, **found}
        for name, value in found.items():
            self.log(name, value)
            if name in ("source_dev", self.objective):
                self.shown[name] = float(value)
        # Lightning logs at this number instead of at a count of its own, which loses its place in a resume.
        self.log("step", float(self.global_step))

    def predict_step(self, batch: RaggedBatch, _: int) -> int:
        """Predict a ragged batch and say how many sequences it has; a tensor, Lightning would wait for."""
        of_batch = {"index": batch.indices, "language": batch.languages, "gold": batch.gold}
        self.predicted.append(of_batch | self._outputs_in_parts(batch))
        return batch.num_sequences

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
