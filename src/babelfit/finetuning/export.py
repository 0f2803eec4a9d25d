"""From checkpoints to a Hugging Face folder: safetensors, label names, tokenizer."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from babelfit.files import atomic_files
from babelfit.files.untrusted_files import load_weights
from babelfit.finetuning.prepared import Prepared

PREFIX = "model."


def export(prepared: Prepared, *, checkpoints: Sequence[Path], folder: Path) -> None:
    """Write the weights of a run's checkpoint, or the mean of those of several, as a Hugging Face folder."""
    model = prepared.whole_model()
    state = _mean_of(checkpoints)
    for change in reversed(prepared.changes):
        state = change.undo(state, before=model)
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    unfinished = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    # How the last rows were cut and padded would be saved, too, and depend on whether any were tokenized.
    prepared.data.tokenizer.backend_tokenizer.no_truncation()
    prepared.data.tokenizer.backend_tokenizer.no_padding()
    prepared.data.tokenizer.save_pretrained(unfinished)
    atomic_files.rename(unfinished, folder)


def _mean_of(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Read the weights of checkpoints, and average those that are real numbers; of one they are as they are."""
    first, *others = [_weights(path) for path in checkpoints]
    if not others:
        return first
    means = {}
    for name, value in first.items():
        if value.is_floating_point():
            total = value.double()
            for other in others:
                total += other[name]
            value = (total / len(checkpoints)).to(value.dtype)
        means[name] = value
    return means


def _weights(path: Path) -> dict[str, torch.Tensor]:
    state = load_weights(path, mmap=True)["state_dict"]
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
