"""A configuration asks for changes to a model, which are made in one order and undone in the other."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from babelfit.changes.change import changes_of
from babelfit.changes.checkpointing import Checkpointing
from babelfit.changes.embedding_dropout import EmbeddingDropout
from babelfit.changes.freezing import Freezing
from babelfit.changes.vocabulary import ActiveVocabulary
from babelfit.config.schema import EncoderConfig

PLAIN = EncoderConfig(
    name="mini",
    path="mini",
    revision=None,
    pretrained=True,
    overrides={},
    vocabulary="full",
    gradient_checkpointing=False,
    freeze_embeddings=False,
    freeze_layers=0,
    embedding_dropout=None,
)
NOT_ASKED: Any = None
"""Data that need not be there."""


def test_a_configuration_that_asks_for_nothing_changes_nothing() -> None:
    assert changes_of(PLAIN, data=NOT_ASKED) == ()


def test_each_setting_is_a_change_of_its_own() -> None:
    assert changes_of(replace(PLAIN, freeze_layers=2), data=NOT_ASKED) == (Freezing(embeddings=False, layers=2),)
    assert changes_of(replace(PLAIN, embedding_dropout=0.0), data=NOT_ASKED) == (EmbeddingDropout(rate=0.0),)
    assert changes_of(replace(PLAIN, gradient_checkpointing=True), data=NOT_ASKED) == (Checkpointing(),)


def test_embeddings_are_frozen_before_some_of_them_are_taken() -> None:
    data: Any = SimpleNamespace(token_ids=lambda: (np.array([3, 5]), np.array([7])))
    asked = replace(
        PLAIN, vocabulary="active", gradient_checkpointing=True, freeze_embeddings=True, embedding_dropout=0.1
    )
    *others, vocabulary = changes_of(asked, data=data)

    assert others == [Freezing(embeddings=True, layers=0), EmbeddingDropout(rate=0.1), Checkpointing()]
    assert isinstance(vocabulary, ActiveVocabulary)
    assert (vocabulary.ids.tolist(), vocabulary.only_validated.tolist()) == ([3, 5], [7])
