"""Dropout after the embeddings at a rate of its own, which the layers do not share."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from babelfit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EmbeddingDropout:
    """Give the dropout between the embeddings and the lowest layer another rate, and leave the layers' as it is.

    Embeddings that never look the same twice keep a classifier from learning one language's by heart (cf. the Gaussian
    noise on embeddings of Zheng et al. 2021).
    """

    rate: float

    def apply(self, model: PreTrainedModel) -> None:
        """Set the rate; raise UserError where the model has no such dropout."""
        found = [
            module
            for name, module in model.base_model.named_modules()
            if "embeddings" in name.split(".") and isinstance(module, torch.nn.Dropout)
        ]
        if not found:
            raise UserError(
                f"encoder.embedding_dropout={self.rate}: {model.config.model_type} has no dropout after its "
                "embeddings; set it to null"
            )
        for module in found:
            module.p = self.rate

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the state as it is: dropout has no weights."""
        return state
