"""What a file of scores says of each measure, so that its readers need not know the task."""

from dataclasses import dataclass
from typing import Literal

from babelfit.statistics.sums import UNITS, Measure, Shown, Unit


@dataclass(frozen=True, kw_only=True)
class MeasureFacts:
    """What a reader must know of a measure: the first of a file selects checkpoints and measures transfer."""

    key: str
    title: str
    unit: Literal["percent", "plain", "perplexity"]
    better: Literal["higher", "lower"]
    shown: Shown = "everywhere"

    @classmethod
    def of(cls, measure: Measure) -> "MeasureFacts":
        """Return the facts of a measure."""
        return cls(
            key=measure.key,
            title=measure.title,
            unit=measure.unit.name,  # type: ignore[arg-type]
            better=measure.better,
            shown=measure.shown,
        )

    @property
    def with_unit(self) -> str:
        """Return its title, and in what it is written where that is said: accuracy in percent."""
        return f"{self.title} {self.how.title}".rstrip()

    @property
    def how(self) -> Unit:
        """Return how it is written."""
        return UNITS[self.unit]
