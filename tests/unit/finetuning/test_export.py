"""The mean of checkpoints is that of their weights; one alone is as it is; changes are undone last to first."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tiny
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from babelfit.finetuning.export import _mean_of, export


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


@dataclass(frozen=True)
class Step:
    """A change that is undone by arithmetic."""

    factor: float
    shift: float

    def apply(self, model: PreTrainedModel) -> None: ...

    def undo(self, state: dict[str, torch.Tensor], *, before: PreTrainedModel) -> dict[str, torch.Tensor]:
        return {name: value * self.factor + self.shift for name, value in state.items()}


def test_changes_are_undone_last_to_first(tmp_path: Path) -> None:
    model = tiny.model("bert")
    checkpoint = written(tmp_path, 1, **model.state_dict())
    used = tiny.tokenizer("bert")
    used("a text", truncation=True, padding="max_length", max_length=3)
    prepared: Any = SimpleNamespace(
        whole_model=lambda: tiny.model("bert"),
        changes=(Step(factor=2.0, shift=0.0), Step(factor=1.0, shift=1.0)),
        data=SimpleNamespace(tokenizer=used),
    )
    export(prepared, checkpoints=[checkpoint], folder=tmp_path / "model")

    exported = load_file(tmp_path / "model" / "model.safetensors")
    for name, value in model.state_dict().items():
        torch.testing.assert_close(exported[name], 2 * (value + 1), msg=name)
    tokenizer = json.loads((tmp_path / "model" / "tokenizer.json").read_text())
    assert (tokenizer["truncation"], tokenizer["padding"]) == (None, None), "of the last text"
