"""Whether one run is better than another, by language and in the mean: paired tests on the same examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from babelfit.comparing.comparisons import (
    SCHEMA,
    Comparison,
    Comparisons,
    LanguageDifference,
    MeanDifference,
    SeedsDifference,
    Side,
)
from babelfit.comparing.scored_runs import Answered, ScoredRun, check_alike, folders, read, read_answers
from babelfit.errors import UserError
from babelfit.scoring.scores import Resamples
from babelfit.statistics.bootstrap import interval, paired
from babelfit.statistics.significance import holm, mcnemar, permutation_p, swapped, verdict
from babelfit.statistics.spread import Spread
from babelfit.statistics.sums import Array, Measure
from babelfit.statistics.welch import welch

NUM_RESAMPLES = 10_000
"""And permutations. More than for intervals: the least p must outlast the correction for many languages."""

MCNEMAR = "McNemar's exact test on the examples that one alone got right"
PERMUTATION = "paired permutation test over {examples} (Yeh 2000)"
WELCH = "Welch's t-test over the seeds (Welch 1947)"
NO_TEST = "none, for {measure} is no sum over examples"


def compare(given: Sequence[str], *, split: str | None) -> Comparisons:
    """Compare the first side with each of the others.

    A side is the folder of a run or an evaluation, or several runs that differ in seed alone: with commas, or a
    sweep's folder. Raise UserError where they are not the same data, split and rows.
    """
    if len(given) < 2:
        raise UserError("give two runs or more: the first is what the others are compared with")
    found = [folders(one) for one in given]
    runs = iter(read([*chain(*found)], split=split))
    sides = [[next(runs) for _ in side] for side in found]
    for side in sides:
        if len(side) > 1:
            check_alike(side)
    places = [folder.resolve() for folder in chain(*found)]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UserError(
                f"{place} is given on two sides: a run compared with itself says nothing; give each run once"
            )
    if len({len(side) == 1 for side in sides}) > 1:
        raise UserError("one side is a single run and another several seeds: give several of both, or one of each")
    scores = sides[0][0].scores
    return Comparisons(
        schema=SCHEMA,
        data=scores.data,
        task=scores.task,
        split=scores.split,
        metric=scores.metric,
        measure=scores.measure,
        synthetic=scores.synthetic,
        comparisons=[
            _compare_sides((given[0], name), (sides[0], side)) for name, side in zip(given[1:], sides[1:], strict=True)
        ],
    )


def _compare_sides(names: tuple[str, str], sides: tuple[Sequence[ScoredRun], Sequence[ScoredRun]]) -> Comparison:
    """Test the second side against the first."""
    runs = [*chain(*sides)]
    languages = [one for one in runs[0].scores.main if all(one in run.scores.main for run in runs)]
    if not languages:
        raise UserError(f"{' and '.join(names)} have no language in common")
    targets = [one for one in languages if all(one not in run.scores.source_languages for run in runs)]
    answered = {language: read_answers(runs, language) for language in languages}
    not_parallel = _not_parallel(runs, answered)
    test = _Test(
        answered=answered,
        num_first=len(sides[0]),
        measure=runs[0].measure,
        examples=runs[0].task.examples_name,
        together=runs[0].is_parallel and not_parallel is None,
    )
    p_values = {language: test.p(language) for language in languages}
    corrected = _corrected(p_values)
    first, second = (_side(name, theirs) for name, theirs in zip(names, sides, strict=True))
    return Comparison(
        first=first,
        second=second,
        test=test.name,
        resamples=Resamples(number=NUM_RESAMPLES, of="items" if test.together else "examples of each language"),
        not_parallel=not_parallel,
        languages=[
            test.language(one, is_target=one in targets, p=p_values[one], p_holm=corrected[one]) for one in languages
        ],
        left_out=sorted({one for run in runs for one in run.scores.main}.difference(languages)),
        target_mean=test.mean(targets) if targets else None,
    )


def _not_parallel(runs: Sequence[ScoredRun], answered: Mapping[str, Sequence[Answered]]) -> str | None:
    """Return why row i is not the same item in every language of data that promise it."""
    try:
        if runs[0].is_parallel:
            for number, run in enumerate(runs):
                run.check_parallel({language: theirs[number] for language, theirs in answered.items()})
    except UserError as error:
        return str(error)
    return None


def _corrected(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Correct the p values of languages for their number."""
    # A test that could not be made is none of those that are corrected for.
    tested = {language: p for language, p in p_values.items() if p is not None}
    return dict.fromkeys(p_values) | dict(zip(tested, holm([*tested.values()]), strict=True))


def _side(name: str, runs: Sequence[ScoredRun]) -> Side:
    return Side(
        name=name,
        runs=[str(run.folder) for run in runs],
        regimes=list(dict.fromkeys(run.regime for run in runs)),
        notes=list(dict.fromkeys(note for run in runs for note in run.notes)),
    )


