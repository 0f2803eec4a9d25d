"""The mean of checkpoints is that of their weights; one alone is as it is."""

from pathlib import Path

import torch

from babelfit.finetuning.export import _mean_of


def written(folder: Path, step: int, **values: torch.Tensor) -> Path:
    path = folder / f"step-{step}.ckpt"
    torch.save(
        {"state_dict": {f"model.{name}": value for name, value in values.items()} | {"other": torch.ones(1)}}, path
    )
    return path


def test_weights_are_averaged_and_whole_numbers_are_not(tmp_path: Path) -> None:
    ids = torch.tensor([0, 1, 7])
    checkpoints = [
        written(
            tmp_path,
            step,
            weight=torch.tensor([0.1, 1.0]) * step,
            half=torch.tensor([step], dtype=torch.bfloat16),
            ids=ids,
        )
        for step in (1, 2, 6)
    ]
    mean = _mean_of(checkpoints)

    assert mean.keys() == {"weight", "half", "ids"}
    torch.testing.assert_close(mean["weight"], torch.tensor([0.3, 3.0]))
    assert mean["half"].dtype == torch.bfloat16
    assert mean["half"].item() == 3
    assert torch.equal(mean["ids"], ids)


def test_one_checkpoint_is_as_it_is(tmp_path: Path) -> None:
    weight = torch.randn(100)

    assert torch.equal(_mean_of([written(tmp_path, 1, weight=weight)])["weight"], weight)
