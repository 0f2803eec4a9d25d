"""Which changes a configuration asks of a model, in which order, and what every change can do."""

from typing import Protocol

import torch
from transformers import PreTrainedModel

from babelfit.changes.checkpointing import Checkpointing
from babelfit.changes.embedding_dropout import EmbeddingDropout
from babelfit.changes.freezing import Freezing
from babelfit.changes.vocabulary import ActiveVocabulary
from babelfit.config.schema import EncoderConfig
from babelfit.data import MultilingualDataModule


class Change(Protocol):
    """Something done to a model before it is trained, so that what is exported is the model without it."""

    def apply(self, model: PreTrainedModel) -> None:
        """Change the model in place; raise UserError where a model of this kind cannot be changed so."""

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        """Return the state of a trained model as one for the model `before`, which was never changed."""


def changes_of(config: EncoderConfig, *, data: MultilingualDataModule) -> tuple[Change, ...]:
    """Return the changes that a configuration asks for, in the order in which they are applied."""
    changes: list[Change] = []
    if config.freeze_embeddings or config.freeze_layers:
        changes.append(Freezing(embeddings=config.freeze_embeddings, layers=config.freeze_layers))
    if config.embedding_dropout is not None:
        changes.append(EmbeddingDropout(rate=config.embedding_dropout))
    if config.gradient_checkpointing:
        changes.append(Checkpointing())
    # After freezing, so that the rows of a frozen table are frozen as well.
    if config.vocabulary == "active":
        ids, dev_ids = data.token_ids()
        changes.append(ActiveVocabulary(ids=ids, only_validated=dev_ids))
    return tuple(changes)
