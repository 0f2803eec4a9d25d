"""JSON documents as typed values: dataclasses in, dataclasses out, from whatever source. Knows no file."""

import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

Document = TypeVar("Document")

MOST_DIGITS = 18
"""What is longer is no count of anything, and fits into no array."""


def loads(text: str) -> Any:
    """Return parsed JSON; raise ValueError where it is malformed, or a number is not finite or far too long."""
    return json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a number")
    return number


def parsed(kind: type[Document], value: Any, *, where: str) -> Document:
    """Return a JSON value as a typed one; raise ValueError, saying where, for another type and for a missing field.

    Fields that the type does not have are left out.
    """
    try:
        # Only of JSON is an object taken for a dataclass where types are strict.
        found: Document = _adapter(kind).validate_json(json.dumps(value), strict=True)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([where, *(str(part) for part in first["loc"])])
        raise ValueError(f"{place}: {first['msg']}; found {str(first['input'])[:40]!r}") from error
    return found


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # type: ignore[arg-type]


def dumped(value: Any) -> Any:
    """Return a typed value as it stands in JSON; fields that have their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: dumped(one)
            for field in fields(value)
            if (one := getattr(value, field.name)) != _default(field) or _default(field) is MISSING
        }
    if isinstance(value, Mapping):
        return {key: dumped(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [dumped(one) for one in value]
    return value


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
