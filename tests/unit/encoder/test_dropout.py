"""Dropout: on the CPU the rate, scale, gradient and seed."""

import pytest
import torch
from tiny import model

from babelfit.encoder.dropout import Dropout, dropped, take_faster_dropout


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9])
def test_so_many_are_dropped_and_the_expectation_stays(rate: float) -> None:
    torch.manual_seed(0)
    outputs = dropped(torch.ones(1001, 1003), rate=rate)
    share = float((outputs == 0).float().mean())
    deviation = (rate * (1 - rate) / outputs.numel()) ** 0.5
    assert share == pytest.approx(rate, abs=5 * deviation + 1e-5)
    kept = outputs[outputs != 0]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert float(outputs.mean()) == pytest.approx(1, abs=5 * deviation / (1 - rate) + 1e-5)


def test_neighbours_are_drawn_apart() -> None:
    torch.manual_seed(0)
    is_dropped = (dropped(torch.ones(1_000_000), rate=0.5) == 0).float() - 0.5
    for distance in (1, 2, 3, 4, 5, 8):
        correlation = float((is_dropped[:-distance] * is_dropped[distance:]).mean()) / 0.25
        assert abs(correlation) < 0.005, distance


def test_the_gradient_is_that_of_what_was_kept() -> None:
    states = torch.randn(3, 5, 7, requires_grad=True)
    outputs = dropped(states, rate=0.3)
    outputs.sum().backward()
    assert states.grad is not None
    torch.testing.assert_close(states.grad * states, outputs)
    assert set((states.grad == 0).flatten().tolist()) == {True, False}


def test_the_seed_decides() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropped(torch.ones(1000), rate=0.5)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize(("rate", "mean"), [(1.0, 0.0), (0.0, 1.0), (1e-9, 1.0)])
def test_rates_at_the_ends(rate: float, mean: float) -> None:
    assert float(dropped(torch.ones(100), rate=rate).mean()) == mean


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_precision_is_kept(dtype: torch.dtype) -> None:
    assert dropped(torch.ones(10, dtype=dtype), rate=0.5).dtype == dtype


def test_a_model_takes_it_everywhere_and_drops_nothing_in_evaluation() -> None:
    made = model("xlm-roberta")
    rates = [module.p for module in made.modules() if isinstance(module, torch.nn.Dropout)]
    take_faster_dropout(made)
    taken = [module for module in made.modules() if isinstance(module, torch.nn.Dropout)]
    assert {type(module) for module in taken} == {Dropout}
    assert [module.p for module in taken] == rates
    assert not any(module.training for module in taken)
    states = torch.randn(10)
    assert torch.equal(taken[0](states), states)
    assert not torch.equal(taken[0].train()(states), states)
