"""The head of a masked language model: the token under each mask, from all that its embeddings have rows for."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForMaskedLM, PreTrainedConfig, PreTrainedModel

from babelfit.batches.ragged import NO_LABEL, RaggedBatch
from babelfit.encoder.encoder import encode_targets
from babelfit.heads.head import Head, Outputs, own_logits
from babelfit.heads.labels import name_outputs

NO_NAMES = ("LABEL_0", "LABEL_1")
"""What transformers calls the labels of a model that has none."""


class _InPlace(torch.autograd.Function):
    """Cross entropy of logits that are rows of a whole vocabulary: they are turned into their gradient, not copied.

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
    """Sum the cross entropy over the targets with gold, in the memory of the logits, which are none any more then."""
    summed: torch.Tensor = _InPlace.apply(logits, labels)
    return summed


@final
class MaskedTokens(Head):
    """The token under each mask, among all ids or those of an active vocabulary.

    Its outputs are, (targets,) each, the `nll` of the right token, whether the likeliest one is `right`, and whether
    the right one is `active`, so that it could be guessed at all.
    """

    model_class = AutoModelForMaskedLM
    pretrained_for = "masked tokens"

    def fits(self, config: PreTrainedConfig, *, label_names: Sequence[str], aliases: Mapping[str, str]) -> bool:
        """Return that they are: the outputs are ids of the vocabulary, which have no labels."""
        return True

    def configure(self, config: PreTrainedConfig, *, label_names: Sequence[str]) -> None:
        """Name no outputs, whatever another task has called its own."""
        name_outputs(config, NO_NAMES)

    def logits(self, model: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
        """Map hidden states of targets, (targets, hidden), to (targets, ids), or (targets, active ids)."""
        return own_logits(model, rows)

    def loss(self, model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
        """Return the summed cross entropy."""
        return summed_loss_in_place(self.logits(model, encode_targets(model, batch)), _columns(model, batch.gold))

    def outputs(self, model: PreTrainedModel, batch: RaggedBatch) -> Outputs:
        """Return what became of each token, and no logits: a row of them is a whole vocabulary."""
        logits = self.logits(model, encode_targets(model, batch))
        columns = _columns(model, batch.gold)
        at_least_float32 = logits.to(torch.promote_types(logits.dtype, torch.float32))
        nll = cross_entropy(at_least_float32, columns, ignore_index=NO_LABEL, reduction="none")
        return {"nll": nll, "right": logits.argmax(-1) == columns, "active": columns != NO_LABEL}


def _columns(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """Return which column of the logits each id has; NO_LABEL where it has none, being no active one."""
    embeddings: Any = model.get_input_embeddings()
    row_of_id = getattr(embeddings, "row_of_id", None)
    if row_of_id is None:
        return ids
    rows = row_of_id[ids.clamp(min=0)]
    return torch.where((ids == NO_LABEL) | (rows >= embeddings.num_embeddings), NO_LABEL, rows)
