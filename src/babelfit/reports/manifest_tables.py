"""What a manifest says of the data and of the tokenizer, laid out in rows."""

from collections.abc import Mapping
from typing import Any

from babelfit.rows.scripts import in_words


def data(read: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out what was read, a row a language of a split."""
    return [
        {
            "split": split if entry.get("split", split) == split else f"{split} ({entry['split']} of the dataset)",
            "language": language,
            "files": [file["path"] for file in entry["files"]],
            "rows": entry.get("rows", 0),
            "examples": entry.get("examples", 0),
            "dropped": sum(len(rows) for rows in entry.get("dropped", {}).values()),
            "truncated": entry.get("truncated", 0),
            "duplicates": entry.get("duplicates"),
            "leaked": _leaked(read.get("leaks", {}).get(split, {}).get(language)),
            "scripts": {in_words(script): share for script, share in entry.get("scripts", {}).items()},
            "labels": entry.get("labels", {}),
        }
        for split, entries in read.get("splits", {}).items()
        for language, entry in entries.items()
    ]


def _leaked(found: Mapping[str, Any] | None) -> str:
    """Say how many rows of evaluation stand among those trained on; "" where they were not compared."""
    if found is None:
        return ""
    translated = f" + {found['translated']:,} translated" if found.get("translated") else ""
    return f"{found['rows']:,}{translated}"


def tokens(read: Mapping[str, Any], *, reached: str | None) -> list[dict[str, str]]:
    """Lay out what the tokenizer makes of each language of each split, where the manifest says it: column to cell.

    Split and language are words, all else are numbers. `reached` names the share of targets that are not cut off; None
    where all others are.
    """
    rows: list[dict[str, str]] = []
    for split, entries in read.get("splits", {}).items():
        for language, entry in entries.items():
            counts = entry.get("tokens")
            if counts is None:
                continue
            rows.append(
                {
                    "split": split,
                    "language": language,
                    "subwords by word": f"{counts['subwords'] / max(1, counts['words']):.2f}",
                    "by character": f"{counts['subwords'] / max(1, counts['characters']):.2f}",
                    "unknown, %": f"{100 * counts['unknown'] / max(1, counts['subwords']):.2f}",
                    "cut, %": f"{100 * entry['truncated'] / max(1, entry['examples']):.2f}",
                    **({} if reached is None else {reached: _share_reached(entry)}),
                    **{f"length, {name}": f"{length:,}" for name, length in counts["lengths"].items()},
                }
            )
    return rows


def _share_reached(entry: Mapping[str, Any]) -> str:
    return f"{100 * entry['tokens']['targets'] / max(1, sum(entry.get('labels', {}).values())):.1f}"
