"""Freezing: the embeddings, or the lowest layers, keep their weights in training."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from babelfit.encoder.encoder import depths
from babelfit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Freezing:
    """Keep the embeddings, or the lowest so many layers, as they are."""

    embeddings: bool
    layers: int

    def apply(self, model: PreTrainedModel) -> None:
        """Turn off their gradients; raise UserError where the model has fewer layers, or no stack of them."""
        of_parameter = depths(model)
        highest = max(of_parameter.values()) - 1
        if self.layers > highest:
            raise UserError(f"encoder.freeze_layers={self.layers}: {model.config.model_type} has {highest} layers here")
        for name, parameter in model.named_parameters():
            depth = of_parameter[name]
            if (depth == 0 and self.embeddings) or 1 <= depth <= self.layers:
                parameter.requires_grad_(False)

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the state as it is: frozen weights have the names and shapes of trained ones."""
        return state
