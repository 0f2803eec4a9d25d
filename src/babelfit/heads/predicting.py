"""A fine-tuned model on texts that are given one by one; rows of a dataset are predicted by evaluation.py."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from babelfit.batches.ragged import Examples
from babelfit.batches.steps import EvaluationBatches
from babelfit.encoder.encoder import choose_kernels
from babelfit.encoder.loading import check_ids, load_tokenizer
from babelfit.heads import HEADS
from babelfit.heads.labels import label_order
from babelfit.heads.loading import check_fine_tuned, load_fine_tuned
from babelfit.tasks import Task

OF_TOKENS = ("input_ids", "token_type_ids", "windows", "targets")


@dataclass(frozen=True, kw_only=True)
class TextPredictor:
    """A model with its head, and how texts become its batches."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    task: Task
    max_length: int
    tokens_per_device: int
    label_order: Sequence[int] | None

    @classmethod
    def load(cls, path: str, *, task: Task, max_length: int, tokens_per_device: int) -> "TextPredictor":
        """Load a fine-tuned model, onto the GPU where there is one; raise UserError where it is none for this task."""
        tokenizer = load_tokenizer(path)
        task.check_tokenizer(tokenizer)
        check_ids(tokenizer, path, overrides={})
        check_fine_tuned(
            HEADS[task.head], path, label_names=task.labels, label_aliases=task.aliases, max_length=max_length
        )
        model = load_fine_tuned(HEADS[task.head], path, max_length=max_length)
        choose_kernels(model, attention_kernel="auto", compiled=False)
        order = label_order(model.config, label_names=task.labels, aliases=task.aliases) if task.labels else None
        return cls(
            model=model.to("cuda" if torch.cuda.is_available() else "cpu"),  # type: ignore[arg-type]
            tokenizer=tokenizer,
            task=task,
            max_length=max_length,
            tokens_per_device=max(tokens_per_device, max_length),
            label_order=order,
        )

    def predict(self, given: Sequence[Any]) -> list[Any]:
        """Return the record of each text, in their order; warn of those that are cut, with their number."""
        if not given:
            return []
        examples = Examples([(0, self._encoded(self.task.rows_of(given)))])
        batches = EvaluationBatches(examples, tokens_per_device=self.tokens_per_device)
        parts = [self._outputs(batches[place]) for place in range(len(batches))]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.argsort(columns["index"], kind="stable")
        ordered = {name: column[order] for name, column in columns.items()}
        answers = self.task.answers(ordered, indices=np.arange(len(given)), order=self.label_order)
        return list(self.task.records(answers))

    def _encoded(self, rows: pa.Table) -> Dataset:
        encoded = self.task.encode(rows, tokenizer=self.tokenizer, max_length=self.max_length)
        if num_cut := sum(encoded["truncated"]):
            warnings.warn(
                f"{num_cut:,} of {rows.num_rows:,} texts were cut: the model reads {self.max_length} subwords "
                "(data.max_length), and what is behind them was not seen",
                stacklevel=4,  # where predict() of the loaded run is called
            )
        columns = {name: pa.array(encoded[name], pa.list_(pa.int32())) for name in OF_TOKENS if name in encoded}
        gold = pa.array(self.task.read_gold(rows), pa.list_(self.task.gold_type))
        return Dataset(pa.table({**columns, "gold": gold, "index": np.arange(rows.num_rows)}))

    @torch.inference_mode()
    def _outputs(self, batch: Any) -> dict[str, Any]:
        """Return what the head gives for a batch, with the row of each target and its gold, as arrays."""
        found = HEADS[self.task.head].outputs(self.model, batch.to(self.model.device))
        arrays = {name: one.float().cpu().numpy() for name, one in found.items()}
        return {**arrays, "index": batch.indices, "gold": batch.gold}
