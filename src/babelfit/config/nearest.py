"""What a user may have meant by a name that is unknown."""

from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another, None where none is; keys are alike if their last parts are."""

    def alike(other: str) -> float:
        whole = SequenceMatcher(None, name, other).ratio()
        last = SequenceMatcher(None, name.rpartition(".")[2], other.rpartition(".")[2]).ratio()
        # In the right place before the right name elsewhere.
        return max(whole, 0.9 * last)

    best = max(known, key=alike, default=None)
    return best if best is not None and alike(best) >= CLOSE else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question to follow an unknown name, with a known one that is like it; "" where there is none."""
    best = nearest(name, known)
    return "" if best is None else f"; did you mean {best}?"
