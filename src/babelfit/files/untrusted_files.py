"""What may be taken from a folder that somebody else made: data, never code, and never from outside the folder.

Weights are read by `torch.load(weights_only=True)` or safetensors, and remote code is never trusted; that stands where
they are loaded. Here is what files themselves can be made of.
"""

import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from babelfit.errors import UserError


def check_folder(folder: Path) -> None:
    """Refuse a run folder in which something leads out of it, or is neither file nor folder; raises UserError."""
    root = folder.resolve()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            if path.is_symlink():
                try:
                    inside = path.resolve().is_relative_to(root)
                except (OSError, RuntimeError):  # a link to itself
                    inside = False
                if not inside:
                    raise UserError(
                        f"{path} is a link that leads out of {folder}: a run's files lie in its folder. Copy what it "
                        "points to in its place, or delete it"
                    )
            # A folder in which others work loses files meanwhile.
            elif not (path.is_file() or path.is_dir()) and path.exists():
                raise UserError(f"{path} is neither a file nor a folder: delete it")


def inside(folder: Path, *names: str) -> Path:
    """Return the path of a file or a folder below a folder; raise UserError for a name that would lead elsewhere."""
    for name in names:
        if not re.fullmatch(r"[\w.,=+-]{1,200}", name) or name.startswith("."):
            raise UserError(
                f"{name[:60]!r} names no file in {folder}: expected letters, digits and -_.,=+, with no dot in front"
            )
    return folder.joinpath(*names)


def check_shards(folder: Path) -> None:
    """Refuse an index of sharded weights that names anything but files beside it; raises UserError."""
    for path in sorted(folder.glob("*.index.json")):
        try:
            shards = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path} is not an index of sharded weights ({type(error).__name__}: {error}): download it again"
            ) from error
        for shard in shards:
            if not isinstance(shard, str) or not re.fullmatch(r"[\w.-]*\w", shard):
                raise UserError(
                    f"{path} names {shard!r}, which is not a file beside it: shards must be in the same folder"
                )


class _NoAliases(yaml.SafeLoader):
    """Read YAML without its references: a few lines of them stand for billions of values, or for themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.YAMLError(f"a reference (*NAME) in line {mark.line + 1}, where a value is expected")
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """Return a YAML file's content as plain data; raise UserError for what Hydra or OmegaConf would act upon."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_NoAliases)
        odd, active = next(_odd(values), None), next(_active(values), None)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is not readable as YAML: {error}") from error
    if odd is not None:
        raise UserError(
            f"{path} holds {odd}, and a configuration has words as keys, and as values words, numbers, lists and the "
            "like: put it in quotes where it is meant as a word"
        )
    if active is not None:
        raise UserError(f"{path} holds {active!r}, which is not a plain value: a run's configuration is only data")
    return values


def _odd(values: Any) -> Iterator[str]:
    """Yield in words what YAML knows and a configuration does not have: dates, sets, bytes, keys that are no words."""
    if isinstance(values, dict):
        yield from (f"the key {key!r}" for key in values if not isinstance(key, str))
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            yield from _odd(value)
    elif not isinstance(values, str | int | float | None):
        yield f"{str(values)[:40]!r} ({type(values).__name__})"


def _active(values: Any) -> Iterator[str]:
    """Yield the keys that Hydra acts upon (`_target_`), and the strings that OmegaConf replaces."""
    if isinstance(values, dict):
        yield from (key for key in values if str(key).startswith("_"))
        for key, value in values.items():
            yield from _active(str(key))
            yield from _active(value)
    elif isinstance(values, list):
        for value in values:
            yield from _active(value)
    elif isinstance(values, str) and ("${" in values or values == "???"):
        yield values


def load_weights(path: Path, *, mmap: bool = False) -> Any:
    """Return a torch.save file's content as plain data; raise UserError, with nothing run, for one that holds code."""
    import torch

    try:
        # Older forms of such files cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        code = refused_code(error)
        if code is None:
            raise UserError(f"{path} is damaged, or nothing that torch has written: refused; copy it again") from error
        raise UserError(f"{path} holds more than plain data ({code}): refused, and nothing in it was run") from error


def refused_code(error: pickle.UnpicklingError) -> str | None:
    """Return the name of what torch refused to run; None where a file is no pickle of such a kind at all."""
    found = re.search(r"GLOBAL (\S+)", str(error))
    return found[1] if found else None
