"""What config.json says of a model's outputs, in whatever form: id2label and label2id as two whole tables of text."""

import re
from typing import Any

from babelfit.errors import UserError

UNNAMED = "LABEL_"
"""What the names that transformers gives begin with: they stand for none."""

FORM = 'must be {"0": "NAME", ...}, with the ids from 0 on'


def with_label_tables(document: dict[str, Any], *, path: str) -> dict[str, Any]:
    """Return a config with both tables whole; raise UserError for one that names no outputs.

    A list names outputs in its order, and numbers are names like others. Where one table is missing or has only the
    names that stand for none, it follows from the other; two that contradict each other are left as they are.
    """
    by_id = _by_id(document.get("id2label"), path=path)
    by_name = _by_name(document.get("label2id"), path=path)
    if not by_id and not by_name:
        return {key: value for key, value in document.items() if key not in ("id2label", "label2id")}
    if by_name and (not by_id or (_are_unnamed(by_id.values()) and not _are_unnamed(by_name))):
        by_id = _inverted(by_name, path=path)
    elif not by_name or (_are_unnamed(by_name) and not _are_unnamed(by_id.values())):
        by_name = {name: label_id for label_id, name in by_id.items()}
    return document | {"id2label": by_id, "label2id": by_name}


def _by_id(table: Any, *, path: str) -> dict[int, str]:
    if table is None:
        return {}
    pairs = dict(enumerate(table)) if isinstance(table, list) else table
    if not isinstance(pairs, dict):
        raise UserError(f"{path}: id2label in its config.json is {str(table)[:40]!r}: it {FORM}")
    names = {_number(label_id, key="id2label", path=path): _name(name, path=path) for label_id, name in pairs.items()}
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{path}: id2label in its config.json has the ids {sorted(names)[:10]}: it {FORM}")
    return dict(sorted(names.items()))


def _by_name(table: Any, *, path: str) -> dict[str, int]:
    if table is None:
        return {}
    if isinstance(table, list):
        table = {str(name): label_id for label_id, name in enumerate(table)}
    if not isinstance(table, dict):
        raise UserError(f'{path}: label2id in its config.json is {str(table)[:40]!r}: it must be {{"NAME": 0, ...}}')
    return {str(name): _number(label_id, key="label2id", path=path) for name, label_id in table.items()}


def _inverted(by_name: dict[str, int], *, path: str) -> dict[int, str]:
    names = {label_id: name for name, label_id in by_name.items()}
    if sorted(names) != list(range(len(by_name))):
        raise UserError(
            f"{path}: label2id in its config.json has the ids {sorted(by_name.values())[:10]}: they must be 0, 1, ..., "
            "each once"
        )
    return dict(sorted(names.items()))


def _number(value: Any, *, key: str, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,6}", str(value)):
        raise UserError(f"{path}: {key} in its config.json has {value!r} as the id of a label: ids are 0, 1, 2, ...")
    return int(value)


def _name(value: Any, *, path: str) -> str:
    if not isinstance(value, str | int | float):
        raise UserError(f"{path}: id2label in its config.json has {str(value)[:40]!r} as a name: it {FORM}")
    return str(value)


def _are_unnamed(names: Any) -> bool:
    return all(name.startswith(UNNAMED) for name in names)
