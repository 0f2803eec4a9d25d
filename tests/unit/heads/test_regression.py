"""The regression head sums squared errors of its own single output, and leaves out what has no gold."""

import math

import pytest
import torch
from tiny import KINDS, config, ragged, without_dropout
from torch.nn.functional import mse_loss
from transformers import PreTrainedModel

from babelfit.batches.ragged import RaggedBatch
from babelfit.heads import HEADS

HEAD = HEADS["sequence_regression"]


def ready(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    settings = config(kind, **without_dropout(kind))
    HEAD.configure(settings, label_names=())
    made: PreTrainedModel = HEAD.model_class.from_config(settings)
    HEAD.ready(made, max_length=60)
    return made.train()


def numbers(*gold: float) -> RaggedBatch:
    batch = ragged([3, 40, 1])
    batch.gold = torch.tensor(gold)
    return batch


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_summed_squared_error_of_the_models_own_output(kind: str) -> None:
    made, batch = ready(kind), numbers(0.5, -2.0, 4.0)
    values = HEAD.outputs(made, batch)["value"]

    assert (made.config.num_labels, made.config.problem_type) == (1, "regression")
    assert values.shape == (3,)
    torch.testing.assert_close(HEAD.loss(made, batch), mse_loss(values, batch.gold, reduction="sum"))


def test_a_target_without_gold_adds_nothing_to_loss_and_gradients() -> None:
    made = ready("xlm-roberta")
    HEAD.loss(made, numbers(math.nan, math.nan, math.nan)).backward()

    assert all(value.grad is None or not value.grad.any() for value in made.parameters())
    expected = ((HEAD.outputs(made, numbers(1.0, 1.0, 1.0))["value"][1] - 1.0) ** 2).detach()
    torch.testing.assert_close(HEAD.loss(made, numbers(math.nan, 1.0, math.nan)).detach(), expected)
