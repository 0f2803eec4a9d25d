"""The estimate of memory: tensors without numbers hold what real ones do, and devices share what they share."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from transformers import PreTrainedModel

from babelfit.batches.ragged import StepBatch
from babelfit.encoder import attention
from babelfit.encoder.encoder import checkpoint_activations, freeze
from babelfit.finetuning.watching import FiniteLoss
from babelfit.heads import HEADS
from babelfit.planning import footprint
from babelfit.planning.footprint import Devices, Footprint, Heaviest

HEAD = HEADS["sequence_classification"]
CPU = Devices(kind="cpu", number=1, is_sharded=False, precision="32-true", tokens=10_000)
BATCH = tiny.ragged([30, 28, 9, 8, 8])
STEP = StepBatch(micro_batches=(BATCH,), weight=5)


def outline(kind: str = "xlm-roberta") -> PreTrainedModel:
    """A model of a kind without weights, its attention ragged where it can be."""
    with torch.device("meta"):
        model: PreTrainedModel = HEAD.model_class.from_config(tiny.config(kind))
    if kind != "deberta-v2":
        model.set_attn_implementation(attention.name("padded"))
    return model


def estimated(model: PreTrainedModel, *, devices: Devices = CPU, step: StepBatch = STEP) -> Footprint:
    heaviest = Heaviest(step=step, validation=BATCH, evaluation=BATCH)
    return footprint.footprint(model, whole=outline(), head=HEAD, heaviest=heaviest, devices=devices, process=0)


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_tensors_without_numbers_hold_what_real_ones_do(kind: str) -> None:
    found = estimated(outline(kind))

    real = tiny.model(kind)
    if kind != "deberta-v2":
        real.set_attn_implementation(attention.name("padded"))
    with footprint._Live("cpu") as live:
        activations, _ = footprint._trained(real, head=HEAD, batches=[BATCH], devices=CPU, live=live)

    assert found.parts["activations"] == pytest.approx(activations, rel=0.02)
    weights = sum(one.numel() * one.element_size() for one in [*real.parameters(), *real.buffers()])
    assert found.parts["weights"] == weights


def test_recomputed_activations_and_frozen_weights_take_less() -> None:
    plain = estimated(outline())
    checkpointed, frozen = outline(), outline()
    checkpoint_activations(checkpointed)
    freeze(frozen, embeddings=True, layers=2)

    assert estimated(checkpointed).parts["activations"] < 0.7 * plain.parts["activations"]
    trained = sum(one.numel() for one in frozen.parameters() if one.requires_grad)
    found = estimated(frozen)
    assert found.parts["activations"] < 0.7 * plain.parts["activations"]
    assert found.parts["gradients"] == 4 * trained
    assert found.parts["optimizer"] == 8 * trained


def test_fewer_tokens_at_once_take_less() -> None:
    whole = estimated(outline())
    halved = estimated(outline(), devices=replace(CPU, tokens=45))

    assert halved.parts["activations"] < 0.8 * whole.parts["activations"]


def test_devices_share_weights_only_where_they_are_sharded() -> None:
    alone = estimated(outline())
    copied = estimated(outline(), devices=replace(CPU, number=4))
    sharded = estimated(outline(), devices=replace(CPU, number=4, is_sharded=True))

    for part in ("weights", "gradients", "optimizer"):
        assert copied.parts[part] == alone.parts[part]
        assert sharded.parts[part] == alone.parts[part] // 4


def test_half_the_precision_is_half_the_weights() -> None:
    full = estimated(outline())
    half = estimated(outline(), devices=replace(CPU, precision="bf16-true"))
    mixed = estimated(outline(), devices=replace(CPU, precision="bf16-mixed"))

    assert half.parts["optimizer"] == full.parts["optimizer"] // 2
    assert half.parts["activations"] < 0.8 * full.parts["activations"]
    assert mixed.parts["weights"] == full.parts["weights"]


def test_a_container_bounds_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    path = footprint.Path
    monkeypatch.setattr(path, "is_file", lambda self: self.name == "memory.max")
    monkeypatch.setattr(path, "read_text", lambda *_, **__: "123456\n")

    assert footprint.available("cpu") == 123456


def test_looking_for_broken_weights_takes_no_copy_of_them() -> None:
    weights = torch.ones(1000, 1000)
    trainer: Any = SimpleNamespace(global_step=1)

    with footprint._Live("cuda") as live:
        FiniteLoss(every=1, examples_of=str).on_save_checkpoint(trainer, trainer, {"state_dict": {"table": weights}})

    assert live.peak < 1000
