"""How much memory a run takes, found without taking it: its heaviest batches, run on tensors that have no numbers.

The model itself runs forward and backward on torch's fake tensors, which have sizes and no memory, and what would be
held at each moment is added up. So every architecture, precision, frozen layer and recomputed activation counts as it
is, and no formula has to follow the code. What a run reads and how long it takes is not known here: plan.py.
"""

import os
import resource
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import Module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import PreTrainedModel

from babelfit.batches.budget import TokenBudget
from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.encoder.encoder import layers
from babelfit.heads import Head

STATES = 2
"""What AdamW keeps of each trained number: two running means, in the type of the weights."""

KINDS = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16, "bf16-true": torch.bfloat16, "64-true": torch.float64}

OWN_MAPPING = 32 << 20
"""From this size on, glibc takes a block from the system and gives it back; smaller ones come from a heap."""

HEAP = 1.4
"""What that heap takes for each byte in use, measured (1.2 to 1.6): it is full of holes, and keeps what is freed."""


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What a run computes on: `cpu` or `cuda`, how many of them, and how they share the weights."""

    kind: str
    number: int
    sharing: int  # processes that share one memory
    is_sharded: bool
    precision: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Heaviest:
    """The most that a device computes at once: in a training step, in a validation and in the last evaluation."""

    step: StepBatch
    validation: RaggedBatch
    evaluation: RaggedBatch


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes on one device: each part at its greatest, and all together at the moments that may need most."""

    parts: Mapping[str, int]
    moments: Mapping[str, int]
    checkpoint: int
    exported: int

    @property
    def peak(self) -> int:
        """Return the most that is held at any moment."""
        return max(self.moments.values())


