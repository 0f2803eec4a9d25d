"""Bars beside the scores of a table: from 0 to 100 where these are in percent, else as far as they reach."""

from dataclasses import dataclass
from typing import Self

from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import LanguageScores, Scores
from babelfit.statistics.sums import PERCENT


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Where a bar and its interval stand, in hundredths of the width of all."""

    start: float
    length: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Bars:
    """The scale of a table's bars: which scores are at its ends."""

    measure: MeasureFacts
    low: float
    high: float

    @classmethod
    def of(cls, scores: Scores) -> Self:
        """Return the scale of the measure that a table begins with."""
        measure = scores.headline
        if measure.how is PERCENT:
            return cls(measure=measure, low=0.0, high=1.0)
        ends = [0.0]
        for values in scores.languages.values():
            ends += [values.values[measure.key], *(values.interval or ())]
        return cls(measure=measure, low=min(ends), high=max(ends))

    @property
    def caption(self) -> str:
        """Return what the bars show."""
        if self.measure.how is PERCENT:
            return f"In percent; the bar shows {self.measure.title} from 0 to 100"
        low, high = (self.measure.how.text(end) for end in (self.low, self.high))
        return f"The bar shows {self.measure.title} from {low} to {high}"

    def of_language(self, values: LanguageScores) -> Bar:
        """Return the bar of a language's score, which begins at 0."""
        score, interval = values.values[self.measure.key], values.interval
        start = self._place(min(0.0, score))
        return Bar(
            start=start,
            length=self._place(max(0.0, score)) - start,
            interval=None if interval is None else (self._place(interval[0]), self._place(interval[1])),
        )

    def _place(self, score: float) -> float:
        return 100 * (score - self.low) / ((self.high - self.low) or 1)
