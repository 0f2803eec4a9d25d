"""The estimate of memory: tensors without numbers hold what real ones do, and devices share what they share."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from transformers import PreTrainedModel

from babelfit.batches.ragged import StepBatch
from babelfit.changes.checkpointing import Checkpointing
from babelfit.changes.freezing import Freezing
from babelfit.encoder import attention
from babelfit.finetuning.watching import FiniteLoss
from babelfit.heads import HEADS
from babelfit.planning import footprint
from babelfit.planning.footprint import Devices, Footprint, Heaviest

HEAD = HEADS["sequence_classification"]
CPU = Devices(kind="cpu", number=1, sharing=1, is_sharded=False, precision="32-true", tokens=10_000)
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
    Checkpointing().apply(checkpointed)
    Freezing(embeddings=True, layers=2).apply(frozen)

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


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        pytest.param("0::/", {"memory.max": "123"}, [123], id="a container"),
        pytest.param("0::/system/job_7/step_0", {"system/job_7/memory.max": "9"}, [9], id="a SLURM job"),
        pytest.param("0::/a/b", {"a/b/memory.max": "5", "a/memory.max": "max", "memory.max": "7"}, [5, 7], id="nested"),
        pytest.param(
            "4:memory:/slurm/job_7\n3:cpu,cpuacct:/x\n0::/",
            {"memory/slurm/job_7/memory.limit_in_bytes": "15", "memory/memory.limit_in_bytes": "99"},
            [15, 99],
            id="version 1",
        ),
        pytest.param(
            "9:cpu,memory:/docker/1f", {"memory/memory.limit_in_bytes": "40"}, [40], id="a container of version 1"
        ),
        pytest.param("0::/a", {}, [], id="no limit"),
    ],
)
def test_the_limits_of_a_process_are_those_of_its_group_and_all_above(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: list[int]
) -> None:
    (tmp_path / "cgroup").write_text(f"{groups}\n")
    for name, limit in limits.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(f"{limit}\n")
    found = footprint.limits_of_groups(groups=tmp_path / "cgroup", tree=tmp_path / "tree")
    assert list(found) == expected


def test_a_limit_bounds_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "limits_of_groups", lambda: [123456])
    assert footprint.available("cpu") == 123456


def test_looking_for_broken_weights_takes_no_copy_of_them() -> None:
    weights = torch.ones(1000, 1000)
    trainer: Any = SimpleNamespace(global_step=1)

    with footprint._Live("cuda") as live:
        FiniteLoss(every=1, examples_of=str).on_save_checkpoint(trainer, trainer, {"state_dict": {"table": weights}})

    assert live.peak < 1000
