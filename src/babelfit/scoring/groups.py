"""Scores of the target languages by what the languages have in common. Reads scores, no predictions."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

from babelfit.languages.facts import LANGUAGES, Language
from babelfit.scoring.scores import Group, Groups, SizeCorrelation
from babelfit.statistics.bootstrap import interval
from babelfit.statistics.sums import Array

SIZES: dict[str, float] = {"over 100 GiB": 100, "10 to 100 GiB": 10, "1 to 10 GiB": 1, "under 1 GiB": 0}
"""Groups by size in the pretraining corpus, and the least that each begins with."""

NOT_IN_IT, UNKNOWN = "not in it", "size not known"
OTHER = "no facts"
"""Of a language that languages.tsv does not have."""

LEAST_LANGUAGES = 5
"""A rank correlation of fewer says nothing."""


def groups(
    scores: Mapping[str, float],
    *,
    resampled: Mapping[str, Array],
    source_languages: Sequence[str],
    source: float | None,
) -> Groups:
    """Average the scores of the target languages by family, by script and by size in XLM-R's pretraining corpus.

    `resampled` are the scores of each language's resamples, from which a mean has its `interval`. `source` is the mean
    over the source languages, which `gap` is the distance to. The correlation is Spearman's, of
    score and size, over the target languages whose size is known and not 0; None for fewer than five.
    """
    targets = {language: score for language, score in scores.items() if language not in source_languages}

    def grouped(of: Callable[[Language], str], order: Sequence[str] = ()) -> dict[str, Group]:
        members: dict[str, list[str]] = {}
        for language in targets:
            facts = LANGUAGES.get(language)
            members.setdefault(OTHER if facts is None else of(facts), []).append(language)
        names = [name for name in order if name in members] or sorted(members)
        names += [name for name in members if name not in names]
        means = {name: sum(targets[one] for one in members[name]) / len(members[name]) for name in names}
        return {
            name: Group(
                languages=members[name],
                mean=means[name],
                interval=interval(np.mean([resampled[one] for one in members[name]], axis=0)),
                gap=None if source is None else source - means[name],
            )
            for name in names
        }

    return Groups(
        family=grouped(lambda facts: facts.family),
        script=grouped(lambda facts: facts.script),
        pretraining=grouped(size_group, [*SIZES, NOT_IN_IT, UNKNOWN]),
        size_correlation=_size_correlation(targets),
    )


def size_group(facts: Language) -> str:
    """Return the group of a language by its size in the pretraining corpus."""
    if facts.pretraining_gib is None:
        return UNKNOWN
    if facts.pretraining_gib == 0:
        return NOT_IN_IT
    return next(name for name, least in SIZES.items() if facts.pretraining_gib >= least)


def _size_correlation(targets: Mapping[str, float]) -> SizeCorrelation | None:
    sizes = {one: LANGUAGES[one].pretraining_gib for one in targets if one in LANGUAGES}
    known = [language for language, size in sizes.items() if size]
    points = [(math.log(sizes[language] or 1), targets[language]) for language in known]
    # Of equal numbers there are no ranks.
    if len(known) < LEAST_LANGUAGES or any(len(set(values)) == 1 for values in zip(*points, strict=True)):
        return None
    found = spearmanr(points)
    return SizeCorrelation(spearman=float(found.statistic), p=float(found.pvalue), languages=len(known))
