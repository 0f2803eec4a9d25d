"""What is relied on within an optimizer step of Lightning is so in this Lightning."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.plugins import MixedPrecision
from pytorch_lightning.strategies import DDPStrategy
from small_fit import NUM_VALIDATION_BATCHES, Batch, Batches, Module, fitted
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from babelfit.devices import lightning


def test_the_hooks_of_a_step_come_in_the_order_that_the_finetuner_counts_on(tmp_path: Path) -> None:
    class Hooks(Module):
        def optimizer_zero_grad(self, *given: Any) -> None:
            self.events.append("zeroed")

        def backward(self, loss: torch.Tensor) -> None:
            self.events.append("backward")
            loss.backward()

        def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
            self.events.append("clipped")

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            self.events.append(f"saved with {len(checkpoint['optimizer_states'])} optimizer")

        def on_train_batch_end(self, *given: Any) -> None:
            self.events.append(f"ended {self.global_step}")
            super().on_train_batch_end(*given)

        def on_train_start(self) -> None:
            self.events.append("started")

    class Save(Callback):
        def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
            module.events.append(f"callbacks at {trainer.global_step}")
            trainer.save_checkpoint(tmp_path / "it.ckpt", weights_only=False)

    module = Hooks(1)
    trainer = fitted(module, tmp_path, Save(), every=1)
    assert module.events == [
        "started",
        "moved",
        "step 1",
        "zeroed",
        "backward",
        "clipped",
        "callbacks at 1",
        "saved with 1 optimizer",
        "ended 1",
        *("moved", "validation batch at 1") * NUM_VALIDATION_BATCHES,
        "validated 1",
    ]
    module.events.clear()
    trainer.predict(module, datamodule=Batches(1), return_predictions=False)
    assert module.events == ["moved", "predicted"] * NUM_VALIDATION_BATCHES


@pytest.mark.parametrize("kept", [True, False])
def test_gradients_of_earlier_micro_batches_are_lost_unless_zeroing_is_overridden(tmp_path: Path, kept: bool) -> None:
    found: list[float] = []

    class Twice(Module):
        def training_step(self, batch: Batch, number: int) -> torch.Tensor:
            lightning.backward(super().training_step(batch, number), module=self)
            return super().training_step(batch, number)

        def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
            assert self.first.grad is not None
            found.append(float(self.first.grad))

    if kept:
        Twice.optimizer_zero_grad = lambda *_: None  # type: ignore[method-assign]
    fitted(Twice(1), tmp_path, every=1)
    assert found == [2.0 if kept else 1.0], "Lightning zeroes elsewhere: see Finetuner.optimizer_zero_grad"


def test_backward_within_a_step_is_scaled_as_lightnings_own_and_clipping_takes_the_scale_out(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    class Scaled(Module):
        def training_step(self, batch: Batch, number: int) -> torch.Tensor:
            lightning.backward(self.first.sum(), module=self)
            assert self.first.grad is not None
            found["within the step"] = float(self.first.grad)
            with torch.autocast("cpu", enabled=False), lightning.in_step_precision(self.trainer):
                found["type"] = (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
            found["type in the step"] = (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
            return self.first.sum()

        def optimizer_zero_grad(self, *_: Any) -> None:
            """Keep both."""

        def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
            assert self.first.grad is not None
            found["of both"] = float(self.first.grad)
            found["norm"] = lightning.clip_gradients(self, optimizer, limit=1.0)
            found["clipped"] = float(self.first.grad)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW([self.first], lr=0.1, fused=True)

    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)  # type: ignore[attr-defined]
    trainer = Trainer(
        accelerator="cpu",
        plugins=[MixedPrecision("16-mixed", device="cpu", scaler=scaler)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        max_steps=1,
        limit_val_batches=0,
    )
    trainer.fit(Scaled(1), datamodule=Batches(1))

    assert (found["within the step"], found["of both"]) == (8.0, 16.0)
    assert found["type"] == found["type in the step"] == torch.float16
    assert found["norm"] is None, "the scaler looks after it"
    assert found["clipped"] == pytest.approx(1.0)


def test_the_norm_of_the_gradients_is_that_before_they_are_clipped(tmp_path: Path) -> None:
    norms: list[float] = []

    class Clipped(Module):
        def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
            for limit in (None, 0.5, None):
                norms.append(float(lightning.clip_gradients(self, optimizer, limit=limit)))

    fitted(Clipped(1), tmp_path, every=1)
    whole = (1 + 2**2 + 4**2) ** 0.5
    assert norms == pytest.approx([whole, whole, 0.5], rel=1e-5)


def test_lightnings_own_clipping_refuses_a_fused_optimizer_under_mixed_precision() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], fused=True)
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        MixedPrecision("bf16-mixed", device="cpu").clip_gradients(optimizer, 1.0)


@pytest.fixture
def _group(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A group of this process alone."""
    store = distributed.HashStore()
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_group")
def test_several_devices_find_the_module_wrapped_and_exchange_nothing_before_the_last_micro_batch(
    tmp_path: Path,
) -> None:
    exchanged: list[bool] = []

    class Wrapped(Module):
        def training_step(self, batch: Batch, number: int) -> torch.Tensor:
            wrapper = self.trainer.model
            assert isinstance(wrapper, DistributedDataParallel)
            exchanged.append(wrapper.require_backward_grad_sync)
            with lightning.without_exchange(self):
                exchanged.append(wrapper.require_backward_grad_sync)
            exchanged.append(wrapper.require_backward_grad_sync)
            return super().training_step(batch, number)

    trainer = Trainer(
        accelerator="cpu",
        strategy=DDPStrategy(process_group_backend="gloo"),
        devices=1,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        max_steps=1,
        limit_val_batches=0,
    )
    trainer.fit(Wrapped(1), datamodule=Batches(1))
    assert exchanged == [True, False, True]
