"""One number for each sequence, from its first token: the sequence classification head with a single output."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel

from babelfit.batches.ragged import RaggedBatch
from babelfit.encoder.encoder import encode_targets
from babelfit.heads.head import Head, Outputs, own_logits
from babelfit.heads.labels import name_outputs

NO_NAME = ("LABEL_0",)
"""What transformers calls an output that has no name."""


@final
class Regression(Head):
    """One number for each target; its outputs are `value`, (targets,)."""

    model_class = AutoModelForSequenceClassification

    def fits(self, config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> bool:
        """Return whether there is a single output that is a number, whatever it is called."""
        return config.num_labels == 1 and config.problem_type in (None, "regression")

    def configure(self, config: PreTrainedConfig, *, label_names: Sequence[str]) -> None:
        """Ask for a single output, which is a number and no label's."""
        name_outputs(config, NO_NAME)
        config.problem_type = "regression"

    def logits(self, model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map hidden states of targets, (targets, hidden), to (targets, 1)."""
        return own_logits(model, rows)

    def loss(self, model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
        """Return the summed squared error over the targets with gold, at least in 32 bits."""
        values = self.outputs(model, batch)["value"]
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        is_known = ~batch.gold.isnan()
        # Set before the difference is taken: the gradient of what is left out must be 0, and not NaN.
        gold = torch.where(is_known, batch.gold, 0.0).to(values.dtype)
        return (torch.where(is_known, values - gold, 0.0) ** 2).sum()

    def outputs(self, model: PreTrainedModel, batch: RaggedBatch) -> Outputs:
        """Return the number."""
        return {"value": self.logits(model, encode_targets(model, batch)).squeeze(-1)}
