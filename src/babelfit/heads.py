"""Heads: what turns hidden states into logits and loss for one kind of task. A head never sees a dataset.

The modules are the Hugging Face model's own, so checkpoints interchange; only their input is ragged here.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel

from babelfit.data.batching import NO_LABEL


class SequenceClassification:
    """One label per sequence, from its first token."""

    model_class: Any = AutoModelForSequenceClassification

    @staticmethod
    def logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map the targets' hidden states, (targets, hidden), to (targets, labels)."""
        logits: torch.Tensor = model.get_submodule("classifier")(rows.unsqueeze(1))
        return logits


class TokenClassification:
    """One label per word, from its first subword."""

    model_class: Any = AutoModelForTokenClassification

    @staticmethod
    def logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map the targets' hidden states, (targets, hidden), to (targets, labels)."""
        logits: torch.Tensor = model.get_submodule("classifier")(model.get_submodule("dropout")(rows))
        return logits


def summed_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy over the targets with gold; the caller divides by the targets of the whole step."""
    at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(at_least_float32, labels, ignore_index=NO_LABEL, reduction="sum")


HEADS: dict[str, type[SequenceClassification] | type[TokenClassification]] = {
    "sequence_classification": SequenceClassification,
    "token_classification": TokenClassification,
}
