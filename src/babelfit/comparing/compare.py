"""Whether one run is better than another, by language and in the mean: paired tests on the same examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from babelfit.comparing.scored_runs import ScoredRun, answered, check_alike, folders, read
from babelfit.errors import UserError
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports.sheets import Sheet
from babelfit.reports.words import SHOWN, percent
from babelfit.scoring.answers import Answers
from babelfit.statistics.bootstrap import Array, Parts, interval, paired
from babelfit.statistics.significance import LEVEL, holm, mcnemar, permutation_p, swapped, verdict
from babelfit.statistics.spread import Spread
from babelfit.statistics.welch import welch

SCHEMA = 1
NUM_RESAMPLES = 10_000
"""And permutations. More than for intervals: the least p must outlast the correction for many languages."""

MCNEMAR = "McNemar's exact test on the examples that one alone got right"
PERMUTATION = "paired permutation test over sentences (Yeh 2000)"
WELCH = "Welch's t-test over the seeds (Welch 1947)"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of what is compared: a run, or runs that differ in seed alone."""

    name: str
    runs: Sequence[ScoredRun]

    def described(self) -> dict[str, Any]:
        """Say which runs it is, and what a reader of their scores must know."""
        return {
            "name": self.name,
            "runs": [str(run.folder) for run in self.runs],
            "regimes": list(dict.fromkeys(run.regime for run in self.runs)),
            "notes": list(dict.fromkeys(note for run in self.runs for note in run.notes)),
        }


def compare(given: Sequence[str], *, split: str | None) -> dict[str, Any]:
    """Compare the first side with each of the others; returns plain values, scores and differences as fractions of 1.

    A side is the folder of a run or an evaluation, or several runs that differ in seed alone: with commas, or a
    sweep's folder. Raises UserError where they are not the same data, split and rows.
    """
    if len(given) < 2:
        raise UserError("give two runs or more: the first is what the others are compared with")
    found = [folders(one) for one in given]
    runs = iter(read([folder for side in found for folder in side], split=split))
    sides = [Side(name=name, runs=[next(runs) for _ in side]) for name, side in zip(given, found, strict=True)]
    for side in sides:
        if len(side.runs) > 1:
            check_alike(side.runs)
    places = [folder.resolve() for side in found for folder in side]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UserError(f"{place} stands on two sides: a run compared with itself says nothing; give each run once")
    if len({len(side.runs) == 1 for side in sides}) > 1:
        raise UserError("one side is a single run and another several seeds: give several of both, or one of each")
    first = sides[0].runs[0]
    return {
        "schema": SCHEMA,
        "data": first.scores["data"],
        "split": first.scores["split"],
        "metric": first.scores["metric"],
        "synthetic": bool(first.scores.get("synthetic")),
        "comparisons": [_compared(sides[0], other) for other in sides[1:]],
    }


