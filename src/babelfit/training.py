"""One training run, top to bottom: data, model, steps, export, evaluation."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from transformers import PreTrainedModel

from babelfit import evaluation, other_selections
from babelfit.batches.loaders import workers_explained
from babelfit.checkpoints.checkpoint_files import CheckpointFiles, DurableCheckpointIO, Found
from babelfit.checkpoints.checkpoints import Checkpoints
from babelfit.checkpoints.rankings import SOURCE_DEV, Rankings, steps_of
from babelfit.config.schema import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices import lightning, preemption, ranks
from babelfit.devices.memory import return_freed_memory
from babelfit.devices.trainer import build_trainer
from babelfit.encoder.loading import ModelFiles, files_read
from babelfit.errors import UserError
from babelfit.evaluation import Predictor, Training
from babelfit.finetuning import tracking
from babelfit.finetuning.export import export
from babelfit.finetuning.prepared import Prepared, prepare
from babelfit.finetuning.progress import ProgressLines, without_a_bar
from babelfit.finetuning.watching import AtChance, FiniteLoss, Patience
from babelfit.run import exported, manifest
from babelfit.run.metrics_log import MetricsLog, TrainingLog
from babelfit.run.moved import Reads
from babelfit.run.overlap import warned_leaks
from babelfit.run.run import Run
from babelfit.run.run_facts import facts_of
from babelfit.run.status import Selected
from babelfit.scoring import scores, selections
from babelfit.scoring.objectives import of_scores
from babelfit.sweep.pruning import Pruning

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What training came to: the selected step, and the rankings where they are still to be compared."""

    selected: Selected
    rankings: Rankings


@preemption.note_signals()
def fit(config: TrainConfig) -> None:
    """Train, export the selected checkpoint and score it in every language; go on where the same run stopped.

    Every rank comes here and reads the data; rank 0 alone touches the run folder.
    """
    tracking.check_installed(config)
    prepared = prepare(config)
    preemption.answer()
    model = prepared.model()
    preemption.answer()
    with (
        ranks.enter_on_first(lambda: Run.opened(prepared.config, reads=_reads(prepared))) as run,
        tracking.tracked(prepared.config, run=run) as trackers,
    ):
        files = CheckpointFiles(run.checkpoints)
        ranks.from_first(lambda: _write_manifest(prepared, run=run))
        preemption.answer()
        outcome = ranks.from_first(lambda: _earlier_outcome(prepared, run=run, files=files))
        if outcome is None:
            outcome = train(prepared, model=model, run=run, files=files, trackers=trackers)
        # With its gradients and AdamW's states it would stand beside the model that is scored.
        del model
        return_freed_memory()
        preemption.answer()
        facts = ranks.from_first(lambda: _export_selected(prepared, outcome, run=run, files=files))
        preemption.answer()
        _evaluate(prepared, run=run, facts=facts)
        preemption.answer()
        if trackers:
            tracking.log_scores(trackers, scores.read_all(run.folder), step=prepared.num_steps)
        if config.checkpoint.compare:
            rankings = outcome.rankings
            other_selections.compare(prepared, rankings, run=run, files=files)
            ranks.from_first(lambda: _keep_best(rankings, files=files))
        if config.objective is not None:
            ranks.from_first(lambda: _record_objectives(prepared.config, run=run))


