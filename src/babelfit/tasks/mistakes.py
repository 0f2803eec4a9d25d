"""What is shown of a wrong prediction, whatever the task."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MistakeWords:
    """What the wrong predictions of a task are called."""

    wrong: str = "wrong"
    first: str = "the surest first"  # in which order they stand
    extent: str = "sure"  # the column of what they are in order of


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a tagged sentence; `predicted` is None where it is right, and `gold` empty where that is no news."""

    text: str
    gold: str
    predicted: str | None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A prediction in words; `gold` and `predicted` are empty where the words of a sentence say them."""

    extent: str = ""  # how sure it is, or how far off; empty where that is not known
    gold: str = ""
    predicted: str = ""
    words: Sequence[Word] = ()
