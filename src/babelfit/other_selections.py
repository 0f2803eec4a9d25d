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
from babelfit.devices import preemption, ranks
from babelfit.devices.memory import return_freed_memory
from babelfit.evaluation import Predictor
from babelfit.finetuning.export import export
from babelfit.finetuning.prepared import Prepared
from babelfit.predictions import prediction_files
from babelfit.reports import selection_sheets, sheets, writing
from babelfit.run.run import Run
from babelfit.run.run_facts import facts_of
from babelfit.scoring import scores, selections
from babelfit.scoring.selections import Steps, choices, folder_of, is_done, steps_in_words

log = logging.getLogger(__name__)


def compare(prepared: Prepared, rankings: Rankings, *, run: Run, files: CheckpointFiles) -> None:
    """Score what a run ends with by each selection, of which `source_dev` has predictions; write selections.json.

    Each checkpoint is exported, predicts what is asked of it, and is deleted again; its predictions stay.
    """
    if ranks.from_first(lambda: is_done(run.folder)):
        return
    left = ranks.from_first(lambda: left_to_predict(prepared, rankings, run=run.folder))
    for number, (steps, theirs) in enumerate(left.items(), start=1):
        log.info("selections: model %d of %d, %s, in %s", number, len(left), steps_in_words(steps), " ".join(theirs))
        _predict(prepared, steps, languages=theirs, run=run, files=files)
        return_freed_memory()  # that of the model, before the next is loaded
        preemption.answer()
    ranks.from_first(lambda: _report(prepared, rankings, run=run))


def left_to_predict(prepared: Prepared, rankings: Rankings, *, run: Path) -> dict[Steps, list[str]]:
    """Return which models have to predict which languages still, by the steps of their checkpoints."""
    split, chosen = _split(prepared), _choices(prepared, rankings)
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


def _split(prepared: Prepared) -> str:
    """Return the split whose scores are compared, which is the last one that is scored."""
    *_, split = prepared.scored
    return split


def _choices(prepared: Prepared, rankings: Rankings) -> dict[str, dict[str, Steps]]:
    """Return which checkpoints each selection chooses, by language."""
    # Selections choose by dev scores, which few-shot languages may not have.
    languages = [one for one in prepared.scored[_split(prepared)] if one in prepared.data.validated_languages]
    return choices(rankings, languages=languages, averages=prepared.config.checkpoint.average is not None)


def _predict(prepared: Prepared, steps: Steps, *, languages: Sequence[str], run: Run, files: CheckpointFiles) -> None:
    """Predict languages with the checkpoint of a step, or with the mean of those of several."""
    data, split = prepared.data, _split(prepared)
    folder = folder_of(steps, run=run.folder)
    model = folder / "model"

    def export_model() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(model, ignore_errors=True)
        export(prepared, checkpoints=[files.at(step) for step in steps], folder=model)

    ranks.from_first(export_model)
    trainer = prepared.config.trainer
    predictor = Predictor(model=str(model), devices=trainer, precision=str(trainer.precision))
    outputs = evaluation.predict(predictor, data=data, split=split, languages=languages, folder=run.folder)

    def write_predictions() -> None:
        evaluation.write_predictions(
            outputs, model=steps_in_words(steps), data=data, split=split, languages=languages, folder=folder
        )
        shutil.rmtree(model)

    ranks.from_first(write_predictions)


def _report(prepared: Prepared, rankings: Rankings, *, run: Run) -> None:
    """Compare the predictions, and write what comes out into the run's folder and to the terminal."""
    for exported in (run.folder / selections.FOLDER).glob("*/model*"):
        shutil.rmtree(exported)  # of a start that was killed once it had predicted
    chosen = _choices(prepared, rankings)
    all_scores = scores.read_all(run.folder)
    (own,) = (one for one in all_scores if one.split == _split(prepared))
    found = selections.compare(run.folder, task=prepared.data.task, own=own, chosen=chosen)
    selections.write(found, run.folder)
    writing.write(run.folder, all_scores=all_scores, facts=facts_of(run))
    summary, _ = selection_sheets.sheets(found)
    Console().print(sheets.terminal(summary))