def footprint(
    model: PreTrainedModel, *, whole: PreTrainedModel, head: Head, heaviest: Heaviest, devices: Devices, process: int
) -> Footprint:
    """Return what a run holds in the memory of each of its devices.

    `model` is what is trained and `whole` what is exported and scored, both on the meta device, which they leave here
    for fake tensors. `process` is what the process holds by itself.
    """
    as_built = _bytes(whole)
    if devices.precision.endswith("-true"):
        for one in (model, whole):
            Module.to(one, KINDS.get(devices.precision, torch.float32))
    weights, exported = _bytes(model), _bytes(whole)
    gradients = sum(_size(one) for one in model.parameters() if one.requires_grad)
    states = STATES * gradients
    trained, checkpoint = weights, weights + states
    activations, both, validated, scored = _held(model, whole=whole, head=head, heaviest=heaviest, devices=devices)
    # A heap that keeps what is freed has all activations still, when the last gradients come.
    passes = gradients + activations if devices.kind == "cpu" else both
    exchanged = 0
    if devices.number > 1 and devices.is_sharded:
        exchanged = _gathered(model)
        passes -= gradients - gradients // devices.number
        weights, gradients, states = (size // devices.number for size in (weights, gradients, states))
    elif devices.number > 1:
        exchanged = gradients  # the buckets in which they travel
    moments = {
        "forward and backward": process + weights + states + exchanged + passes,
        "validation": process + weights + states + exchanged + gradients + validated,
        "last evaluation": process + exported + scored,
    }
    if devices.kind == "cpu":
        # With a GPU, these are no matter of its memory.
        moments["building the model"] = process + as_built + weights
        # The checkpoint is mapped from the disk.
        moments["export"] = process + as_built + trained
    return Footprint(
        parts={
            "weights": weights,
            "gradients": gradients,
            "optimizer": states,
            "activations": activations,
            "exchange between devices": exchanged,
            "the process itself": process,
        },
        moments=moments,
        checkpoint=checkpoint,
        exported=exported,
    )


def _held(
    model: PreTrainedModel, *, whole: PreTrainedModel, head: Head, heaviest: Heaviest, devices: Devices
) -> tuple[int, int, int, int]:
    """Run the heaviest batches; return the most that each kind of them holds besides the weights.

    That is of training without gradients of the weights, and with them, of a validation and of the last evaluation.
    """
    live = _Live(devices.kind)
    budget = TokenBudget(devices.tokens)
    batches = [part for batch in heaviest.step.micro_batches for part in budget.parts(batch)]
    validation, evaluation = (budget.parts(batch)[0] for batch in (heaviest.validation, heaviest.evaluation))
    with FakeTensorMode(allow_non_fake_inputs=True), live:
        for one in (model, whole):
            one.to_empty(device=devices.kind)
            # What a masked language model has in two places has become two tables.
            one.tie_weights()
        activations, both = _trained(model, head=head, batches=batches, devices=devices, live=live)
        validated = _predicted(model, head=head, batch=validation, devices=devices, live=live)
        scored = _predicted(whole, head=head, batch=evaluation, devices=devices, live=live)
    return activations, both, validated, scored


def _trained(
    model: PreTrainedModel, *, head: Head, batches: Sequence[RaggedBatch], devices: Devices, live: "_Live"
) -> tuple[int, int]:
    """Run a step's heaviest micro-batches forward and backward.

    Returns the most that is held besides the weights, without gradients of them and with.
    """
    # The gradients of the first stay while the others run, of which the heaviest speaks for all.
    first, *others = sorted(batches, key=lambda batch: -batch.num_tokens)
    activations = 0
    model.train()
    with live.counting(model):
        for batch in [first, *others[:1]]:
            before = live.now
            live.mark()
            with _precision(devices):
                loss = head.loss(model, batch.to(devices.kind))
            activations = max(activations, live.since_mark - before)
            loss.backward()
            del loss
        both = live.peak
    model.zero_grad(set_to_none=True)
    return activations, both


def _predicted(model: PreTrainedModel, *, head: Head, batch: RaggedBatch, devices: Devices, live: "_Live") -> int:
    """Run a batch forward alone; return the most that is held besides the weights."""
    model.eval()
    with live.counting(model), torch.no_grad(), _precision(devices):
        head.loss(model, batch.to(devices.kind))
        return live.peak


def _precision(devices: Devices) -> torch.autocast:
    kind = KINDS.get(devices.precision, torch.bfloat16)
    return torch.autocast(devices.kind, dtype=kind, enabled=devices.precision.endswith("-mixed"))


def _gathered(model: PreTrainedModel) -> int:
    """Count what a sharded model holds whole for a while: what is in no layer, and two layers, with their gradients."""
    of_layers = [_bytes(layer) for layer in layers(model)]
    return 2 * (_bytes(model) - sum(of_layers) + 2 * max(of_layers, default=0))


def _bytes(module: Module) -> int:
    return sum(map(_size, [*module.parameters(), *module.buffers()]))


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


class _Live(TorchDispatchMode):
    """Count the bytes of all storages that are alive, and the most that were."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._has_heap = device == "cpu"
        self._known: set[int] = set()
        self.now = self.peak = self.since_mark = 0

    @contextmanager
    def counting(self, model: Module) -> Iterator[None]:
        """Count from nothing, leaving out what a model consists of."""
        self._known = {one.untyped_storage()._cdata for one in [*model.parameters(), *model.buffers()]}
        self.now = self.peak = self.since_mark = 0
        yield

    def mark(self) -> None:
        """Begin to look for the most from here on."""
        self.since_mark = self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and take note of what it made."""
        made = func(*args, **(kwargs or {}))
        for one in tree_iter(made):
            if isinstance(one, torch.Tensor):
                self._add(one.untyped_storage())
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        size = storage.nbytes()
        if self._has_heap and size < OWN_MAPPING:
            size = int(HEAP * size)
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        self.since_mark = max(self.since_mark, self.now)
        weakref.finalize(storage, self._drop, key, size).atexit = False

    def _drop(self, key: int, size: int) -> None:
        if key in self._known:
            self._known.remove(key)
            self.now -= size


def resident() -> int:
    """Return the bytes that this process holds in memory."""
    statistics = Path("/proc/self/statm")
    if statistics.is_file():
        return int(statistics.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def available(kind: str) -> int:
    """Return the bytes that a device has free for a run, in place of this process."""
    if kind == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    bounds = []
    information = Path("/proc/meminfo")
    if information.is_file():
        lines = dict(line.split(":") for line in information.read_text().splitlines())
        bounds.append(1024 * int(lines["MemAvailable"].split()[0]) + resident())
    bounds += limits_of_groups()
    return min(bounds) if bounds else resource.getpagesize() * os.sysconf("SC_PHYS_PAGES")


def limits_of_groups(*, groups: Path = Path("/proc/self/cgroup"), tree: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Yield the limits, in bytes, of the control groups that this process is in: a container's, a SLURM job's.

    A limit may stand at the process's own group or at any above it. See man 7 cgroups for both files.
    """
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            root, name = tree, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = tree / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for one in (group, *group.parents):
            limit = root / one / name
            # A container sees its own group as the root, under whichever name it has outside.
            if limit.is_file() and (most := limit.read_text().strip()).isdecimal():
                yield int(most)


def in_words(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
