"""A folder of weights and tokenizer, looked at before a library reads it, and what a library says of it on one line.

Somebody else made it: it may be half copied, of another program, or of a newer one. Builds no model and no tokenizer.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from babelfit.errors import UserError
from babelfit.files.untrusted_files import check_shards, load_weights, refused_code

AGAIN = "copy or download this folder again"

WEIGHTS = (
    ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
)
"""Files that hold the weights, the first kind that there is."""

OF_TOKENIZERS = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json")
"""Files that hold an object each."""

POINTER = b"version https://git-lfs"
WRAPPER = re.compile(r"(?:module\.|_orig_mod\.|_fsdp_wrapped_module\.|_forward_module\.)+")
"""What DistributedDataParallel, torch.compile and the like put before the names of all weights."""

LONGEST_REASON = 300

Shapes = dict[str, tuple[int, ...]]
"""Shapes of tensors by name."""


@contextmanager
def reading(what: str, *, then: str) -> Iterator[None]:
    """Turn whatever a library raises on a stranger's file into a UserError: what was read, what is wrong, what then."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{what}: there is not enough memory for it") from error
    except Exception as error:
        raise UserError(f"{what}: {reason(error)}; {then}") from error
    except BaseException as error:
        # What is written in Rust panics beside all exceptions.
        if type(error).__name__ != "PanicException":
            raise
        raise UserError(f"{what}: {reason(error)}; {then}") from error


def reason(error: BaseException) -> str:
    """Return what a library says on one line, with the kind of error where it is not one that speaks to users."""
    text = " ".join(str(error).split()) or type(error).__name__
    speaks = isinstance(error, OSError | ValueError | RuntimeError | StrictDataclassError)
    if not speaks and text != type(error).__name__:
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def check_whole(file: Path, *, path: str) -> None:
    """Raise UserError for a file of a model's folder that is empty or only points to another."""
    if not file.is_file():
        raise UserError(f"{path}: its {file.name} is not a file: {AGAIN}")
    with file.open("rb") as opened:
        beginning = opened.read(len(POINTER))
    if beginning == POINTER:
        raise UserError(
            f"{path}: its {file.name} is a Git LFS pointer, which only says where the file is: fetch it with "
            "`git lfs pull` in that folder"
        )
    if not beginning:
        raise UserError(f"{path}: its {file.name} is empty: {AGAIN}")


def read_object(file: Path, *, path: str) -> dict[str, Any]:
    """Return the object that a JSON file of a model's folder holds; raise UserError where it is something else."""
    check_whole(file, path=path)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its {file.name} is not JSON ({reason(error)}): {AGAIN}") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: its {file.name} holds no object but {str(document)[:40]!r}: {AGAIN}")
    return document


def weight_files(folder: Path, *, path: str) -> list[Path]:
    """Return the files that a model's weights are read from, none where it has none; raise UserError for a bad one."""
    if (folder / "adapter_config.json").exists():
        raise UserError(
            f"{path} has an adapter (adapter_config.json), and babelfit reads whole models alone: merge it into its "
            "model (merge_and_unload() of peft), save that, and give its folder"
        )
    for file in sorted({file for kind in WEIGHTS for pattern in kind for file in folder.glob(pattern)}):
        if file.is_file() and not file.stat().st_size:
            raise UserError(f"the weights of {path} are damaged, its {file.name} is empty: {AGAIN}")
        check_whole(file, path=path)
    check_shards(folder)
    for whole, _, index in WEIGHTS:
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            shards = sorted(set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()))
            return [folder / shard for shard in shards]
    return []


def stored_shapes(folder: Path, *, path: str) -> Shapes:
    """Return the shapes of a model's weights as its files say them, without reading the numbers."""
    from safetensors import safe_open

    shapes: Shapes = {}
    for file in weight_files(folder, path=path):
        if not file.is_file():
            raise UserError(f"{path}: its {file.name} is missing, which its index names: {AGAIN}")
        with reading(f"the weights of {path} are damaged ({file.name})", then=AGAIN):
            if file.suffix == ".safetensors":
                with safe_open(file, framework="pt") as opened:
                    shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            else:
                shapes |= _shapes_of(_unpickled(file, path=path), file=file, path=path)
    return shapes


def _unpickled(file: Path, *, path: str) -> Any:
    try:
        return load_weights(file, mmap=True)
    except UserError as error:
        if not isinstance(error.__cause__, UnpicklingError) or (code := refused_code(error.__cause__)) is None:
            raise UserError(
                f"{path}: its {file.name} is damaged, or nothing that torch has written: {AGAIN}"
            ) from error
        raise UserError(
            f"the weights of {path} hold more than plain data ({code}): refused, and nothing in it was run; use an "
            "encoder with model.safetensors"
        ) from error


def _shapes_of(state: Any, *, file: Path, path: str) -> Shapes:
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{path}: its {file.name} holds a {type(state).__name__}, and no weights by name: {AGAIN}")
    others = [name for name, value in state.items() if not hasattr(value, "shape")]
    if others:
        raise UserError(
            f"{path}: its {file.name} holds more than weights ({', '.join(others[:3])}): save the model's state_dict() "
            "alone, or the model with save_pretrained()"
        )
    return {name: tuple(value.shape) for name, value in state.items()}


def wrapper_of(names: Iterable[str]) -> str:
    """Return what a wrapper has put before all of these names; "" where it has not."""
    found = {match[0] if (match := WRAPPER.match(name)) else "" for name in names}
    return found.pop() if len(found) == 1 else ""
