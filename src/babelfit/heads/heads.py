"""Heads: what turns hidden states into logits and loss for one kind of task. A head never sees a dataset.

The head is the Hugging Face model's own, whatever it is made of, so checkpoints interchange: only the hidden states
come from a ragged batch.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from babelfit.batches.ragged import NO_LABEL

Kept = dict[str, torch.Tensor]
"""What is kept of a batch's logits and labels: (targets,) or (targets, labels) each."""


def _as_they_are(model: PreTrainedModel, labels: torch.Tensor) -> torch.Tensor:
    return labels


def _best(logits: torch.Tensor, labels: torch.Tensor) -> Kept:
    return {"preds": logits.argmax(-1), "target": labels}


def _all(logits: torch.Tensor, labels: torch.Tensor) -> Kept:
    return {"logits": logits}


def summed_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy over the targets with gold; the caller divides by the targets of the whole step."""
    at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return cross_entropy(at_least_float32, labels, ignore_index=NO_LABEL, reduction="sum")


class _InPlace(torch.autograd.Function):
    """The same, where logits are rows of a whole vocabulary: they are turned into their gradient, and not copied.

    Torch's own keeps, besides the logits, their logarithmic softmax, and makes two gradients of this size on the way.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        ctx.kind = logits.dtype
        rows = logits.detach().to(torch.promote_types(logits.dtype, torch.float32))  # of 32 bits, the logits themselves
        known = (labels != NO_LABEL).to(rows.dtype)
        places = labels.clamp(min=0).unsqueeze(1)
        rows -= rows.amax(1, keepdim=True)
        right = rows.gather(1, places).squeeze(1)
        totals = rows.exp_().sum(1)
        rows *= (known / totals).unsqueeze(1)
        rows.scatter_add_(1, places, -known.unsqueeze(1))
        ctx.gradient = rows
        return ((totals.log() - right) * known).sum()

    @staticmethod
    def backward(ctx: Any, loss: torch.Tensor) -> tuple[torch.Tensor, None]:
        gradient, ctx.gradient = ctx.gradient, None
        return gradient.mul_(loss).to(ctx.kind), None


def summed_loss_in_place(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum the cross entropy as `summed_loss` does, in the memory of the logits, which are none any more then."""
    summed: torch.Tensor = _InPlace.apply(logits, labels)
    return summed


class SequenceClassification:
    """One label per sequence, from its first token."""

    model_class: Any = AutoModelForSequenceClassification

    @staticmethod
    def logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map the targets' hidden states, (targets, hidden), to (targets, labels)."""
        return _own_logits(model, rows)

    columns = staticmethod(_as_they_are)
    summed_loss = staticmethod(summed_loss)
    validated = staticmethod(_best)
    predicted = staticmethod(_all)


class TokenClassification:
    """One label per word, from its first subword."""

    model_class: Any = AutoModelForTokenClassification

    @staticmethod
    def logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map the targets' hidden states, (targets, hidden), to (targets, labels)."""
        return _own_logits(model, rows).squeeze(1)

    columns = staticmethod(_as_they_are)
    summed_loss = staticmethod(summed_loss)
    validated = staticmethod(_best)
    predicted = staticmethod(_all)


class MaskedLanguageModeling:
    """The token behind each mask, from all that the model's embeddings have rows for."""

    model_class: Any = AutoModelForMaskedLM

    @staticmethod
    def logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map the targets' hidden states, (targets, hidden), to (targets, ids), or (targets, active ids)."""
        return _own_logits(model, rows).squeeze(1)

    @staticmethod
    def columns(model: PreTrainedModel, labels: torch.Tensor) -> torch.Tensor:
        """Say which column of the logits each label has; NO_LABEL where it has none, being no active id."""
        embeddings: Any = model.get_input_embeddings()
        row_of_id = getattr(embeddings, "row_of_id", None)
        if row_of_id is None:
            return labels
        rows = row_of_id[labels.clamp(min=0)]
        return torch.where((labels == NO_LABEL) | (rows >= embeddings.num_embeddings), NO_LABEL, rows)

    @staticmethod
    def validated(logits: torch.Tensor, labels: torch.Tensor) -> Kept:
        """Keep of each target its negative log-likelihood, and whether the likeliest token is right."""
        at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
        nll = cross_entropy(at_least_float32, labels, ignore_index=NO_LABEL, reduction="none")
        return {"nll": nll, "right": logits.argmax(-1) == labels}

    predicted = validated
    summed_loss = staticmethod(summed_loss_in_place)


Head = type[SequenceClassification] | type[TokenClassification] | type[MaskedLanguageModeling]

HEADS: dict[str, Head] = {
    "sequence_classification": SequenceClassification,
    "token_classification": TokenClassification,
    "masked_language_modeling": MaskedLanguageModeling,
}


class _WithoutEncoder:
    """A model whose encoder is done: all of the model but its encoder, which gives what it has given."""

    def __init__(self, model: PreTrainedModel, given: BaseModelOutputWithPooling) -> None:
        self._model = model
        self._given = given

    def __getattr__(self, name: str) -> Any:
        if name == self._model.base_model_prefix:
            return lambda *_, **__: self._given
        return getattr(self._model, name)


def _own_logits(model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
    """Run the model's own forward behind its encoder, each row a sequence of one token."""
    states = rows.unsqueeze(1)
    pooler = getattr(model.base_model, "pooler", None)
    given = BaseModelOutputWithPooling(
        last_hidden_state=states,
        pooler_output=None if pooler is None else pooler(states),
    )
    logits: torch.Tensor = type(model).forward(_WithoutEncoder(model, given), inputs_embeds=states).logits
    return logits
