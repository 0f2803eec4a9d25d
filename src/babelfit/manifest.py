"""manifest.json: every file and Hub revision that a run or an evaluation read. Reads no data itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from babelfit.errors import UserError
from babelfit.run import write_json

SCHEMA = 1


def add(folder: Path, *, splits: Mapping[str, Mapping[str, Any]], **facts: Any) -> dict[str, Any]:
    """Add what was read to a folder's manifest, and return the whole.

    `splits` is split -> language -> entry, `facts` say where from. Raises UserError where a file is no longer what it
    was when this folder's run read it.
    """
    path = folder / "manifest.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
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
    whole = {"schema": SCHEMA, **{key: value for key, value in known.items() if key != "splits"}, **facts}
    write_json(path, whole | {"splits": merged})
    return whole | {"splits": merged}


def _digests(entry: Mapping[str, Any]) -> list[str]:
    return [file["sha256"] for file in entry["files"]]
