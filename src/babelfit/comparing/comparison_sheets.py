"""Comparisons as tables, one a pair of sides. Computes nothing."""

from babelfit.comparing.comparisons import Comparison, Comparisons, LanguageDifference, MeanDifference, Side
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports.sheets import Sheet
from babelfit.statistics.significance import LEVEL
from babelfit.statistics.sums import Unit


def sheets(compared: Comparisons) -> list[Sheet]:
    """Lay out comparisons, a table a pair, in the unit of the measure."""
    return [_sheet(one, of=compared) for one in compared.comparisons]


def _sheet(one: Comparison, *, of: Comparisons) -> Sheet:
    unit, mean = of.measure.how, one.target_mean
    rows = [
        _cells(f"{row.language} {LANGUAGE_NAMES.get(row.language, '')}".strip(), row, p_holm=_p(row.p_holm), unit=unit)
        for row in one.languages
    ]
    num_tested = sum(row.p is not None for row in one.languages)
    counted_in = f"in {unit.of_differences}, " if unit.of_differences else ""
    after = [
        f"p: {one.test}; Holm: corrected for {num_tested} languages (Holm 1979).",
        f"verdict: the second is better or worse than the first where the corrected p is below {LEVEL}.",
    ]
    if any(row.interval is not None for row in one.languages):
        number, items = f"{one.resamples.number:,}", one.resamples.of
        after.append(
            f"difference: {counted_in}with the 95 % interval of a paired bootstrap of {number} resamples of {items}."
        )
    if mean is not None:
        rows.append(_cells("target mean", mean, p_holm="", unit=unit))
        after += _mean_lines(mean, of=one.resamples.of, unit=unit)
    else:
        after.append("No target mean: every language was trained on by one of them.")
    if one.not_parallel is not None:
        after.append(f"Languages are resampled each for itself: {one.not_parallel}.")
    if one.left_out:
        after.append(f"Left out, for not all have them: {', '.join(one.left_out)}.")
    synthetic = " (synthetic sample)" if of.synthetic else ""
    return Sheet(
        title=f"{of.data}{synthetic}, {of.split}: {of.measure.with_unit}",
        before=[
            f"{place}: {line}"
            for place, side in (("first", one.first), ("second", one.second))
            for line in (_named(side), *side.notes)
        ],
        columns=("language", "first", "second", "difference", "p", "Holm", "verdict"),
        rows=rows,
        after=after,
        bold={len(rows) - 1} if mean is not None else (),
    )


def _named(side: Side) -> str:
    count = len(side.runs)
    return f"{side.name}, the mean of {count} seeds" if count > 1 else side.name


def _mean_lines(mean: MeanDifference, *, of: str, unit: Unit) -> list[str]:
    lines = [f"target mean: over {', '.join(mean.languages)}."]
    if mean.seeds is None:
        test = "none" if mean.p is None else f"paired permutation test over {of}"
        return [*lines, f"p of the target mean: {test}. One run each: another seed might say otherwise."]
    seeds = mean.seeds
    first, second = (_deviation(sd, unit=unit) for sd in (seeds.first_sd, seeds.second_sd))
    spread = f"standard deviations over seeds {first} and {second} {unit.of_differences}".rstrip()
    if seeds.interval is not None:
        low, high = map(unit.difference, seeds.interval)
        spread += f"; 95 % interval of the difference over seeds {low} to {high}"
    return [*lines, f"p of the target mean: Welch's t-test on the seeds' means; {spread}."]


def _cells(name: str, row: LanguageDifference | MeanDifference, *, p_holm: str, unit: Unit) -> list[str]:
    difference = unit.difference(row.difference)
    if row.interval is not None:
        low, high = map(unit.difference, row.interval)
        difference += f" ({low} to {high})"
    return [name, unit.text(row.first), unit.text(row.second), difference, _p(row.p), p_holm, row.verdict]


def _deviation(sd: float, *, unit: Unit) -> str:
    """Write a standard deviation, with a decimal more than a score."""
    return f"{unit.scale * sd:.{unit.decimals + 1}f}"


def _p(p: float | None) -> str:
    if p is None:
        return "none"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
