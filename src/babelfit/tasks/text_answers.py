"""Answers as other people's files have them: as text. Knows no task and no format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROBABILITY = "probability"
"""Names the probability of what is predicted, where those of all labels are not given."""


@dataclass(frozen=True, kw_only=True)
class TextAnswer:
    """What is said of one example: one answer, or one a word."""

    where: str = ""  # file and line, for messages
    index: int | None  # of the row; None: by place
    gold: Sequence[str] | None  # (answers,)
    predicted: Sequence[str]  # (answers,)
    probabilities: Sequence[Mapping[str, float]] = ()  # (answers,): by label, or one by PROBABILITY; none: not known
