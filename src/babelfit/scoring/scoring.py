"""From prediction files to scores: needs neither a GPU nor the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from babelfit.devices import preemption
from babelfit.errors import UserError
from babelfit.files import documents
from babelfit.predictions import prediction_files
from babelfit.rows.read import RowsRead
from babelfit.scoring.consistency import align, consistency
from babelfit.scoring.groups import groups
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import (
    SCHEMA,
    Contaminated,
    FewShotNote,
    LanguageScores,
    Resamples,
    Scores,
    Transfer,
)
from babelfit.scoring.tables import Consistency
from babelfit.statistics import bootstrap
from babelfit.statistics.sums import Array, Counts, Measure
from babelfit.tasks.task import Answers, Task
from babelfit.transfer.numbers import transfer_numbers


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """What is known of the predictions of one split, besides what stands in their files."""

    data: str
    split: str
    task: Task
    is_parallel: bool  # row i is the same item in every language
    source_languages: Sequence[str]
    read: Mapping[str, RowsRead] = field(default_factory=dict)  # what is known of the rows of each language
    synthetic: bool = False
    contaminated: Contaminated | None = None
    regime: str | None = None
    few_shot: FewShotNote | None = None
    vocabulary: str | None = None  # which ids masked tokens are guessed from, in words


def score(folder: Path, facts: SplitFacts) -> Scores:
    """Score every language of a split that has predictions in a run folder, source languages first.

    A language without any gold is named as unscored. Where row i is the same item in every language, items are
    resampled for the intervals of all languages together, and compared; where it is not so after all, the scores say
    why. Raise UserError for damaged prediction files.
    """
    task = facts.task
    answers = {language: _answers(folder, facts, language) for language in _ordered(folder, facts)}
    unlabelled = {language: int((~theirs.has_gold).sum()) for language, theirs in answers.items()}
    given = {
        language: theirs.with_gold()
        for language, theirs in answers.items()
        if unlabelled[language] < len(theirs.indices)
    }
    together, found_alike, not_parallel = _compare_items(given, answers, facts)
    counts = {language: _count(theirs, folder, facts, language) for language, theirs in given.items()}
    resampled = resample(counts, task=task, together=together)
    languages = {
        language: _score_language(
            counts[language],
            task.details(theirs),
            language=language,
            measures=task.measures,
            interval=transform(bootstrap.interval(resampled[language]), task.headline),
            unlabelled=unlabelled[language],
        )
        for language, theirs in given.items()
    }
    main = {language: scores.values[task.selecting.key] for language, scores in languages.items()}
    transfer = _transfer(main, resampled, source_languages=facts.source_languages) if task.compares_languages else None
    return Scores(
        schema=SCHEMA,
        data=facts.data,
        task=task.name,
        labels=list(task.labels),
        parallel=facts.is_parallel,
        measures=[MeasureFacts.of(measure) for measure in task.measures],
        synthetic=facts.synthetic,
        contaminated=facts.contaminated,
        regime=facts.regime,
        few_shot=facts.few_shot,
        few_shot_unit=task.few_shot,
        examples_name=task.examples_name,
        split=facts.split,
        metric=task.selecting.key,
        source_languages=list(facts.source_languages),
        vocabulary=facts.vocabulary,
        languages=languages,
        unscored_languages=[language for language in answers if language not in given],
        transfer=transfer,
        resamples=Resamples(number=bootstrap.NUM_RESAMPLES, of="items" if together else "examples of each language"),
        groups=None
        if transfer is None
        else groups(main, resampled=resampled, source_languages=facts.source_languages, source=transfer.source),
        consistency=found_alike,
        not_parallel=not_parallel,
    )


def _ordered(folder: Path, facts: SplitFacts) -> list[str]:
    """Return the languages that have predictions, source languages first."""
    found = prediction_files.languages(folder, split=facts.split)
    sources = [one for one in facts.source_languages if one in found]
    return [*sources, *(one for one in found if one not in sources)]


def _answers(folder: Path, facts: SplitFacts, language: str) -> Answers:
    """Return what a language's prediction file says."""
    preemption.answer()
    rows = facts.read.get(language, RowsRead(files=[]))
    return facts.task.read(
        prediction_files.read_split(folder, facts.task, split=facts.split, language=language, rows=rows)
    )


def _count(answers: Answers, folder: Path, facts: SplitFacts, language: str) -> Counts:
    """Return what each example adds; raise UserError where nothing can be scored."""
    preemption.answer()
    task = facts.task
    counts = task.counts(answers)
    if not len(counts.indices):
        file = prediction_files.path(folder, split=facts.split, language=language)
        raise UserError(f"{file}: none of its {task.target} could be guessed, so there is no {task.headline.title}")
    return counts


def _compare_items(
    given: Mapping[str, Any], answers: Mapping[str, Answers], facts: SplitFacts
) -> tuple[bool, Consistency | None, str | None]:
    """Compare the same items in all languages, where there are such.

    Returns whether items are the same, how consistent the answers are, and why items are not the same after all.
    """
    if not (facts.is_parallel and facts.task.has_one_answer and len(given) > 1):
        return False, None, None
    rows = {language: answers[language].indices for language in given}
    try:
        items = align(given, rows=rows, read=facts.read)
    except UserError as error:
        # The scores of each language stand; those that compare rows do not.
        return False, None, str(error)
    if not facts.task.labels:
        return True, None, None
    return True, consistency(given, items=items, rows=rows, source_languages=facts.source_languages), None


def _score_language(
    counts: Counts,
    details: Mapping[str, Any],
    *,
    language: str,
    measures: Sequence[Measure],
    interval: list[float] | None,
    unlabelled: int,
) -> LanguageScores:
    values = {measure.key: measure.score(counts.rows) for measure in measures}
    try:
        known = documents.parsed(LanguageScores, {**details, "values": values, "interval": interval}, where="details")
    except ValueError as error:
        raise UserError(
            f"the predictions in {language} have no score that is a number ({error}): the model diverged, or they are "
            "damaged; delete them, and evaluating again predicts anew"
        ) from error
    return replace(known, unlabelled=unlabelled) if unlabelled else known


def resample(counts: Mapping[str, Counts], *, task: Task, together: bool) -> dict[str, Array]:
    """Score resamples of each language in the headline measure, before its transformation: (resamples,) each."""
    measure = task.headline
    mine = {language: theirs.of(measure) for language, theirs in counts.items()}
    if task.compares_languages:
        return bootstrap.resampled(mine, measure.of_sums, together=together)
    # Each from the same seed: what a language's interval is does not depend on which others are scored.
    found: dict[str, Array] = {}
    for language, theirs in mine.items():
        found |= bootstrap.resampled({language: theirs}, measure.of_sums, together=False)
    return found


def transform(interval: list[float] | None, measure: Measure) -> list[float] | None:
    """Return an interval on the scale on which a measure is written."""
    return None if interval is None else [float(measure.transform(end)) for end in interval]


def _transfer(
    main: Mapping[str, float], resampled: Mapping[str, Array], *, source_languages: Sequence[str]
) -> Transfer:
    numbers = transfer_numbers(main, source_languages=source_languages)
    intervals = bootstrap.transfer_intervals(resampled, source_languages=source_languages)
    return documents.parsed(Transfer, {**numbers, "intervals": intervals}, where="transfer")
