"""One training run, top to bottom: data, model, steps, export, evaluation."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc
from pytorch_lightning import Callback
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from transformers import PreTrainedModel

from babelfit import evaluation, other_selections
from babelfit.batches.ragged import NO_LABEL
from babelfit.checkpoints.checkpoint_files import CheckpointFiles, DurableCheckpointIO
from babelfit.checkpoints.checkpoints import Checkpoints
from babelfit.checkpoints.rankings import SOURCE_DEV, Rankings, steps_of
from babelfit.config.schema import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices import preemption, ranks
from babelfit.devices.memory import return_freed_memory
from babelfit.devices.trainer import build_trainer, stopped_by_keyboard
from babelfit.encoder.loading import files_read
from babelfit.errors import UserError
from babelfit.finetuning.building import (
    build_finetuner,
    build_model,
    count_steps,
    prepared,
    ranked_steps,
    steps_between_validations,
)
from babelfit.finetuning.export import export
from babelfit.finetuning.watching import AtChance, FiniteLoss, Patience, chance_level
from babelfit.run import manifest
from babelfit.run.metrics_log import MetricsLog, TrainingLog
from babelfit.run.overlap import warned_leaks
from babelfit.run.run import Run
from babelfit.scoring import perplexity, scoring, selections
from babelfit.scoring.objectives import of_scores
from babelfit.sweep.pruning import Pruning

log = logging.getLogger(__name__)


def fit(config: TrainConfig) -> None:
    """Train, export the selected checkpoint and score it in every language; go on where the same run stopped.

    Every rank comes here and reads the data; rank 0 alone touches the run folder.
    """
    data, scored = prepared(config)
    config = replace(
        config,
        # What null stood for, and which languages a regime trains on.
        data=replace(
            config.data,
            languages=data.languages,
            train_languages=data.train_languages,
            few_shot=replace(config.data.few_shot, languages=data.few_shot_languages or config.data.few_shot.languages),
        ),
        # Where training reads them, other ones are another run.
        objective_languages=data.dev_languages or config.objective_languages,
    )
    *_, (last_split, scored_languages) = scored.items()
    # Selections choose by dev scores, so these are what is compared; few-shot languages may have none.
    compared: dict[str, Any] = {
        "split": last_split,
        "languages": [language for language in scored_languages if language in data.validated_languages],
    }
    model = build_model(config, data=data)
    with ranks.entered_by_first(lambda: Run.opened(config)) as run:
        files = CheckpointFiles(run.checkpoints)

        def begun() -> dict[str, Any] | None:
            encoder = files_read(
                config.encoder.path, revision=config.encoder.revision, weights=config.encoder.pretrained
            )
            manifest.add(
                run.folder,
                splits=data.read,
                leaks=warned_leaks(data),
                data=data.data_name,
                origin=data.origin.facts(),
                encoder=encoder,
            )
            return _trained_before(config, run=run, files=files, data=data, **compared)

        trained = ranks.from_first(begun)
        if trained is None:
            trained = train(config, run=run, files=files, data=data, model=model)
        # With its gradients and AdamW's states it would stand beside the model that is scored.
        del model
        return_freed_memory()

        def concluded() -> dict[str, str]:
            run.set_status("running", **trained)
            if not run.model.exists():
                export(config, checkpoints=[files.at(trained["selected"]["step"])], data=data, folder=run.model)
            files.prune()
            return run.facts()

        facts = ranks.from_first(concluded)
        for split, languages in scored.items():
            evaluation.evaluate_model(
                str(run.model),
                data=data,
                split=split,
                languages=languages,
                devices=config.trainer,
                precision=str(config.trainer.precision),
                folder=run.folder,
                trained_on=config.data,
                facts=facts,
                active=perplexity.active_ids(data, encoder=config.encoder),
            )
            return_freed_memory()  # that of the model, before it is loaded again
        if config.checkpoint.compare:
            rankings = trained["rankings"]
            other_selections.compare(config, run=run, files=files, data=data, rankings=rankings, **compared)

            def ended() -> None:
                files.keep(steps_of({SOURCE_DEV: rankings[SOURCE_DEV]}))
                files.prune()

            ranks.from_first(ended)
        if config.objective is not None:
            ranks.from_first(lambda: _tell_objectives(config, run=run))


def _tell_objectives(config: TrainConfig, *, run: Run) -> None:
    (dev,) = (scores for scores in scoring.read_all(run.folder) if scores["split"] == "validation")
    found = of_scores(dev, languages=config.objective_languages or config.data.languages)
    run.set_status("running", objectives=found)
    told = ", ".join(f"{name} {100 * value:.1f}" for name, value in found.items())
    log.info("objectives on dev: %s; chosen: %s", told, config.objective)


def train(
    config: TrainConfig, *, run: Run, files: CheckpointFiles, data: MultilingualDataModule, model: PreTrainedModel
) -> dict[str, Any]:
    """Take all optimizer steps; return the facts of `_trained`."""
    total_steps = count_steps(config, data=data)
    validation_every = steps_between_validations(config, data=data)
    finetuner = build_finetuner(config, data=data, model=model)
    if config.trainer.precision == "64-true":
        # Lightning restores weights before it converts them, and would round them to single precision on the way.
        model.double()
    resumed = ranks.from_first(files.newest)
    metrics = MetricsLog(run.metrics)
    loggers: list[Logger] = [metrics]
    if config.logger.tensorboard:
        # Events from behind the checkpoint are marked, and left out by TensorBoard.
        purge: dict[str, Any] = {} if resumed is None else {"purge_step": resumed.step + 1}
        loggers.append(TensorBoardLogger(run.folder, name="tensorboard", version="", **purge))
    io = DurableCheckpointIO()
    checkpoints = Checkpoints(
        files,
        io=io,
        keep=ranked_steps(config, data=data),
        every=config.checkpoint.every,
        validation_every=validation_every,
        total_steps=total_steps,
    )
    trainer = build_trainer(
        config.trainer,
        folder=run.folder,
        precision=str(config.trainer.precision),
        callbacks=[
            FiniteLoss(every=config.logger.every, examples_of=data.rows_of_step),
            TrainingLog(metrics, every=config.logger.every, total_steps=total_steps),
            *_watching(config, run=run, data=data, total_steps=total_steps),
            checkpoints,
        ],
        plugins=[io],
        logger=loggers,
        # The finetuner ends at the last step: a limit in steps would skip the loop, and a validation still owed for it.
        max_epochs=-(-total_steps // data.steps_per_epoch),
        val_check_interval=validation_every,
        check_val_every_n_epoch=None,
    )
    log.info(
        "training %s on %s: %d steps of %d examples, validated every %d; %s parameters; %s",
        config.encoder.name,
        " ".join(data.trained_languages),
        total_steps,
        config.optimization.batch_size,
        validation_every,
        f"{model.num_parameters():,}",
        run.folder,
    )
    if resumed is None:
        metrics.rewind(0)
    else:
        log.info("going on from %s, step %d", resumed.path, resumed.step)
    with preemption.deferred(), stopped_by_keyboard(trainer):
        trainer.fit(finetuner, datamodule=data, ckpt_path=resumed.path if resumed else None, weights_only=True)
    data.trainer = None  # which holds model and optimizer
    if trainer.global_step < total_steps and not trainer.should_stop:
        raise RuntimeError(f"training ended at step {trainer.global_step} of {total_steps}, and nothing asked it to")
    ranks.from_first(lambda: files.keep(steps_of(checkpoints.rankings)))
    return _trained(checkpoints.rankings, config=config, files=files, total_steps=total_steps)


def _watching(config: TrainConfig, *, run: Run, data: MultilingualDataModule, total_steps: int) -> list[Callback]:
    """Build what looks at the scores of each validation."""
    watching: list[Callback] = []
    if config.validation.patience is not None:
        watching.append(Patience(config.selection, patience=config.validation.patience))
    # How well tokens can be guessed without learning anything depends on the text.
    if config.validation.chance_patience is not None and data.masking is None:
        watching.append(
            AtChance(
                config.selection,
                level=_chance(data),
                patience=config.validation.chance_patience,
                stops=config.validation.at_chance == "stop",
            )
        )
    if config.objective is not None:
        watching.append(Pruning(run.folder, objective=config.objective, total_steps=total_steps))
    return watching


def _chance(data: MultilingualDataModule) -> float:
    """Say up to which score a model has learned nothing; of span F1 that is 0, where it finds no span at all."""
    if data.head == "token_classification":
        return 0.0
    gold = [pc.list_flatten(data.open("validation", one).data["gold"]).to_numpy() for one in data.train_languages]
    return chance_level([labels[labels != NO_LABEL] for labels in gold])


def _trained(rankings: Rankings, *, config: TrainConfig, files: CheckpointFiles, total_steps: int) -> dict[str, Any]:
    """Say what training came to: the `selected` step, and the `rankings` that are still to be compared."""
    best = rankings[config.selection][0]
    selected = {"file": files.at(best["step"]).name, **best, "by": config.selection, "of": total_steps}
    trained: dict[str, Any] = {"selected": selected}
    return trained | ({"rankings": rankings} if config.checkpoint.compare else {})


def _trained_before(
    config: TrainConfig,
    *,
    run: Run,
    files: CheckpointFiles,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
) -> dict[str, Any] | None:
    """Find out what an earlier start's training came to; none where there is still training to do.

    A checkpoint that is still needed and damaged is made again, from the newest whole one before it.
    """
    status = run.status()
    if "selected" not in status:
        if not run.model.exists():
            return None
        # The model is exported, and status.json was lost.
        found = files.newest(whole={SOURCE_DEV} if selections.is_done(run.folder) else None)
        if found is None or not found.rankings[config.selection]:
            raise UserError(
                f"{run.model} is there, but neither status.json nor a checkpoint says which step it is. Score it as it "
                f"is with evaluate.py model={run.model}, or delete {run.model} to train again"
            )
        return _trained(found.rankings, config=config, files=files, total_steps=count_steps(config, data=data))
    trained: dict[str, Any] = {key: status[key] for key in ("selected", "rankings") if key in status}
    needed = set() if run.model.exists() else {int(status["selected"]["step"])}
    if config.checkpoint.compare and not selections.is_done(run.folder):
        if status.get("rankings", {}).keys() != ranked_steps(config, data=data).keys():
            return None
        averages = config.checkpoint.average is not None
        left = other_selections.asked(
            status["rankings"], run=run.folder, split=split, languages=languages, averages=averages
        )
        needed |= {step for steps in left for step in steps}
    return trained if all(files.is_whole(files.at(step)) for step in needed) else None
