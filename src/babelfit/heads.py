"""Heads: what turns hidden states into logits and loss for one kind of task. A head never sees a dataset.

The modules are the Hugging Face model's own, so checkpoints interchange; only their input is ragged here.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from babelfit.data.batching import NO_LABEL, RaggedBatch


class SequenceClassification:
    """One label per sequence, from its first token."""

    model_class: Any = AutoModelForSequenceClassification

    @staticmethod
    def logits(model: PreTrainedModel, hidden: torch.Tensor, batch: RaggedBatch) -> torch.Tensor:
        """Map (tokens, hidden) to (sequences, labels)."""
        first = hidden[batch.cu_seqlens[:-1]]
        logits: torch.Tensor = model.get_submodule("classifier")(first.unsqueeze(1))
        return logits

    @staticmethod
    def loss(logits: torch.Tensor, batch: RaggedBatch) -> torch.Tensor:
        """Sum the cross entropy over the sequences with gold; the caller divides by the targets of the whole step."""
        return cross_entropy(_at_least_float32(logits), batch.labels, ignore_index=NO_LABEL, reduction="sum")


def _at_least_float32(logits: torch.Tensor) -> torch.Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


HEADS = {"sequence_classification": SequenceClassification}
