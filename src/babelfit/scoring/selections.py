"""What other ways of selecting the checkpoint would have scored: by dev scores of target languages, or by none.

`source_dev` alone is zero-shot: it asks for no label in a target language. `mean_dev` asks for labels in all languages,
`oracle` takes for each language the checkpoint that is best on its own dev rows, which no single model need be (Keung
et al. 2020 show how far the two lie apart), `last` asks for none at all, and `average` is the plain mean of the last
checkpoints' weights. How much more than `source_dev` each scores is the price of honest selection.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from babelfit.checkpoints.rankings import LAST, MEAN_DEV, SOURCE_DEV, Rankings, by_language
from babelfit.errors import UserError
from babelfit.files import atomic_files, documents
from babelfit.files.documents import Count, Number, Word
from babelfit.files.untrusted_files import inside
from babelfit.predictions import prediction_files
from babelfit.run import manifest
from babelfit.scoring import schema_1
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Contaminated, Interval, Resamples, Scores, Transfer
from babelfit.statistics import bootstrap
from babelfit.statistics.bootstrap import interval
from babelfit.statistics.sums import Array, Counts, sums
from babelfit.tasks.task import Task
from babelfit.transfer.numbers import transfer_numbers

FILE = "selections.json"
FOLDER = "selections"
SCHEMA = 2
ORACLE, AVERAGE = "oracle", "average"


@dataclass(frozen=True, kw_only=True)
class Price:
    """How much more than `source_dev` a selection scores in the mean of the target languages."""

    target_mean: Number
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What one way of selecting chose, by language, and what that scores."""

    by: str
    steps: dict[Word, list[Count]]
    languages: dict[Word, Number]
    transfer: Transfer
    price: Price | None


@dataclass(frozen=True, kw_only=True)
class Selections:
    """selections.json: what each way of selecting scores on one split."""

    schema: int
    data: str
    synthetic: bool = False
    regime: str | None = None
    contaminated: Contaminated | None = None
    split: Word
    metric: str
    measure: MeasureFacts
    selections: list[Selection]
    resamples: Resamples | None = None


Steps = tuple[int, ...]
"""Of the checkpoints whose mean a model is: of one, that itself."""


def is_done(folder: Path) -> bool:
    """Return whether the selections of a run are compared."""
    return (folder / FILE).is_file()


def choices(rankings: Rankings, *, languages: Sequence[str], averages: bool) -> dict[str, dict[str, Steps]]:
    """Return the checkpoints that each selection predicts each language with."""
    best: dict[str, Steps] = {name: (rankings[name][0].step,) for name in (SOURCE_DEV, MEAN_DEV, LAST)}
    last = tuple(sorted(one.step for one in rankings[LAST]))
    own = by_language(rankings)
    chosen: dict[str, dict[str, Steps]] = {
        SOURCE_DEV: dict.fromkeys(languages, best[SOURCE_DEV]),
        MEAN_DEV: dict.fromkeys(languages, best[MEAN_DEV]),
        ORACLE: {language: (own[language],) for language in languages},
        LAST: dict.fromkeys(languages, best[LAST]),
    }
    return chosen | ({AVERAGE: dict.fromkeys(languages, last)} if averages else {})


def folder_of(steps: Steps, *, run: Path) -> Path:
    """Return the folder, within that of a run, of the predictions of a model other than the run's own."""
    return inside(run, FOLDER, f"{'mean-of-' if len(steps) > 1 else ''}step-{'-'.join(map(str, steps))}")


def steps_in_words(steps: Steps) -> str:
    """Return a name for a model: the steps of its checkpoints."""
    return f"mean of steps {', '.join(map(str, steps))}" if len(steps) > 1 else f"step {steps[0]}"


def compare(
    folder: Path,
    *,
    task: Task,
    own: Scores,
    chosen: Mapping[str, Mapping[str, Steps]],
) -> Selections:
    """Score each selection from prediction files alone; those of `source_dev` are the run's `own`."""
    counts: dict[tuple[str, str], Counts] = {
        (language, by): _counts(
            folder if steps == chosen[SOURCE_DEV][language] else folder_of(steps, run=folder),
            run=folder,
            task=task,
            split=own.split,
            language=language,
        )
        for by, of_language in chosen.items()
        for language, steps in of_language.items()
        if language in own.languages
    }
    together = own.parallel and own.not_parallel is None
    drawn = bootstrap.paired(counts, task.selecting.of_sums, together=together)
    scored = {key: float(task.selecting.of_sums(sums(one.rows))) for key, one in counts.items()}
    return Selections(
        schema=SCHEMA,
        data=own.data,
        synthetic=own.synthetic,
        regime=own.regime,
        contaminated=own.contaminated,
        split=own.split,
        metric=own.metric,
        measure=own.measure,
        selections=[
            _selection(by, steps=steps, scored=scored, drawn=drawn, source_languages=own.source_languages)
            for by, steps in chosen.items()
        ],
        resamples=Resamples(number=bootstrap.NUM_RESAMPLES, of="items" if together else "examples of each language"),
    )


def _counts(folder: Path, *, run: Path, task: Task, split: str, language: str) -> Counts:
    """Read what a model answered in a language, and what it adds to the selecting measure."""
    rows = manifest.read(run).of(split, language)
    records = prediction_files.read_split(folder, task, split=split, language=language, rows=rows)
    return task.counts(task.read(records).with_gold()).of(task.selecting)


def _selection(
    by: str,
    *,
    steps: Mapping[str, Steps],
    scored: Mapping[tuple[str, str], float],
    drawn: Mapping[tuple[str, str], Array],
    source_languages: Sequence[str],
) -> Selection:
    """Return what one selection scores, and how much more than `source_dev` in the mean of the targets."""
    scores = {language: scored[language, by] for language in steps if (language, by) in scored}
    targets = [language for language in scores if language not in source_languages]
    price = None
    if targets and by != SOURCE_DEV:
        of_target = [scored[one, by] - scored[one, SOURCE_DEV] for one in targets]
        of_resamples = np.mean([drawn[one, by] - drawn[one, SOURCE_DEV] for one in targets], axis=0)
        price = Price(target_mean=sum(of_target) / len(targets), interval=interval(of_resamples))
    transfer = transfer_numbers(scores, source_languages=source_languages)
    return Selection(
        by=by,
        steps={language: list(theirs) for language, theirs in steps.items()},
        languages=scores,
        transfer=documents.parsed(Transfer, transfer, where="transfer"),
        price=price,
    )


def write(found: Selections, folder: Path) -> None:
    """Write a run's selections.json."""
    atomic_files.write_json(folder / FILE, documents.dumped(found))


def read(folder: Path) -> Selections | None:
    """Return a run's selections.json, None where there is none; raise UserError where it is damaged."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        document = documents.loads(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema") == 1:
            document = schema_1.upgraded_selections(document)
        found = documents.parsed(Selections, document, where="it")
        if found.schema != SCHEMA or found.metric != found.measure.key:
            raise ValueError(f"schema {found.schema} and metric {found.metric!r} are not known here")
        if not all(steps for one in found.selections for steps in (one.steps, *one.steps.values())):
            raise ValueError("a selection has no steps")
        if any(one.languages.keys() != found.selections[0].languages.keys() for one in found.selections):
            raise ValueError("the selections do not have the same languages")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{file} holds no selections ({error}): delete it, and the training command writes it anew from the "
            "predictions in selections/"
        ) from error
    return found
