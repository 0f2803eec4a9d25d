"""Folders of models as others leave them: the bundled encoder with something else about it, a function a way."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from babelfit import mini

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"
NLI = ("entailment", "neutral", "contradiction")

Shapes = dict[str, torch.Tensor]


def encoder(folder: Path) -> Path:
    """Copy the bundled encoder."""
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(mini.__file__).parent / name, folder)
    return folder


def with_head(folder: Path, num_labels: int, *, of_tokens: bool = False, **config: Any) -> Path:
    """Write the bundled encoder with a head whose outputs have no names, and these fields in its config.json."""
    encoder(folder)
    kind = AutoModelForTokenClassification if of_tokens else AutoModelForSequenceClassification
    torch.manual_seed(0)
    kind.from_pretrained(folder, num_labels=num_labels).save_pretrained(folder)
    return edited(folder, "config.json", **config)


def named(*names: str) -> dict[str, Any]:
    """Return the fields of a config.json that name outputs."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: number for number, name in enumerate(names)}}


def edited(folder: Path, file: str, **fields: Any) -> Path:
    """Change fields of a JSON file; those that are None are taken out."""
    content = json.loads((folder / file).read_text()) | fields
    (folder / file).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return folder


def reweighted(folder: Path, change: Callable[[Shapes], Shapes], *, as_bin: bool = False) -> Path:
    """Change the weights, as tensors by name."""
    weights = {name: value.clone() for name, value in change(load_file(folder / "model.safetensors")).items()}
    (folder / "model.safetensors").unlink()
    if as_bin:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
