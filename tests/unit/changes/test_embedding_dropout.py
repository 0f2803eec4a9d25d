"""The embeddings get a dropout rate of their own, which no layer shares."""

import pytest
import torch
from tiny import KINDS, model, ragged, without_dropout

from babelfit.changes.embedding_dropout import EmbeddingDropout
from babelfit.encoder.dropout import take_faster_dropout
from babelfit.encoder.encoder import encode
from babelfit.errors import UserError


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_get_a_rate_of_their_own(kind: str) -> None:
    made = model(kind, **without_dropout(kind)).train()
    before = [module.p for module in made.modules() if isinstance(module, torch.nn.Dropout)]
    batch = ragged([5, 9], num_types=1)
    assert torch.equal(encode(made, batch), encode(made, batch))
    EmbeddingDropout(rate=0.5).apply(made)
    take_faster_dropout(made)
    rates = [module.p for module in made.modules() if isinstance(module, torch.nn.Dropout)]
    assert [now for was, now in zip(before, rates, strict=True) if now != was] == [0.5]
    assert not torch.equal(encode(made, batch), encode(made, batch))
    made.eval()
    assert torch.equal(encode(made, batch), encode(made, batch))


def test_a_model_without_dropout_behind_its_embeddings_is_refused() -> None:
    made = model("xlm-roberta")
    made.base_model.embeddings.dropout = torch.nn.Identity()
    with pytest.raises(UserError, match=r"encoder\.embedding_dropout=0\.1: xlm-roberta has no dropout after"):
        EmbeddingDropout(rate=0.1).apply(made)
