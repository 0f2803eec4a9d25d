"""manifest.json: every file and Hub revision that a run or an evaluation read. Reads no data itself."""

import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from babelfit.errors import UserError
from babelfit.run import write_json

SCHEMA = 1


def add(folder: Path, *, splits: Mapping[str, Mapping[str, Any]], **facts: Any) -> dict[str, Any]:
    """Add what was read to a folder's manifest, and return the whole.

    `splits` is split -> language -> entry, `facts` say where from. Raises UserError where a data file, the encoder, or
    the model whose predictions lie in the folder, is no longer what it was.
    """
    path = folder / "manifest.json"
    known = read(folder)
    merged: dict[str, dict[str, Any]] = {split: dict(entries) for split, entries in known.get("splits", {}).items()}
    for split, entries in splits.items():
        for language, entry in entries.items():
            before = merged.setdefault(split, {}).get(language)
            if before is not None and _digests(before) != _digests(entry):
                files = ", ".join(str(file["path"]) for file in entry["files"])
                raise UserError(
                    f"{files} changed since {folder} read it (SHA-256 {_digests(before)}, now {_digests(entry)}): "
                    "put the old file back, or choose another name="
                )
            merged[split][language] = entry
    if _differs(known, facts, "encoder"):
        raise UserError(
            f"{facts['encoder']['path']} is no longer the encoder that {folder} was begun with: put the old files "
            "back, or choose another name="
        )
    if _differs(known, facts, "model") and any((folder / "predictions").glob("*/*.jsonl")):
        raise UserError(
            f"{facts['model']['path']} is no longer the model whose predictions lie in {folder}: delete its "
            "predictions/ and scores/ to predict anew, or choose another name="
        )
    whole = {"schema": SCHEMA, **{key: value for key, value in known.items() if key != "splits"}, **facts}
    write_json(path, whole | {"splits": merged})
    return whole | {"splits": merged}


def read(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest, empty where it has none; raises UserError for what is none."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for entries in known.get("splits", {}).values():
            for entry in entries.values():
                _digests(entry)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error!r}): delete it, and the same command writes it anew") from error
    return known


def dropped(folder: Path, *, split: str, language: str) -> set[int]:
    """Return the rows of a language that are no examples, as far as a folder's manifest says."""
    reasons = read(folder).get("splits", {}).get(split, {}).get(language, {}).get("dropped", {})
    return set(chain(*reasons.values()))


def _digests(entry: Mapping[str, Any]) -> list[str]:
    return [file["sha256"] for file in entry["files"]]


def _differs(known: Mapping[str, Any], facts: Mapping[str, Any], key: str) -> bool:
    """Tell whether an encoder or model consists of other files than before; where it lies may change."""
    if key not in known or key not in facts:
        return False
    return bool(known[key].get("files") != facts[key].get("files"))
