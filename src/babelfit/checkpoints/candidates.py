"""Predict with the checkpoints that other ways of selecting would have chosen, and compare what they score.

Which ways there are: selections.py, which also computes what they score, from predictions alone.
"""

import logging
import shutil
from collections.abc import Sequence
from functools import partial

from rich.console import Console

from babelfit import evaluation, predictions
from babelfit.checkpoints.checkpoint_files import CheckpointFiles
from babelfit.checkpoints.export import export
from babelfit.checkpoints.rankings import SOURCE_DEV, Rankings
from babelfit.config import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices import ranks
from babelfit.reporting import reports, sheets
from babelfit.run.run import Run, write_json
from babelfit.scoring import scoring, selections
from babelfit.scoring.selections import Steps, choices, folder_of, is_done, steps_in_words

log = logging.getLogger(__name__)


def compare(
    config: TrainConfig,
    *,
    run: Run,
    files: CheckpointFiles,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    rankings: Rankings,
) -> None:
    """Score a split by each selection, of which `source_dev` has predictions, and write selections.json.

    Each checkpoint is exported, predicts what is asked of it, and is deleted again; its predictions stay.
    """
    if ranks.from_first(lambda: is_done(run.folder)):
        return
    chosen = choices(rankings, languages=languages, averages=config.checkpoint.average is not None)
    (selected,) = set(chosen[SOURCE_DEV].values())
    asked: dict[Steps, dict[str, None]] = {}
    for of_language in chosen.values():
        for language, steps in of_language.items():
            if steps != selected:
                asked.setdefault(steps, {})[language] = None
    for number, (steps, theirs) in enumerate(asked.items(), start=1):
        folder = folder_of(steps, run=run.folder)
        done = ranks.from_first(partial(predictions.languages, folder, split=split))
        if missing := [language for language in theirs if language not in done]:
            log.info(
                "selections: model %d of %d, %s, in %s", number, len(asked), steps_in_words(steps), " ".join(missing)
            )
            _predict(config, run=run, files=files, data=data, split=split, languages=missing, steps=steps)

    def told() -> None:
        found = selections.compared(run.folder, data=data, split=split, chosen=chosen, selected=selected)
        write_json(run.folder / selections.FILE, found)
        reports.write(run.folder, all_scores=scoring.read_all(run.folder), facts=run.facts())
        Console().print(sheets.terminal(selections.sheet(found)))

    ranks.from_first(told)


def _predict(
    config: TrainConfig,
    *,
    run: Run,
    files: CheckpointFiles,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    steps: Steps,
) -> None:
    folder = folder_of(steps, run=run.folder)
    model = folder / "model"

    def exported() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(model, ignore_errors=True)
        export(config, checkpoints=[files.at(step) for step in steps], data=data, folder=model)

    ranks.from_first(exported)
    columns = evaluation.predict(
        str(model),
        data=data,
        split=split,
        languages=languages,
        devices=config.trainer,
        precision=str(config.trainer.precision),
        folder=run.folder,
    )

    def written() -> None:
        evaluation.write_predictions(
            columns, model=steps_in_words(steps), data=data, split=split, languages=languages, folder=folder
        )
        shutil.rmtree(model)

    ranks.from_first(written)