@dataclass(frozen=True, kw_only=True)
class _Test:
    """What two sides answer to the same examples, and the tests that are made of it."""

    answered: Mapping[str, Sequence[Answered]]  # by language, of each run, those of the first side first
    num_first: int
    measure: Measure
    examples: str  # what they are called
    together: bool  # row i is the same item in every language

    @property
    def is_of_seeds(self) -> bool:
        """Return whether the sides are several runs each, whose spread is tested."""
        return self.num_first > 1

    @property
    def name(self) -> str:
        """Return how the difference in a language is tested."""
        if self.is_of_seeds:
            return WELCH
        if self.measure.is_yes_or_no:
            return MCNEMAR
        if self.measure.of_rows is not None:
            return NO_TEST.format(measure=self.measure.title)
        return PERMUTATION.format(examples=self.examples)

    @cached_property
    def drawn(self) -> dict[str, Array]:
        """Return the difference in each language on resamples, the same for both sides: (resamples,) each.

        A side's score is the mean of its runs.
        """
        counts = {
            (language, run): given.counts
            for language, theirs in self.answered.items()
            for run, given in enumerate(theirs)
        }
        scores = paired(counts, self.measure.of_sums, together=self.together, num_resamples=NUM_RESAMPLES)
        return {
            language: np.mean([scores[language, run] for run in range(self.num_first, len(theirs))], axis=0)
            - np.mean([scores[language, run] for run in range(self.num_first)], axis=0)
            for language, theirs in self.answered.items()
        }

    @cached_property
    def permuted(self) -> dict[str, Array]:
        """Return the difference in each language of two runs whose answers are swapped: (permutations,) each."""
        pairs = {language: (one.counts, other.counts) for language, (one, other) in self.answered.items()}
        return swapped(pairs, self.measure.of_sums, together=self.together, num_permutations=NUM_RESAMPLES)

    def spreads(self, languages: Sequence[str]) -> tuple[Spread, Spread]:
        """Return each side's mean score over some languages, in each of its runs."""
        scores = zip(*([given.score for given in self.answered[one]] for one in languages), strict=True)
        means = [float(np.mean(theirs)) for theirs in scores]
        return Spread(values=means[: self.num_first]), Spread(values=means[self.num_first :])

    def p(self, language: str) -> float | None:
        """Return the p of the difference in a language; None where no test can be made."""
        one, other = self.spreads([language])
        if self.is_of_seeds:
            return self.of_seeds(one, other).p
        if self.measure.is_yes_or_no:
            return mcnemar(*self.right(language))
        return self.permutation_p([language], observed=other.mean - one.mean)

    def permutation_p(self, languages: Sequence[str], *, observed: float) -> float | None:
        """Return the p of the mean difference of two runs over some languages; None where a score is of no sums."""
        if self.measure.of_rows is not None:
            return None
        return permutation_p(np.mean([self.permuted[one] for one in languages], axis=0), observed=observed)

    def right(self, language: str) -> tuple[Array, Array]:
        """Return which examples each of two runs got right: (examples,) each."""
        one, other = (given.counts.rows[:, 0] > 0 for given in self.answered[language])
        return one, other

    def of_seeds(self, one: Spread, other: Spread) -> SeedsDifference:
        """Return how the runs of each side spread, and what that says of the difference."""
        assert one.sd is not None
        assert other.sd is not None
        tested = welch(other, one)
        return SeedsDifference(
            first_sd=one.sd,
            second_sd=other.sd,
            p=None if tested is None else tested[0],
            interval=None if tested is None else list(tested[1]),
        )

    def language(self, language: str, *, is_target: bool, p: float | None, p_holm: float | None) -> LanguageDifference:
        """Return what both sides score in a language, and what that amounts to."""
        one, other = self.spreads([language])
        difference = other.mean - one.mean
        only: tuple[int | None, int | None] = (None, None)
        if self.measure.is_yes_or_no and not self.is_of_seeds:
            first, second = self.right(language)
            only = int(np.sum(first & ~second)), int(np.sum(second & ~first))
        return LanguageDifference(
            language=language,
            is_target=is_target,
            first=one.mean,
            second=other.mean,
            difference=difference,
            interval=interval(self.drawn[language]),
            only_first_right=only[0],
            only_second_right=only[1],
            p=p,
            p_holm=p_holm,
            verdict=verdict(difference, p=p_holm),
        )

    def mean(self, targets: Sequence[str]) -> MeanDifference:
        """Return what both sides score in the mean over the target languages, and what that amounts to."""
        one, other = self.spreads(targets)
        difference = other.mean - one.mean
        seeds = self.of_seeds(one, other) if self.is_of_seeds else None
        p = self.permutation_p(targets, observed=difference) if seeds is None else seeds.p
        return MeanDifference(
            languages=list(targets),
            first=one.mean,
            second=other.mean,
            difference=difference,
            interval=interval(np.mean([self.drawn[one] for one in targets], axis=0)),
            seeds=seeds,
            p=p,
            verdict=verdict(difference, p=p),
        )
