"""What differs between what was kept and what the code makes now: what must not, what was added, and text."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_LINES = 40
"""Of the differences of one text, so many lines are shown."""

LONGEST = 100


@dataclass
class Differences:
    """What was found, a line each; of texts a unified diff each."""

    wrong: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Lay all out to be read."""
        parts = {
            "(a) must be equal, and is not": self.wrong,
            "(b) added, which is allowed": self.added,
            "(c) text, to be looked at": self.texts,
        }
        return "\n\n".join(f"{title}: {len(lines)}\n" + "\n".join(lines) for title, lines in parts.items()) + "\n"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, renamed: Mapping[str, str]) -> Differences:
    """Compare two nets; `renamed` are columns of the token cache that have another name now."""
    found = Differences()
    for part, kept in before.items():
        theirs = now.get(part)
        if theirs is None:
            found.wrong.append(f"{part}: gone")
            continue
        _compare_caches(kept["cache"], theirs["cache"], part=part, renamed=renamed, found=found)
        _compare(
            {name: value for name, value in kept.items() if name != "cache"},
            {name: value for name, value in theirs.items() if name != "cache"},
            where=part,
            found=found,
        )
    found.added += [f"{part}" for part in now if part not in before]
    return found


def _compare(before: Any, now: Any, *, where: str, found: Differences) -> None:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found.added += [f"{where} / {key}: {_short(now[key])}" for key in now if key not in before]
        for key, value in before.items():
            place = f"{where} / {key}"
            if key not in now:
                found.wrong.append(f"{place}: gone, was {_short(value)}")
            elif key == "texts":
                found.texts += _compare_texts(value, now[key], where=where)
            else:
                _compare(value, now[key], where=place, found=found)
    elif isinstance(before, list) and isinstance(now, list):
        if len(before) != len(now):
            found.wrong.append(f"{where}: {len(before)} values -> {len(now)}: {_short(before)} -> {_short(now)}")
        for place, (one, other) in enumerate(zip(before, now, strict=False)):
            _compare(one, other, where=f"{where} [{place}]", found=found)
    elif before != now or isinstance(before, bool) != isinstance(now, bool):
        found.wrong.append(f"{where}: {_short(before)} -> {_short(now)}{_how_far(before, now)}")


def _how_far(before: Any, now: Any) -> str:
    """Say how far apart two numbers are, to tell another order of summation from another number."""
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (before, now)):
        return ""
    return f" (by {abs(before - now) / max(abs(before), abs(now)):.1e} of it)"


def _compare_texts(
    before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], *, where: str
) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        one, other = before.get(name, []), now.get(name, [])
        lines = list(difflib.unified_diff(one, other, f"before: {where} / {name}", "now", lineterm="", n=0))
        if lines:
            rest = [f"... and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else []
            yield "\n".join([*(line[: 3 * LONGEST] for line in lines[:MOST_LINES]), *rest])


def _compare_caches(
    before: Sequence[Mapping[str, Any]],
    now: Sequence[Mapping[str, Any]],
    *,
    part: str,
    renamed: Mapping[str, str],
    found: Differences,
) -> None:
    """Compare datasets, each with the one now that has most of its columns."""
    left = list(now)
    pairs = []
    wanted = [
        {**one, "columns": {renamed.get(name, name): hashed for name, hashed in one["columns"].items()}}
        for one in before
    ]
    # Those that are the same first: what is left may belong together.
    for one in wanted:
        same = next((other for other in left if one["columns"].items() <= other["columns"].items()), None)
        if same is not None:
            left.remove(same)
        pairs.append((one, same))
    for one, same in pairs:
        where = f"{part} / token cache / {one['rows']} rows, beginning {_short(one['begins'])}"
        other = same or max(left, key=lambda other, one=one: _num_alike(one, other), default=None)
        if other is None or (same is None and not _num_alike(one, other)):
            found.wrong.append(f"{where}: gone")
            continue
        if same is None:
            left.remove(other)
        for name, hashed in one["columns"].items():
            if name not in other["columns"]:
                found.wrong.append(f"{where} / {name}: gone")
            elif other["columns"][name] != hashed:
                found.wrong.append(f"{where} / {name}: other values")
        found.added += [f"{where} / {name}: a column" for name in other["columns"] if name not in one["columns"]]
    found.added += [f"{part} / token cache / {one['rows']} rows, beginning {_short(one['begins'])}" for one in left]


def _num_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Count how much of a dataset another one has: columns, the number of rows, the beginning."""
    alike = sum(other["columns"].get(name) == hashed for name, hashed in one["columns"].items())
    return alike + sum(one[key] == other[key] for key in ("rows", "begins"))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
