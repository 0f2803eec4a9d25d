"""What stands around the mathematics of a step: nothing waits for the device, and workers change nothing."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from made_text import MadeText
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface

from babelfit.batches.ragged import RaggedBatch
from babelfit.checkpoints.checkpoints import Checkpoints
from babelfit.datasets import DATASETS
from babelfit.encoder import attention
from babelfit.finetuning.finetuner import Finetuner

ROOT = Path(__file__).resolve().parents[2]


class Waits(TorchDispatchMode):
    """Count how often a number is asked of a tensor, for which a GPU would have to be waited for, by step."""

    def __init__(self) -> None:
        super().__init__()
        self.step: int | None = None
        self.counted: dict[int, int] = {}

    def note(self) -> None:
        if self.step is not None:
            self.counted[self.step] = self.counted.get(self.step, 0) + 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            self.note()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("arguments", [(), ("data.name=made", "head=masked_language_modeling")])
def test_no_step_waits_for_the_device_but_those_that_are_logged(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setitem(DATASETS, "made", MadeText)
    waits = Waits()
    training_step, at_end, tolist = Finetuner.training_step, Checkpoints.on_train_batch_end, torch.Tensor.tolist

    def begun(self: Finetuner, *given: Any) -> Any:
        waits.step = self.global_step + 1
        return training_step(self, *given)

    # The last callback: what it saves must be waited for.
    def ended(self: Checkpoints, *given: Any) -> None:
        waits.step = None
        at_end(self, *given)

    def listed(self: torch.Tensor) -> Any:
        waits.note()
        return tolist(self)

    monkeypatch.setattr(Finetuner, "training_step", begun)
    monkeypatch.setattr(Checkpoints, "on_train_batch_end", ended)
    monkeypatch.setattr(torch.Tensor, "tolist", listed)
    with waits:
        outcome = train("data.languages=[en]", "logger.every=4", "trainer.tokens_per_device=300", "validation.every=6",
                        *arguments)  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert set(waits.counted) == {4, 8, 12}


def test_batches_are_moved_while_the_device_computes(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[dict[str, Any]] = []
    to = RaggedBatch.to

    def noted(self: RaggedBatch, device: Any, **options: Any) -> RaggedBatch:
        if torch.device(device).type != "meta":  # where nothing computes
            moved.append(options)
        return to(self, device, **options)

    monkeypatch.setattr(RaggedBatch, "to", noted)
    assert train("data.languages=[en]").status == 0
    assert len(moved) > 12
    assert all(options == {"non_blocking": True} for options in moved)


def test_the_kernel_and_the_compiler_that_are_asked_for_are_taken_in_training_and_evaluation(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[dict[str, Any]] = []
    kernels: list[str] = []
    attend = attention.ragged_attention

    def noted(*given: Any, kernel: str, **options: Any) -> Any:
        kernels.append(kernel)
        return attend(*given, kernel=kernel, **options)

    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append(options))
    for kernel in attention.KERNELS:
        AttentionInterface.register(attention.name(kernel), partial(noted, kernel=kernel))
    try:
        outcome = train("data.languages=[en]", "trainer.attention=padded", "trainer.compile=true")
    finally:
        for kernel in attention.KERNELS:
            AttentionInterface.register(attention.name(kernel), partial(attend, kernel=kernel))
    assert outcome.status == 0, outcome.err
    # The check of each model that is loaded is done with the kernel that fits.
    assert set(kernels) == {"auto", "padded"}
    assert compiled == [{"dynamic": True}] * 2


def test_evaluation_keeps_nothing_for_gradients(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    modes: set[tuple[bool, bool]] = set()

    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Finetuner, batch: Any) -> Any:
            modes.add((self.training, torch.is_inference_mode_enabled()))
            return method(self, batch)

        return run

    for name in ("_loss", "_outputs"):
        monkeypatch.setattr(Finetuner, name, noted(getattr(Finetuner, name)))
    assert train("data.languages=[en]").status == 0
    assert modes == {(True, False), (False, True)}


@pytest.mark.parametrize("arguments", [(), ("data=wikiann", "data.folder=sample")])
def test_workers_change_nothing(train: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    for number in (0, 2):
        outcome = train(f"name=workers-{number}", f"trainer.workers={number}", "data.languages=[en]", *arguments)
        assert outcome.status == 0, outcome.err
    alone, helped = (load_file(f"outputs/workers-{number}/model/model.safetensors") for number in (0, 2))
    assert alone.keys() == helped.keys()
    for name, value in alone.items():
        assert torch.equal(helped[name], value), name


def test_a_signal_to_all_processes_at_once_still_ends_a_run_with_workers_in_order(tmp_path: Path, cache: Path) -> None:
    command = [sys.executable, ROOT / "train.py", "trainer.workers=1", "optimization.epochs=1000", "logger.every=1",
               "data.limit.train=320", "logger.tensorboard=false"]  # fmt: skip
    environment = os.environ | {"BABELFIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "err").open("w") as err:
        running = forked.Forked(command, cwd=tmp_path, env=environment, stdout=err, stderr=err, start_new_session=True)
    metrics = tmp_path / "outputs/xnli-mini/metrics.csv"
    try:
        until = time.monotonic() + 120
        while not (metrics.exists() and len(metrics.read_text().splitlines()) > 3):
            assert running.poll() is None, (tmp_path / "err").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        os.killpg(running.pid, signal.SIGTERM)
        assert running.wait(60) == 75, (tmp_path / "err").read_text()
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    told = (tmp_path / "err").read_text()
    assert "Traceback" not in told
    assert "the same command goes on" in told
