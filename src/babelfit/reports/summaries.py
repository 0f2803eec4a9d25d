"""Tables that are too large to be read, as what is worth reading of them: the worst, and all else together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from babelfit.scoring.tables import Confusion, Consistency

MOST_LANGUAGES = 40
"""Of a table of languages by languages, and lines of a picture."""

MOST_LABELS, LEAST_LABELS = 40, 6
"""Of a table of labels by labels."""

MOST_CELLS = 16_000
"""Of all tables of labels of a page, which must open quickly."""

OTHERS = "all others"


def most_labels(num_tables: int) -> int:
    """Return how many labels each of a page's tables of labels may have."""
    return max(LEAST_LABELS, min(MOST_LABELS, int((MOST_CELLS / max(1, num_tables)) ** 0.5)))


def least_alike(found: Consistency, *, sources: Collection[str]) -> tuple[Consistency, str]:
    """Return the languages that agree least with the others, sources beside them, and in words what is left out.

    Where there are few, these are all of them, and nothing is said.
    """
    languages, number = found.languages, len(found.languages)
    if number <= MOST_LANGUAGES:
        return found, ""
    first = [place for place in range(number) if languages[place] in sources][: MOST_LANGUAGES // 2]
    others = sorted(set(range(number)).difference(first), key=lambda place: (_total(found.alike[place]), place))
    kept = sorted([*first, *others[: MOST_LANGUAGES - len(first)]])

    def cut(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
        return [[rows[row][column] for column in kept] for row in kept] if rows else []

    shown = replace(
        found,
        languages=[languages[place] for place in kept],
        alike=cut(found.alike),
        both_right=cut(found.both_right),
        alike_if_right=cut(found.alike_if_right),
    )
    return shown, f"of {number} languages the {len(kept)} that agree least with the others, with those trained on"


def _total(shares: Sequence[float | None]) -> float:
    return sum(share for share in shares if share is not None)


def most_confused(found: Confusion, *, most: int) -> tuple[Confusion, str]:
    """Return the labels that are confused most often, all others as one, and in words what is left out.

    Where there are few, these are all of them, and nothing is said.
    """
    number = len(found.labels)
    if number <= most:
        return found, ""
    columns = [sum(column) for column in zip(*found.counts, strict=True)]
    wrong = [sum(row) + columns[place] - 2 * row[place] for place, row in enumerate(found.counts)]
    kept = sorted(sorted(range(number), key=lambda place: (-wrong[place], place))[: most - 1])
    rest = sorted(set(range(number)).difference(kept))

    def merged(row: Sequence[int]) -> list[int]:
        return [*(row[place] for place in kept), sum(row[place] for place in rest)]

    together = [sum(found.counts[row][column] for row in rest) for column in range(number)]
    shown = Confusion(
        labels=[*(found.labels[place] for place in kept), OTHERS],
        counts=[*(merged(found.counts[place]) for place in kept), merged(together)],
    )
    return shown, f"of {number} labels the {len(kept)} that are confused most often, and all others together"


def worst_lines(
    lines: Mapping[str, Sequence[tuple[int, float]]],
) -> tuple[dict[str, Sequence[tuple[int, float]]], str]:
    """Return the lines of a picture that end lowest, and in words what is left out; of few all, and nothing is said."""
    if len(lines) <= MOST_LANGUAGES:
        return dict(lines), ""
    lowest = sorted(lines, key=lambda name: lines[name][-1][1])[:MOST_LANGUAGES]
    return {name: lines[name] for name in lines if name in lowest}, f", the lowest {MOST_LANGUAGES} of {len(lines)}"