def train(
    prepared: Prepared, *, model: PreTrainedModel, run: Run, files: CheckpointFiles, trackers: Sequence[Logger]
) -> Outcome:
    """Take all optimizer steps; return what they came to, as `_outcome` does."""
    config, data, total_steps = prepared.config, prepared.data, prepared.num_steps
    finetuner = prepared.finetuner(model)
    lightning.convert_before_restoring(model, precision=str(config.trainer.precision))
    resumed = ranks.from_first(files.newest)
    metrics = MetricsLog(run.metrics)
    io = DurableCheckpointIO()
    checkpoints = Checkpoints(
        files,
        io=io,
        keep=prepared.ranked_steps,
        every=config.checkpoint.every,
        validation_every=prepared.steps_between_validations,
        total_steps=total_steps,
    )
    trainer = build_trainer(
        config.trainer,
        folder=run.folder,
        precision=str(config.trainer.precision),
        callbacks=[
            FiniteLoss(every=config.logger.every, examples_of=data.rows_of_step),
            TrainingLog(metrics, every=config.logger.every, total_steps=total_steps),
            *_watching(prepared, run=run),
            *without_a_bar(
                ProgressLines(total_steps=total_steps, rows_per_step=config.optimization.batch_size),
            ),
            checkpoints,
        ],
        plugins=[io],
        logger=[*_loggers(config, metrics=metrics, run=run, resumed=resumed), *trackers],
        **lightning.limits(
            total_steps=total_steps,
            steps_per_epoch=data.steps_per_epoch,
            validation_every=prepared.steps_between_validations,
        ),
    )
    _log_start(prepared, model=model, run=run)
    if resumed is None:
        metrics.rewind(0)
    else:
        log.info("going on from %s, step %d", resumed.path, resumed.step)
    with workers_explained(), lightning.stopped_by_keyboard(trainer):
        trainer.fit(finetuner, datamodule=data, ckpt_path=resumed.path if resumed else None, weights_only=True)
    preemption.answer()
    data.trainer = None  # which holds model and optimizer
    if trainer.global_step < total_steps and not trainer.should_stop:
        raise RuntimeError(f"training ended at step {trainer.global_step} of {total_steps}, and no stop was requested")
    ranks.from_first(lambda: files.keep(steps_of(checkpoints.rankings)))
    return _outcome(prepared, checkpoints.rankings, files=files)


def _loggers(config: TrainConfig, *, metrics: MetricsLog, run: Run, resumed: Found | None) -> list[Logger]:
    """Build what numbers are logged to in the run folder."""
    loggers: list[Logger] = [metrics]
    if config.logger.tensorboard:
        # Events from behind the checkpoint are marked, and left out by TensorBoard.
        purge: dict[str, Any] = {} if resumed is None else {"purge_step": resumed.step + 1}
        loggers.append(TensorBoardLogger(run.folder, name="tensorboard", version="", **purge))
    return loggers


def _watching(prepared: Prepared, *, run: Run) -> list[Callback]:
    """Build what looks at the scores of each validation."""
    config, data = prepared.config, prepared.data
    watching: list[Callback] = []
    if config.validation.patience is not None:
        watching.append(Patience(config.selection, patience=config.validation.patience))
    chance = _chance(data)
    if config.validation.chance_patience is not None and chance is not None:
        watching.append(
            AtChance(
                config.selection,
                level=chance,
                unit=data.task.selecting.unit,
                patience=config.validation.chance_patience,
                stops=config.validation.at_chance == "stop",
            )
        )
    if config.objective is not None:
        watching.append(Pruning(run.folder, objective=config.objective, total_steps=prepared.num_steps))
    return watching


def _chance(data: MultilingualDataModule) -> float | None:
    """Return the highest score of a model that learned nothing; None where nobody knows it."""
    return data.task.chance([data.known_gold("validation", language) for language in data.train_languages])


def _log_start(prepared: Prepared, *, model: PreTrainedModel, run: Run) -> None:
    log.info(
        "training %s on %s: %d steps of %d examples, validated every %d; %s parameters; %s",
        prepared.config.encoder.name,
        " ".join(prepared.data.trained_languages),
        prepared.num_steps,
        prepared.config.optimization.batch_size,
        prepared.steps_between_validations,
        f"{model.num_parameters():,}",
        run.folder,
    )


def _outcome(prepared: Prepared, rankings: Rankings, *, files: CheckpointFiles) -> Outcome:
    """Return what training came to."""
    selection = prepared.config.selection
    best = rankings[selection][0]
    file = files.at(best.step).name
    selected = Selected(file=file, step=best.step, score=best.score, by=selection, of=prepared.num_steps)
    return Outcome(selected, rankings if prepared.config.checkpoint.compare else {})


