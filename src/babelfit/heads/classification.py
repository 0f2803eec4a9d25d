"""Heads for labels: one of each sequence, from its first token, or one of each word, from its first subword."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedConfig, PreTrainedModel

from babelfit.batches.ragged import NO_LABEL, RaggedBatch
from babelfit.encoder.encoder import encode_targets
from babelfit.heads.head import Head, Outputs, own_logits
from babelfit.heads.labels import has_labels, name_outputs


def summed_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy over the targets with gold, at least in 32 bits."""
    at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(at_least_float32, labels, ignore_index=NO_LABEL, reduction="sum")


@final
@dataclass(frozen=True)
class Classification(Head):
    """One of several labels for each target; its outputs are `logits`, (targets, labels)."""

    model_class: Any

    def fits(self, config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> bool:
        """Return whether the outputs have the labels' names, in whatever order."""
        return has_labels(config, label_names=label_names, aliases=aliases)

    def configure(self, config: PreTrainedConfig, *, label_names: Sequence[str]) -> None:
        """Name the outputs as the labels."""
        name_outputs(config, label_names)

    def logits(self, model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map hidden states of targets, (targets, hidden), to (targets, labels)."""
        return own_logits(model, rows)

    def loss(self, model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
        """Return the summed cross entropy."""
        return summed_loss(self.logits(model, encode_targets(model, batch)), batch.gold)

    def outputs(self, model: PreTrainedModel, batch: RaggedBatch) -> Outputs:
        """Return the logits."""
        return {"logits": self.logits(model, encode_targets(model, batch))}
