"""Tables within scores as typed values: calibration, confusion, consistency; each has the shape that readers need."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from babelfit.files.documents import Count, Part, Word

Share = Part | None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Bins of confidence: how many targets, their mean confidence, and the share of right ones."""

    count: list[Count]
    confidence: list[Share]
    accuracy: list[Share]

    def __post_init__(self) -> None:
        """Raise ValueError where a bin lacks a number."""
        if not len(self.count) == len(self.confidence) == len(self.accuracy):
            raise ValueError("count, confidence and accuracy do not have as many bins")
        pairs = zip(self.count, zip(self.confidence, self.accuracy, strict=True), strict=True)
        if any(count and None in shares for count, shares in pairs):
            raise ValueError("a bin with predictions has no confidence or no accuracy")


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of predicted labels (columns) by gold ones (rows)."""

    labels: Annotated[list[str], Field(min_length=1)]
    counts: list[list[Count]]

    def __post_init__(self) -> None:
        """Raise ValueError where there is not a row and a column for each label."""
        _check_square(self.counts, side=len(self.labels), what="counts", of="labels")


def _check_square(rows: Sequence[Sequence[Any]], *, side: int, what: str, of: str) -> None:
    if len(rows) != side or any(len(row) != side for row in rows):
        raise ValueError(f"{what} does not have a row and a column for each of the {side} {of}")


@dataclass(frozen=True, kw_only=True)
class DifferentGold:
    """Items whose gold differs by language."""

    items: Count
    languages: dict[Word, Count] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Which share of a parallel dataset's items is answered alike: in pairs of languages, and in all."""

    languages: Annotated[list[Word], Field(min_length=1)]
    items: Count
    left_out: Count
    different_gold: DifferentGold
    alike: list[list[Share]]
    both_right: list[list[Share]] = field(default_factory=list)
    alike_if_right: list[list[Share]]
    all_alike: Share
    all_right: Share
    all_alike_if_right: dict[Word, Share]

    def __post_init__(self) -> None:
        """Raise ValueError where there is not a row and a column for each language."""
        for what in ("alike", "alike_if_right", "both_right"):
            # Older files do not say which both get right.
            if rows := getattr(self, what):
                _check_square(rows, side=len(self.languages), what=what, of="languages")
        if not (self.alike and self.alike_if_right):
            raise ValueError("alike and alike_if_right need a row for each language")
