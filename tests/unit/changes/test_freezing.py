"""What is frozen gets no gradient, and everything else gets one."""

import pytest
from tiny import KINDS, model, ragged

from babelfit.changes.freezing import Freezing
from babelfit.encoder.encoder import depths, encode
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss

HEAD = "sequence_classification"
NUM_LAYERS = 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("layers", [0, 2, NUM_LAYERS])
def test_embeddings_and_the_lowest_layers_are_frozen_and_nothing_else(kind: str, embeddings: bool, layers: int) -> None:
    made = model(kind)
    Freezing(embeddings=embeddings, layers=layers).apply(made)
    HEADS[HEAD].ready(made, max_length=60)
    batch = ragged([3, 20])
    made.train()
    summed_loss(HEADS[HEAD].logits(made, encode(made, batch)[batch.targets]), batch.gold).backward()

    frozen = {depth for depth in range(NUM_LAYERS + 2) if (depth == 0 and embeddings) or 1 <= depth <= layers}
    of_parameter = depths(made)
    for name, value in made.named_parameters():
        assert value.requires_grad == (of_parameter[name] not in frozen), name
        if of_parameter[name] in frozen:
            assert value.grad is None, name
        else:
            assert value.grad is not None, name


def test_more_layers_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(UserError, match=r"encoder\.freeze_layers=4: bert has 3 layers"):
        Freezing(embeddings=False, layers=4).apply(model("bert"))
