"""How one number spreads over several runs of the same settings."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One number over several seeds: fractions of 1, in the order of the runs."""

    values: list[float]

    @property
    def count(self) -> int:
        """Return the number of values."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Return the mean."""
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Return the sample standard deviation (n - 1), which one value does not have."""
        return statistics.stdev(self.values) if self.count > 1 else None

    @property
    def low(self) -> float:
        """Return the least value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Return the greatest value."""
        return max(self.values)
