"""JSON documents as typed values: dataclasses in, dataclasses out, from whatever source. Knows no file.

And the types of what documents have in common: names that become parts of paths and pages, counts, shares, numbers.
"""

import json
import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

Document = TypeVar("Document")

MOST_DIGITS = 18
"""What is longer is no count of anything, and fits into no array."""

WORD = r"[A-Za-z0-9_-]{1,100}"
"""What a language or a split may be called, as a regular expression."""

_WORD_IN_WORDS = "be a word of letters, digits, - and _"

Word = Annotated[str, Field(pattern=f"^{WORD}$")]
"""The name of a language or a split: it becomes part of paths, pages and commands."""

Count = Annotated[int, Field(ge=0, le=10**15)]
"""How many there are of something."""

FARTHEST = 1e100
"""Numbers that are farther from zero can't be added up, nor drawn."""


def _near(number: float) -> float:
    if abs(number) > FARTHEST:
        raise ValueError(f"Input should be no farther from zero than {FARTHEST:g}")
    return number


Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_near)]
"""A score, or a difference of scores."""

Part = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]
"""A share from 0 to 1, as far as it can be computed."""


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
        place = ".".join([where, *(_shown(str(part)) for part in first["loc"])])
        told = first["msg"].removeprefix("Value error, ").replace(f"match pattern '^{WORD}$'", _WORD_IN_WORDS)
        raise ValueError(f"{place}: {told}; found {str(first['input'])[:40]!r}") from error
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
    return found


def _shown(key: str) -> str:
    """Return a key of a document as a message may show it: whose document it is, nobody knows."""
    return key if re.fullmatch(r"[\w-]{1,60}|\[key\]", key) else repr(key[:60])


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