def _earlier_outcome(prepared: Prepared, *, run: Run, files: CheckpointFiles) -> Outcome | None:
    """Return what the training of an earlier start came to; None where there are steps still to take.

    A checkpoint that is still needed and damaged is made again, from the newest whole one before it.
    """
    config, status = prepared.config, run.status()
    if status.selected is None:
        if not run.model.exists():
            return None
        # The model is exported, and status.json was lost.
        found = files.newest(whole={SOURCE_DEV} if selections.is_done(run.folder) else None)
        if found is None or not found.rankings[config.selection]:
            raise UserError(
                f"{run.model} is there, but neither status.json nor a checkpoint says which step it is. Score it as it "
                f"is with babelfit evaluate model={run.model}, or delete {run.model} to train again"
            )
        return _outcome(prepared, found.rankings, files=files)
    needed = set() if run.model.exists() else {status.selected.step}
    if config.checkpoint.compare and not selections.is_done(run.folder):
        if status.rankings.keys() != prepared.ranked_steps.keys():
            return None
        for steps in other_selections.left_to_predict(prepared, status.rankings, run=run.folder):
            needed |= set(steps)
    is_whole = all(files.is_whole(files.at(step)) for step in needed)
    return Outcome(status.selected, status.rankings) if is_whole else None


def _encoder_files(prepared: Prepared) -> ModelFiles:
    encoder = prepared.config.encoder
    return files_read(encoder.path, revision=encoder.revision, weights=encoder.pretrained)


def _reads(prepared: Prepared) -> Reads:
    """Return what a run reads, from wherever."""
    return Reads(splits=prepared.data.read, models={"encoder.path": lambda: _encoder_files(prepared)})


def _write_manifest(prepared: Prepared, *, run: Run) -> None:
    """Write what was read; raise UserError where it is no longer what the run was started with."""
    data = prepared.data
    manifest.add(
        run.folder,
        splits=data.read,
        leaks=warned_leaks(data),
        dataset=data.facts(),
        encoder=_encoder_files(prepared),
    )


def _export_selected(prepared: Prepared, outcome: Outcome, *, run: Run, files: CheckpointFiles) -> dict[str, str]:
    """Export the selected checkpoint where that is still to do, and return what a report says of the run."""
    run.set_status("running", selected=outcome.selected, rankings=dict(outcome.rankings))
    if not run.model.exists():
        export(prepared, checkpoints=[files.at(outcome.selected.step)], folder=run.model)
    exported.record(run)
    files.prune()
    return facts_of(run)


def _evaluate(prepared: Prepared, *, run: Run, facts: dict[str, str]) -> None:
    """Score the exported model in all that the run ends with."""
    config, data = prepared.config, prepared.data
    predictor = Predictor(
        model=str(run.model),
        devices=config.trainer,
        precision=str(config.trainer.precision),
        active=evaluation.active_ids(data, encoder=config.encoder),
    )
    training = Training(data=config.data, facts=facts)
    for split, languages in prepared.scored.items():
        evaluation.evaluate_model(
            predictor, data=data, split=split, languages=languages, folder=run.folder, training=training
        )
        return_freed_memory()  # that of the model, before it is loaded again


def _keep_best(rankings: Rankings, *, files: CheckpointFiles) -> None:
    """Delete the checkpoints that were only kept to be compared."""
    files.keep(steps_of({SOURCE_DEV: rankings[SOURCE_DEV]}))
    files.prune()


def _record_objectives(config: TrainConfig, *, run: Run) -> None:
    """Write what the objectives come to on dev into the status."""
    (dev,) = (one for one in scores.read_all(run.folder) if one.split == "validation")
    found = of_scores(dev, languages=config.objective_languages or config.data.languages)
    run.set_status("running", objectives=found)
    in_words = ", ".join(f"{name} {dev.measure.how.text(value)}" for name, value in found.items())
    log.info("objectives on dev: %s; chosen: %s", in_words, config.objective)
