"""Predict with the checkpoints that other ways of selecting would have chosen, and compare what they score.

Which ways there are: selections.py, which also computes what they score, from predictions alone.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from babelfit import evaluation
from babelfit.checkpoints.checkpoint_files import CheckpointFiles
from babelfit.checkpoints.rankings import SOURCE_DEV, Rankings
from babelfit.config.schema import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices import ranks
from babelfit.devices.memory import return_freed_memory
from babelfit.finetuning.export import export
from babelfit.predictions import prediction_files
from babelfit.reports import selection_sheets, sheets, writing
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
    average = config.checkpoint.average is not None
    left = ranks.from_first(lambda: asked(rankings, run=run.folder, split=split, languages=languages, averages=average))
    for number, (steps, theirs) in enumerate(left.items(), start=1):
        log.info("selections: model %d of %d, %s, in %s", number, len(left), steps_in_words(steps), " ".join(theirs))
        _predict(config, run=run, files=files, data=data, split=split, languages=theirs, steps=steps)
        return_freed_memory()  # that of the model, before the next is loaded

    def told() -> None:
        for exported in (run.folder / selections.FOLDER).glob("*/model*"):
            shutil.rmtree(exported)  # of a start that was killed once it had predicted
        chosen = choices(rankings, languages=languages, averages=average)
        found = selections.compared(run.folder, data=data, split=split, chosen=chosen)
        write_json(run.folder / selections.FILE, found)
        writing.write(run.folder, all_scores=scoring.read_all(run.folder), facts=run.facts())
        summary, _ = selection_sheets.sheets(found)
        Console().print(sheets.terminal(summary))

    ranks.from_first(told)


def asked(
    rankings: Rankings, *, run: Path, split: str, languages: Sequence[str], averages: bool
) -> dict[Steps, list[str]]:
    """Say which models have to predict which languages still, by the steps of their checkpoints."""
    chosen = choices(rankings, languages=languages, averages=averages)
    wanted: dict[Steps, dict[str, None]] = {}
    for of_language in chosen.values():
        for language, steps in of_language.items():
            if steps != chosen[SOURCE_DEV][language]:
                wanted.setdefault(steps, {})[language] = None
    left = {}
    for steps, theirs in wanted.items():
        done = prediction_files.languages(folder_of(steps, run=run), split=split)
        left[steps] = [language for language in theirs if language not in done]
    return {steps: theirs for steps, theirs in left.items() if theirs}


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