def _compared(first: Side, second: Side) -> dict[str, Any]:
    """Test the second side against the first."""
    runs = [*first.runs, *second.runs]
    languages = [one for one in runs[0].main if all(one in run.main for run in runs)]
    if not languages:
        raise UserError(f"{first.name} and {second.name} have no language in common")
    targets = [one for one in languages if all(one not in run.sources for run in runs)]
    given = {language: answered(runs, language) for language in languages}
    scores = [{language: given[language][run][1].score for language in languages} for run in range(len(runs))]
    sides = scores[: len(first.runs)], scores[len(first.runs) :]
    not_parallel = _not_parallel(runs, given)
    together = runs[0].data.is_parallel and not_parallel is None
    drawn = _differences(given, first=len(first.runs), together=together)
    is_single = len(runs) == 2
    permuted = _permuted(given, together=together) if is_single else {}
    is_tagging = runs[0].data.head == "token_classification"
    rows = []
    for language in languages:
        one, other = _spreads(sides, [language])
        row = {"language": language, "is_target": language in targets, **_row(one, other, drawn[language])}
        if not is_single:
            row["p"] = _seeds(one, other)["p"]
        elif is_tagging:
            row["p"] = permutation_p(permuted[language], observed=row["difference"])
        else:
            right = [np.asarray(answers.predicted == answers.gold) for answers, _ in given[language]]
            row["only_first_right"] = int(np.sum(right[0] & ~right[1]))
            row["only_second_right"] = int(np.sum(right[1] & ~right[0]))
            row["p"] = mcnemar(*right)
        rows.append(row)
    # A test that could not be made is none of those that are corrected for.
    tested = [row for row in rows if row["p"] is not None]
    for row, corrected in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = corrected
    for row in rows:
        row["verdict"] = verdict(row["difference"], p=row.setdefault("p_holm", None))
    return {
        "first": first.described(),
        "second": second.described(),
        "test": WELCH if not is_single else PERMUTATION if is_tagging else MCNEMAR,
        "resamples": {"number": NUM_RESAMPLES, "of": "items" if together else "examples of each language"},
        **({} if not_parallel is None else {"not_parallel": not_parallel}),
        "languages": rows,
        "left_out": sorted({one for run in runs for one in run.main}.difference(languages)),
        "target_mean": _mean_row(*_spreads(sides, targets), targets, drawn, permuted) if targets else None,
    }


def _not_parallel(runs: Sequence[ScoredRun], given: Mapping[str, Sequence[tuple[Answers, Parts]]]) -> str | None:
    """Say why row i is not the same item in every language of data that promise it."""
    try:
        if runs[0].data.is_parallel:
            for number, run in enumerate(runs):
                run.check_parallel({language: pairs[number][0] for language, pairs in given.items()})
    except UserError as error:
        return str(error)
    return None


def _spreads(
    sides: tuple[Sequence[Mapping[str, float]], Sequence[Mapping[str, float]]], languages: Sequence[str]
) -> tuple[Spread, Spread]:
    """Return each side's mean score over some languages, in each of its runs."""
    first, second = (
        Spread(values=[float(np.mean([scores[one] for one in languages])) for scores in side]) for side in sides
    )
    return first, second


def _differences(
    given: Mapping[str, Sequence[tuple[Answers, Parts]]], *, first: int, together: bool
) -> dict[str, Array]:
    """Resample the difference of the sides in each language, both on the same examples: (resamples,) each.

    A side's score is the mean of its runs; the first so many runs are the first side.
    """
    sets = {(language, run): part for language, pairs in given.items() for run, (_, part) in enumerate(pairs)}
    drawn = paired(sets, together=together, num_resamples=NUM_RESAMPLES)
    return {
        language: np.mean([drawn[language, run] for run in range(first, len(pairs))], axis=0)
        - np.mean([drawn[language, run] for run in range(first)], axis=0)
        for language, pairs in given.items()
    }


def _permuted(given: Mapping[str, Sequence[tuple[Answers, Parts]]], *, together: bool) -> dict[str, Array]:
    """Return the differences in each language of two runs whose answers are swapped: (permutations,) each."""
    pairs = {language: (one, other) for language, ((_, one), (_, other)) in given.items()}
    return swapped(pairs, together=together, num_permutations=NUM_RESAMPLES)


def _row(one: Spread, other: Spread, drawn: Array) -> dict[str, Any]:
    return {
        "first": one.mean,
        "second": other.mean,
        "difference": other.mean - one.mean,
        "interval": interval(drawn),
    }


def _seeds(one: Spread, other: Spread) -> dict[str, Any]:
    """Say how the runs of each side spread, and what that says of the difference."""
    tested = welch(other, one)
    return {
        "first_sd": one.sd,
        "second_sd": other.sd,
        "p": None if tested is None else tested.p,
        "interval": None if tested is None else list(tested.interval),
    }


