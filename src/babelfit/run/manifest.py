"""manifest.json: every file and Hub revision that a run or an evaluation read. Reads no data itself."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from babelfit.errors import UserError
from babelfit.files import shapes
from babelfit.files.shapes import Each, Fields
from babelfit.predictions import prediction_files
from babelfit.rows.leaks import told
from babelfit.rows.scripts import look_alike
from babelfit.run.run import write_json

SCHEMA = 1
ENTRY = Fields(
    required={"files": [Fields(required={"sha256": str})]},
    optional={"rows": int, "examples": int, "dropped": Each(of=[int])},
)
IMPORTED = Fields(required={"path": str, "sha256": str})
MANIFEST = Fields(
    optional={
        "data": str,
        "task": str,
        "labels": [str],
        "aliases": Each(of=str),
        "encoder": dict,
        "model": dict,
        "splits": Each(of=Each(of=ENTRY)),
        "imported": Each(of=Each(of=IMPORTED)),
    }
)
"""What is read again of a manifest."""


def add(
    folder: Path,
    *,
    splits: Mapping[str, Mapping[str, Any]],
    leaks: Mapping[str, Mapping[str, Any]] | None = None,
    imported: Mapping[str, Mapping[str, Mapping[str, str]]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Add what was read to a folder's manifest, and return the whole.

    `splits` is split -> language -> entry, `leaks` the same of rows found in training, `imported` of the files that
    predictions are taken from, `facts` say where from. Raises UserError where a data file, the encoder, or the model or
    file whose predictions lie in the folder, is no longer what it was.
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
    taken = {split: dict(theirs) for split, theirs in known.get("imported", {}).items()}
    for split, theirs in (imported or {}).items():
        for language, file in theirs.items():
            _check_import(folder, split=split, language=language, before=taken.get(split, {}).get(language), file=file)
        taken[split] = taken.get(split, {}) | dict(theirs)
    compared = {split: dict(found) for split, found in known.get("leaks", {}).items()}
    for split, found in (leaks or {}).items():
        compared[split] = compared.get(split, {}) | dict(found)
    whole = {"schema": SCHEMA, **{key: value for key, value in known.items() if key != "splits"}, **facts}
    whole |= ({"leaks": compared} if compared else {}) | ({"imported": taken} if taken else {})
    write_json(path, whole | {"splits": merged})
    return whole | {"splits": merged}


def _check_import(
    folder: Path, *, split: str, language: str, before: Mapping[str, str] | None, file: Mapping[str, str]
) -> None:
    """Raise UserError where predictions lie in the folder that are not from this file."""
    if not prediction_files.path(folder, split=split, language=language).exists():
        return
    if before is None or before["sha256"] != file["sha256"]:
        whence = "nobody knows where" if before is None else f"{before['path']} (SHA-256 {before['sha256'][:12]})"
        raise UserError(
            f"{file['path']} (SHA-256 {file['sha256'][:12]}) holds other predictions than {folder}, which has those of "
            f"{split} {language} from {whence}; nothing was overwritten: choose another --name, or delete {folder}"
        )


def doubts(known: Mapping[str, Any]) -> list[str]:
    """Say in words what a manifest knows against the data: rows trained on, files of another language."""
    found = told(known.get("leaks", {}), dataset=str(known.get("data")))
    for entries in known.get("splits", {}).values():
        for language, entry in entries.items():
            if other := look_alike(language, shares=entry.get("scripts", {})):
                found.append(f"{', '.join(file['path'] for file in entry['files'])}: {other}")
    return list(dict.fromkeys(found))


def read(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest, empty where there is none; raises UserError for what is none."""
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    try:
        known: dict[str, Any] = shapes.loads(path.read_text(encoding="utf-8"))
        shapes.check(known, MANIFEST, where="it")
        for entries in known.get("splits", {}).values():
            for entry in entries.values():
                _ = [(Path(file["path"]), file["bytes"], file["sha256"]) for file in entry["files"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error!r}): delete it, and the same command writes it anew") from error
    return known


def is_cut(entry: Mapping[str, Any]) -> bool:
    """Tell whether a limit left out the last rows of a language."""
    # A row may be dropped for several reasons.
    rows = entry.get("rows", 0) - len(set(chain(*entry.get("dropped", {}).values())))
    return bool(entry.get("examples", rows) < rows)


def dropped(folder: Path, *, split: str, language: str) -> set[int]:
    """Return the rows of a language that are no examples, as far as a folder's manifest says."""
    return set(chain(*entry(folder, split=split, language=language).get("dropped", {}).values()))


def entry(folder: Path, *, split: str, language: str) -> dict[str, Any]:
    """Return what a folder's manifest says of a language's rows in a split; nothing where it does not."""
    found: dict[str, Any] = read(folder).get("splits", {}).get(split, {}).get(language, {})
    return found


def _digests(entry: Mapping[str, Any]) -> list[str]:
    return [file["sha256"] for file in entry["files"]]


def _differs(known: Mapping[str, Any], facts: Mapping[str, Any], key: str) -> bool:
    """Tell whether an encoder or model consists of other files than before; where it lies may change."""
    if key not in known or key not in facts:
        return False
    return bool(known[key].get("files") != facts[key].get("files"))
