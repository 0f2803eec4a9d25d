"""What other ways of selecting the checkpoint would have scored: by dev scores of target languages, or by none.

`source_dev` alone is zero-shot: it asks for no label in a target language. `mean_dev` asks for labels in all languages,
`oracle` takes for each language the checkpoint that is best on its own dev rows, which no single model need be (Keung
et al. 2020 show how far the two lie apart), `last` asks for none at all, and `average` is the plain mean of the last
checkpoints' weights. How much more than `source_dev` each scores is the price of honest selection.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from babelfit.checkpoints.rankings import LAST, MEAN_DEV, SOURCE_DEV, Rankings, by_language
from babelfit.data import MultilingualDataModule
from babelfit.errors import UserError
from babelfit.files import shapes
from babelfit.files.shapes import Each, Fields
from babelfit.predictions import prediction_files
from babelfit.reports.words import SHOWN
from babelfit.run import manifest
from babelfit.scoring import scoring
from babelfit.scoring.answers import answers, parts
from babelfit.scoring.metrics import MAIN_METRIC
from babelfit.scoring.scoring import INTERVAL, NUMBER, SHARE
from babelfit.statistics import bootstrap
from babelfit.statistics.bootstrap import Array, Parts, interval
from babelfit.transfer.numbers import transfer_numbers

FILE = "selections.json"
FOLDER = "selections"
SCHEMA = 1
ORACLE, AVERAGE = "oracle", "average"

SELECTIONS = Fields(
    required={
        "schema": int,
        "data": str,
        "split": str,
        "metric": str,
        "selections": [
            Fields(
                required={
                    "by": str,
                    "steps": Each(of=[int]),
                    "languages": Each(of=NUMBER),
                    "transfer": Fields(
                        required={
                            "source": SHARE,
                            "target_mean": SHARE,
                            "worst": (None, Fields(required={"language": str, "score": NUMBER})),
                        }
                    ),
                    "price": (None, Fields(required={"target_mean": NUMBER, "interval": INTERVAL})),
                }
            )
        ],
    },
    optional={
        "synthetic": bool,
        "regime": str,
        "contaminated": Fields(required={"languages": [str], "why": str}),
    },
)
"""What is read again of the file, for reports."""

Steps = tuple[int, ...]
"""Of the checkpoints whose mean a model is: of one, that itself."""


def is_done(folder: Path) -> bool:
    """Tell whether the selections of a run are compared."""
    return (folder / FILE).is_file()


def choices(rankings: Rankings, *, languages: Sequence[str], averages: bool) -> dict[str, dict[str, Steps]]:
    """Say which checkpoints each selection answers each language with."""
    best: dict[str, Steps] = {name: (int(rankings[name][0]["step"]),) for name in (SOURCE_DEV, MEAN_DEV, LAST)}
    last = tuple(sorted(int(one["step"]) for one in rankings[LAST]))
    own = by_language(rankings)
    chosen: dict[str, dict[str, Steps]] = {
        SOURCE_DEV: dict.fromkeys(languages, best[SOURCE_DEV]),
        MEAN_DEV: dict.fromkeys(languages, best[MEAN_DEV]),
        ORACLE: {language: (own[language],) for language in languages},
        LAST: dict.fromkeys(languages, best[LAST]),
    }
    return chosen | ({AVERAGE: dict.fromkeys(languages, last)} if averages else {})


def folder_of(steps: Steps, *, run: Path) -> Path:
    """Name the folder, within that of a run, of what a model predicted that is not the run's own."""
    return run / FOLDER / f"{'mean-of-' if len(steps) > 1 else ''}step-{'-'.join(map(str, steps))}"


def steps_in_words(steps: Steps) -> str:
    """Name a model by the steps of its checkpoints."""
    return f"mean of steps {', '.join(map(str, steps))}" if len(steps) > 1 else f"step {steps[0]}"


def compared(
    folder: Path,
    *,
    data: MultilingualDataModule,
    split: str,
    chosen: Mapping[str, Mapping[str, Steps]],
) -> dict[str, Any]:
    """Score each selection from prediction files alone; those of `source_dev` are the run's own."""
    (own,) = (scores for scores in scoring.read_all(folder) if scores["split"] == split)
    counted: dict[tuple[str, str], Parts] = {
        (language, by): _parts(
            folder if steps == chosen[SOURCE_DEV][language] else folder_of(steps, run=folder),
            run=folder,
            data=data,
            split=split,
            language=language,
        )
        for by, of_language in chosen.items()
        for language, steps in of_language.items()
        if language in own["languages"]
    }
    together = data.is_parallel and "not_parallel" not in own
    drawn = bootstrap.paired(counted, together=together)
    return {
        "schema": SCHEMA,
        "data": own["data"],
        **{key: own[key] for key in ("synthetic", "regime", "contaminated") if key in own},
        "split": split,
        "metric": MAIN_METRIC[data.head],
        "selections": [
            _selection(by, steps=steps, counted=counted, drawn=drawn, source_languages=own["source_languages"])
            for by, steps in chosen.items()
        ],
        "resamples": {
            "number": bootstrap.NUM_RESAMPLES,
            "of": "items" if together else "examples of each language",
        },
    }


def _parts(folder: Path, *, run: Path, data: MultilingualDataModule, split: str, language: str) -> Parts:
    """Read what a model answered in a language, and what it adds to the score."""
    records = prediction_files.read(
        prediction_files.path(folder, split=split, language=language),
        scoring.RECORDS[data.head],
        label_names=data.label_names,
        num_examples=data.read[split][language]["examples"],
        dropped=manifest.dropped(run, split=split, language=language),
    )
    return parts(answers(records, label_names=data.label_names), head=data.head, label_names=data.label_names)


def _selection(
    by: str,
    *,
    steps: Mapping[str, Steps],
    counted: Mapping[tuple[str, str], Parts],
    drawn: Mapping[tuple[str, str], Array],
    source_languages: Sequence[str],
) -> dict[str, Any]:
    """Lay out what one selection scores, and how much more than `source_dev` in the mean of the targets."""
    scores = {language: counted[language, by].score for language in steps if (language, by) in counted}
    targets = [language for language in scores if language not in source_languages]
    price = None
    if targets and by != SOURCE_DEV:
        of_target = [counted[one, by].score - counted[one, SOURCE_DEV].score for one in targets]
        of_resamples = np.mean([drawn[one, by] - drawn[one, SOURCE_DEV] for one in targets], axis=0)
        price = {"target_mean": sum(of_target) / len(targets), "interval": interval(of_resamples)}
    return {
        "by": by,
        "steps": {language: list(theirs) for language, theirs in steps.items()},
        "languages": scores,
        "transfer": transfer_numbers(scores, source_languages=source_languages),
        "price": price,
    }


def read(folder: Path) -> dict[str, Any] | None:
    """Read a run's selections.json, if it has one; raises UserError for what is none."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        found: dict[str, Any] = shapes.loads(file.read_text(encoding="utf-8"))
        shapes.check(found, SELECTIONS, where="it")
        if found["schema"] != SCHEMA or found["metric"] not in SHOWN:
            raise ValueError(f"schema {found['schema']} and metric {found['metric']!r} are not known here")
        if not all(steps for one in found["selections"] for steps in (one["steps"], *one["steps"].values())):
            raise ValueError("a selection has no steps")
        if any(one["languages"].keys() != found["selections"][0]["languages"].keys() for one in found["selections"]):
            raise ValueError("the selections have not the same languages")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{file} holds no selections ({error}): delete it, and the training command writes it anew from the "
            "predictions in selections/"
        ) from error
    return found
