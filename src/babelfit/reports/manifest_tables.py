"""What a manifest says of the data and of the tokenizer, laid out in rows."""

from babelfit.rows.leaks import Leak
from babelfit.rows.read import RowsRead
from babelfit.run.manifest import Manifest


def data(read: Manifest) -> list[tuple[str, str, RowsRead, str]]:
    """Lay out what was read, a row a language of a split: their names, what of it, and how many of it leaked."""
    return [
        (
            split if entry.split in (None, split) else f"{split} ({entry.split} of the dataset)",
            language,
            entry,
            _leaked(read.leaks.get(split, {}).get(language)),
        )
        for split, entries in read.splits.items()
        for language, entry in entries.items()
    ]


def _leaked(found: Leak | None) -> str:
    """Return in words how many rows of evaluation are among those trained on; "" where they were not compared."""
    if found is None:
        return ""
    translated = f" + {found.translated:,} translated" if found.translated else ""
    return f"{found.rows:,}{translated}"


def tokens(read: Manifest, *, reached: str | None) -> list[dict[str, str]]:
    """Lay out what the tokenizer makes of each language of each split, where the manifest says it: column to cell.

    Split and language are words, all else are numbers. `reached` names the share of targets that are not cut off; None
    where all others are.
    """
    rows: list[dict[str, str]] = []
    for split, entries in read.splits.items():
        for language, entry in entries.items():
            counts = entry.tokens
            if not counts.lengths:
                continue
            rows.append(
                {
                    "split": split,
                    "language": language,
                    "subwords by word": f"{counts.subwords / max(1, counts.words):.2f}",
                    "by character": f"{counts.subwords / max(1, counts.characters):.2f}",
                    "unknown, %": f"{100 * counts.unknown / max(1, counts.subwords):.2f}",
                    "cut, %": f"{100 * entry.truncated / max(1, entry.examples):.2f}",
                    **({} if reached is None else {reached: _share_reached(entry)}),
                    **{f"length, {name}": f"{length:,}" for name, length in counts.lengths.items()},
                }
            )
    return rows


def _share_reached(entry: RowsRead) -> str:
    return f"{100 * (entry.tokens.targets or 0) / max(1, sum(entry.labels.values())):.1f}"