def _mean_row(
    one: Spread, other: Spread, targets: Sequence[str], drawn: Mapping[str, Array], permuted: Mapping[str, Array]
) -> dict[str, Any]:
    differences = np.mean([drawn[language] for language in targets], axis=0)
    row = {"languages": list(targets), **_row(one, other, differences)}
    if one.count > 1:
        row["seeds"] = _seeds(one, other)
        p = row["seeds"]["p"]
    else:
        means = np.mean([permuted[language] for language in targets], axis=0)
        p = permutation_p(means, observed=row["difference"])
    return row | {"p": p, "verdict": verdict(row["difference"], p=p)}


def sheets(compared: Mapping[str, Any]) -> list[Sheet]:
    """Lay out a comparison, a table a pair, in percent and points."""
    return [_sheet(one, of=compared) for one in compared["comparisons"]]


def _sheet(one: Mapping[str, Any], *, of: Mapping[str, Any]) -> Sheet:
    metric = SHOWN[of["metric"]][of["metric"]]
    rows = [
        _cells(f"{row['language']} {LANGUAGE_NAMES.get(row['language'], '')}".strip(), row) for row in one["languages"]
    ]
    mean = one["target_mean"]
    num_tested = sum(row["p"] is not None for row in one["languages"])
    after = [
        f"p: {one['test']}; Holm: corrected for {num_tested} languages (Holm 1979).",
        f"verdict: the second is better or worse than the first where the corrected p is below {LEVEL}.",
        "difference: in points, with the 95 % interval of a paired bootstrap of "
        f"{one['resamples']['number']:,} resamples of {one['resamples']['of']}.",
    ]
    if mean is not None:
        rows.append(_cells("target mean", mean))
        after += _mean_lines(mean, of=one["resamples"]["of"])
    else:
        after.append("No target mean: every language was trained on by one of them.")
    if "not_parallel" in one:
        after.append(f"Languages are resampled each for itself: {one['not_parallel']}.")
    if one["left_out"]:
        after.append(f"Left out, for not all have them: {', '.join(one['left_out'])}.")
    synthetic = " (synthetic sample)" if of["synthetic"] else ""
    return Sheet(
        title=f"{of['data']}{synthetic}, {of['split']}: {metric} in percent",
        before=[
            f"{place}: {line}" for place in ("first", "second") for line in (_named(one[place]), *one[place]["notes"])
        ],
        columns=("language", "first", "second", "difference", "p", "Holm", "verdict"),
        rows=rows,
        after=after,
        bold={len(rows) - 1} if mean is not None else (),
    )


def _named(side: Mapping[str, Any]) -> str:
    count = len(side["runs"])
    return f"{side['name']}, the mean of {count} seeds" if count > 1 else str(side["name"])


def _mean_lines(mean: Mapping[str, Any], *, of: str) -> list[str]:
    lines = [f"target mean: over {', '.join(mean['languages'])}."]
    if "seeds" not in mean:
        return [
            *lines,
            f"p of the target mean: paired permutation test over {of}. One run each: another seed might say otherwise.",
        ]
    seeds = mean["seeds"]
    spread = f"standard deviations over seeds {_points(seeds['first_sd'])} and {_points(seeds['second_sd'])} points"
    if seeds["interval"] is not None:
        low, high = (f"{100 * bound:+.1f}" for bound in seeds["interval"])
        spread += f"; 95 % interval of the difference over seeds {low} to {high}"
    return [*lines, f"p of the target mean: Welch's t-test on the seeds' means; {spread}."]


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    low, high = (f"{100 * bound:+.1f}" for bound in row["interval"])
    return [
        name,
        percent(row["first"]),
        percent(row["second"]),
        f"{100 * row['difference']:+.1f} ({low} to {high})",
        _p(row["p"]),
        _p(row.get("p_holm")) if "p_holm" in row else "",
        row["verdict"],
    ]


def _p(p: float | None) -> str:
    if p is None:
        return "none"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
