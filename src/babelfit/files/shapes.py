"""What stands in JSON files of ours, which others may have written or damaged. Knows no file."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_DIGITS = 18
"""What is longer is no count of anything, and fits into no array."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """An object with some keys, and others that may be absent; further ones are not looked at."""

    required: Mapping[str, Any] = field(default_factory=dict)
    optional: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Each:
    """An object of any keys, whose values are alike."""

    of: Any


def loads(text: str) -> Any:
    """Parse JSON; raises ValueError for what is none, and for a number that is not finite or is far too long."""
    return json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is no number")
    return number


def check(value: Any, shape: Any, *, where: str) -> None:
    """Raise ValueError, saying where, for a value that is not of a shape.

    A shape is a type, None, a tuple of shapes of which one must fit, `Fields`, `Each`, or a list: of the shape of its
    values, or of several, as many as there are values.
    """
    if isinstance(shape, Fields | Each):
        check(value, dict, where=where)
    if isinstance(shape, Each):
        for key, one in value.items():
            check(one, shape.of, where=f"{where}.{key}")
    elif isinstance(shape, Fields):
        if missing := shape.required.keys() - value.keys():
            raise ValueError(f"{where} has no {min(missing)}")
        for key, one in {**shape.required, **shape.optional}.items():
            if key in value:
                check(value[key], one, where=f"{where}.{key}")
    elif isinstance(shape, list):
        check(value, list, where=where)
        if len(shape) > 1 and len(value) != len(shape):
            raise ValueError(f"{where} has {len(value)} values")
        for number, one in enumerate(value):
            check(one, shape[number % len(shape)], where=f"{where}.{number}")
    elif isinstance(shape, tuple):
        errors = []
        for one in shape:
            try:
                check(value, one, where=where)
                break
            except ValueError as error:
                errors.append(error)
        else:
            raise errors[-1]
    elif not (value is None if shape is None else isinstance(value, shape)):
        raise ValueError(f"{where} is {str(value)[:40]!r}")
