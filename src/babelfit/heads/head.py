"""What turns the hidden states of a batch into logits, loss and outputs, for one kind of task; never sees a dataset.

The head is the Hugging Face model's own, whatever it is made of, so checkpoints interchange: only the hidden states
come from a ragged batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from babelfit.batches.ragged import RaggedBatch
from babelfit.encoder.agreement import assume_attention, choose_attention

Outputs = dict[str, torch.Tensor]
"""What is read of a model's outputs, by name: (targets, ...) each."""


class Head(ABC):
    """One kind of head."""

    model_class: Any
    pretrained_for: str | None = None
    """What an encoder's own checkpoint has such a head for, if it has: without it, that is worth a warning."""

    @abstractmethod
    def fits(self, config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> bool:
        """Return whether a model's outputs, as its config says what they are, are those of such a head."""

    @abstractmethod
    def configure(self, config: PreTrainedConfig, *, label_names: Sequence[str]) -> None:
        """Write into a model's config what its outputs are: these labels, none of them where nothing is labelled."""

    @abstractmethod
    def logits(self, model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map hidden states of targets, (targets, hidden), to the model's own logits: (targets, outputs)."""

    @abstractmethod
    def loss(self, model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
        """Return the loss summed over a batch's targets with gold; the caller divides it by the weight of the step."""

    @abstractmethod
    def outputs(self, model: PreTrainedModel, batch: RaggedBatch) -> Outputs:
        """Return what validation and prediction read of a batch's targets."""

    def ready(self, model: PreTrainedModel, *, max_length: int) -> None:
        """Choose how a model runs on ragged batches, without padding if it can; raise UserError where it cannot."""
        if model.device.type == "meta":
            assume_attention(model, max_length=max_length)
        else:
            choose_attention(model, logits=self.logits, max_length=max_length)


class _WithoutEncoder:
    """A model whose encoder is done: all of the model but its encoder, which gives what it has given."""

    def __init__(self, model: PreTrainedModel, given: BaseModelOutputWithPooling) -> None:
        self._model = model
        self._given = given

    def __getattr__(self, name: str) -> Any:
        if name == self._model.base_model_prefix:
            return lambda *_, **__: self._given
        return getattr(self._model, name)


def own_logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
    """Run the model's own forward behind its encoder, each row a sequence of one token: (targets, outputs)."""
    states = rows.unsqueeze(1)
    pooler = getattr(model.base_model, "pooler", None)
    given = BaseModelOutputWithPooling(
        last_hidden_state=states,
        pooler_output=None if pooler is None else pooler(states),
    )
    logits: torch.Tensor = type(model).forward(_WithoutEncoder(model, given), inputs_embeds=states).logits
    # One row a sequence, or one a token and so one a sequence.
    return logits.flatten(1)
