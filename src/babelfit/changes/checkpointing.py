"""Activation checkpointing: less memory for more time, and the same gradients."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from babelfit.errors import UserError


@dataclass(frozen=True)
class Checkpointing:
    """Keep only each layer's input for the backward pass, and run the layer again there."""

    def apply(self, model: PreTrainedModel) -> None:
        """Let each layer run again; raise UserError where the model cannot."""
        if not model.supports_gradient_checkpointing:
            raise UserError(
                f"encoder.gradient_checkpointing=true: {model.config.model_type} does not support it; set it to false"
            )
        # Not by the public method, whose name changes in transformers 6, and which asks a gradient of the embeddings
        # even where they and the layers above them are frozen.
        model._set_gradient_checkpointing(gradient_checkpointing_func=partial(checkpoint, use_reentrant=False))

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the state as it is: a layer that runs twice has the same weights."""
        return state
