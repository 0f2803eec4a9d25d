"""The active vocabulary: of a model's embeddings, only the rows of token ids that its training reads.

XLM-R's table of 250,002 rows is most of the base model, and English XNLI reads a tenth of them. The others get no
gradient, so training a table without them is the same training: the same losses, the same rows. On export each row goes
back to its place in the whole table. What differs is weight decay, which would shrink the rows that nothing reads.

Rows that only validations in other languages read are there outside of training, and stay as they are.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import embedding
from transformers import PreTrainedModel

from babelfit.batches.ragged import Array
from babelfit.encoder.encoder import padding_id
from babelfit.errors import UserError

log = logging.getLogger(__name__)

IDS = "active_ids"
"""Name of the buffer that says, in a checkpoint beside the rows, whose rows they are."""


@dataclass(frozen=True, kw_only=True)
class ActiveVocabulary:
    """Train the embeddings of some token ids alone, and have those of others at hand outside of training."""

    ids: Array
    only_validated: Array

    def apply(self, model: PreTrainedModel) -> None:
        """Leave the model the rows of these ids; raise UserError where it has no row for one."""
        take_active(model, self.ids, only_validated=self.only_validated)

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the state with the trained rows in the whole table."""
        return whole_again(state, before=before)


class ActiveEmbedding(torch.nn.Embedding):
    """Embed token ids by a table that has rows for some of them only; any other id is an error."""

    def __init__(self, whole: torch.nn.Embedding, ids: torch.Tensor, *, untrained: torch.Tensor) -> None:
        """Take the rows of these ids, which are ascending; among them the padding id, if the table has one.

        Those of `untrained` ids, which are others, are there outside of training alone.
        """
        all_ids = torch.cat([ids, untrained])
        row_of_id = torch.full((whole.num_embeddings,), len(all_ids))  # one row too far
        row_of_id[all_ids] = torch.arange(len(all_ids))
        super().__init__(
            len(ids),
            whole.embedding_dim,
            padding_idx=None if whole.padding_idx is None else int(row_of_id[whole.padding_idx]),
            _weight=whole.weight.detach()[ids],
            _freeze=not whole.weight.requires_grad,
        )
        self.active_ids: torch.Tensor
        self.row_of_id: torch.Tensor
        self.register_buffer(IDS, ids)
        self.register_buffer("row_of_id", row_of_id, persistent=False)
        self.untrained: torch.Tensor
        self.register_buffer("untrained", whole.weight.detach()[untrained], persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Embed token ids of the whole vocabulary, in any shape."""
        rows = self.row_of_id[input]
        if self.training or not len(self.untrained):
            return embedding(rows, self.weight, self.padding_idx)
        beyond = rows - self.num_embeddings
        return torch.where(
            (beyond < 0)[..., None],
            embedding(rows.clamp(max=self.num_embeddings - 1), self.weight),
            embedding(beyond.clamp(min=0), self.untrained),
        )


def take_active(model: PreTrainedModel, ids: Array, *, only_validated: Array) -> None:
    """Leave a model the embeddings of these ids, of the padding and of id 0, which batches of nothing are made of.

    Those of `only_validated` ids are there outside of training, and are not trained. A table that does more than look
    up stays whole. Raises UserError where the model has no row for an id.
    """
    whole: Any = model.get_input_embeddings()
    if type(whole) is not torch.nn.Embedding:
        log.info("%s keeps its whole vocabulary: its embeddings are not a plain lookup table", model.config.model_type)
        return
    highest = max(ids.max(), only_validated.max(initial=0))
    if highest >= whole.num_embeddings:
        raise UserError(
            f"the tokenizer gives ids up to {highest}, and the encoder has embeddings for {whole.num_embeddings}: "
            "they do not belong together"
        )
    special = [0, padding_id(model), *([] if whole.padding_idx is None else [whole.padding_idx])]
    trained = np.union1d(ids, special)
    others = np.setdiff1d(only_validated, trained)
    active = ActiveEmbedding(whole, torch.from_numpy(trained), untrained=torch.from_numpy(others))
    _take_active_outputs(model, whole=whole, active=active)
    model.set_input_embeddings(active)
    log.info(
        "active vocabulary: %s of %s embeddings are read in training (%.1f %%); the others stay as they are",
        f"{active.num_embeddings:,}",
        f"{whole.num_embeddings:,}",
        100 * active.num_embeddings / whole.num_embeddings,
    )


def _take_active_outputs(model: PreTrainedModel, *, whole: torch.nn.Embedding, active: ActiveEmbedding) -> None:
    """Leave a masked language model the logits of trained ids alone, and tie what was tied."""
    outputs: Any = model.get_output_embeddings()
    if outputs is None:
        return
    for parameter in list(outputs.parameters()):
        is_tied = parameter is whole.weight
        rows = parameter.detach()[active.active_ids]
        taken = active.weight if is_tied else torch.nn.Parameter(rows, requires_grad=parameter.requires_grad)
        # A bias may belong to several modules.
        for module in model.modules():
            for name, theirs in list(module.named_parameters(recurse=False)):
                if theirs is parameter:
                    setattr(module, name, taken)
    outputs.out_features = active.num_embeddings


def whole_again(state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Put the active rows of a trained model's state into the table of the model as it was, and return its state."""
    theirs = dict(before.named_parameters(remove_duplicate=False))
    whole: Any = before.get_input_embeddings()
    outputs: Any = before.get_output_embeddings()
    of_outputs = [] if outputs is None else list(outputs.parameters())
    again = dict(state)
    # More than one where a model has its embeddings in two places.
    for buffer in [name for name in state if name.endswith(f".{IDS}")]:
        ids = again.pop(buffer)
        tables = {f"{buffer.removesuffix(IDS)}weight": whole.weight}
        tables |= {name: one for name, one in theirs.items() if any(one is table for table in of_outputs)}
        for name, table in tables.items():
            again[name] = table.detach().to(state[name].dtype)
            again[name][ids] = state[name]
    return again
