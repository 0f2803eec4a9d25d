"""One training run, top to bottom: data, model, steps, export, evaluation."""

import logging
import shutil
from dataclasses import replace
from typing import Any

import pyarrow.compute as pc
from pytorch_lightning import Callback, seed_everything
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from babelfit import durable, evaluation, manifest, preemption, ranks
from babelfit.checkpoint_files import CheckpointFiles, DurableCheckpointIO
from babelfit.checkpoints import Checkpoints
from babelfit.config import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.data.batching import NO_LABEL
from babelfit.dropout import take_faster_dropout
from babelfit.encoder import checkpoint_activations, compile_layers, freeze, use_kernel
from babelfit.errors import UserError
from babelfit.finetuner import Finetuner, Recipe
from babelfit.heads import HEADS
from babelfit.launch import check_devices, num_workers
from babelfit.loading import check_precision, files_read, load_model, load_tokenizer
from babelfit.memory import return_freed_memory
from babelfit.metrics_log import MetricsLog, TrainingLog
from babelfit.run import Run
from babelfit.sentries import AtChance, FiniteLoss, Patience, chance_level
from babelfit.trainer import build_trainer, stopped_by_keyboard
from babelfit.trust import load_weights
from babelfit.vocabulary import take_active, whole_again

log = logging.getLogger(__name__)


def fit(config: TrainConfig) -> None:
    """Train, export the selected checkpoint and score it in every language; go on where the same run stopped.

    Every rank comes here and reads the data; rank 0 alone touches the run folder.
    """
    # First what no machine can do, then what this one cannot.
    check_precision(config.encoder.path, revision=config.encoder.revision, precision=str(config.trainer.precision))
    accelerator = check_devices(config.trainer, precision=str(config.trainer.precision))
    tokenizer = load_tokenizer(config.encoder.path, revision=config.encoder.revision)
    data = evaluation.build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=tokenizer,
        tokens_per_device=config.trainer.tokens_per_device,
        batch_size=config.optimization.batch_size,
        seed=config.seed,
        num_workers=num_workers(config.trainer),
        pin_memory=accelerator == "gpu",
    )
    config = replace(config, data=replace(config.data, languages=data.languages))
    if config.data.train_split != "train":
        log.warning(
            "training on the %s split: scores on it, and the checkpoint that they select, are no measure of learning",
            config.data.train_split,
        )
    # All data are read before anything is trained, so that a missing file is known now and not after the last step.
    data.prepare("train", languages=data.train_languages)
    data.prepare("validation", languages=data.train_languages)
    data.check_selectable()
    split = evaluation.chosen_split(data)
    data.prepare(split, languages=data.languages)
    model = build_model(config, data=data)
    with ranks.entered_by_first(lambda: Run.opened(config)) as run:
        files = CheckpointFiles(run.checkpoints)

        def begun() -> dict[str, Any] | None:
            encoder = files_read(config.encoder.path, revision=config.encoder.revision)
            manifest.add(run.folder, splits=data.read, data=data.data_name, origin=data.origin.facts(), encoder=encoder)
            return _selected_before(config, run=run, files=files, data=data)

        selected = ranks.from_first(begun)
        if selected is None:
            selected = train(config, run=run, files=files, data=data, model=model)
        # With its gradients and AdamW's states it would stand beside the model that is scored.
        del model
        return_freed_memory()

        def concluded() -> dict[str, str]:
            run.set_status("running", selected=selected)
            if not run.model.exists():
                export(config, run=run, data=data, tokenizer=tokenizer)
            files.prune()
            return run.facts()

        evaluation.evaluate_model(
            str(run.model),
            data=data,
            split=split,
            devices=config.trainer,
            precision=str(config.trainer.precision),
            folder=run.folder,
            trained_on=config.data,
            facts=ranks.from_first(concluded),
        )


def build_model(config: TrainConfig, *, data: MultilingualDataModule) -> PreTrainedModel:
    """Build the model to train, with a head for the data's labels, and with embeddings of what is read alone.

    It is a function of config and data: random weights follow from the seed.
    """
    model = _whole_model(config, data=data)
    freeze(model, embeddings=config.encoder.freeze_embeddings, layers=config.encoder.freeze_layers)
    if config.encoder.gradient_checkpointing:
        checkpoint_activations(model)
    if config.encoder.vocabulary == "active":
        take_active(model, data.token_ids())
    take_faster_dropout(model)
    use_kernel(model, config.trainer.attention)
    if config.trainer.compile:
        compile_layers(model)
    return model


def _whole_model(config: TrainConfig, *, data: MultilingualDataModule) -> PreTrainedModel:
    seed_everything(config.seed, verbose=False)
    return load_model(
        HEADS[config.head.name],
        config.encoder.path,
        revision=config.encoder.revision,
        pretrained=config.encoder.pretrained,
        overrides=config.encoder.overrides,
        label_names=data.label_names,
        label_aliases=data.label_aliases,
        max_length=data.max_length,
    )


def train(
    config: TrainConfig, *, run: Run, files: CheckpointFiles, data: MultilingualDataModule, model: PreTrainedModel
) -> dict[str, Any]:
    """Take all optimizer steps; return the selected checkpoint's file, step and score."""
    recipe = config.optimization
    total_steps = _total_steps(config, data=data)
    every = config.validation.every
    validation_every = min(data.steps_per_epoch if every == "epoch" else int(every), total_steps)
    finetuner = Finetuner(
        model,
        head=config.head.name,
        languages=data.numbered_languages,
        source_languages=data.train_languages,
        tokens_per_device=config.trainer.tokens_per_device,
        recipe=Recipe(
            seed=config.seed,
            total_steps=total_steps,
            learning_rate=recipe.learning_rate,
            warmup=recipe.warmup,
            weight_decay=recipe.weight_decay,
            schedule=recipe.schedule,
            clip=recipe.clip,
            layer_decay=recipe.layer_decay,
        ),
    )
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
        selection=config.selection,
        keep=config.checkpoint.keep,
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
            *_watching(config, data=data),
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
        " ".join(data.train_languages),
        total_steps,
        recipe.batch_size,
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
    ranks.from_first(lambda: files.keep({one["step"] for one in checkpoints.best}))
    return _selection(checkpoints.best, files=files, by=config.selection, total_steps=total_steps)


def _watching(config: TrainConfig, *, data: MultilingualDataModule) -> list[Callback]:
    """Build what looks at the scores of each validation."""
    watching: list[Callback] = []
    if config.validation.patience is not None:
        watching.append(Patience(config.selection, patience=config.validation.patience))
    if config.validation.chance_patience is not None:
        watching.append(
            AtChance(
                config.selection,
                level=_chance(data),
                patience=config.validation.chance_patience,
                stops=config.validation.at_chance == "stop",
            )
        )
    return watching


def _chance(data: MultilingualDataModule) -> float:
    """Say up to which score a model has learned nothing; of span F1 that is 0, where it finds no span at all."""
    if data.head == "token_classification":
        return 0.0
    gold = [pc.list_flatten(data.open("validation", one).data["labels"]).to_numpy() for one in data.train_languages]
    return chance_level([labels[labels != NO_LABEL] for labels in gold])


def _total_steps(config: TrainConfig, *, data: MultilingualDataModule) -> int:
    whole_epochs = config.optimization.epochs * data.steps_per_epoch
    return whole_epochs if config.optimization.max_steps is None else min(whole_epochs, config.optimization.max_steps)


def _selection(best: Any, *, files: CheckpointFiles, by: str, total_steps: int) -> dict[str, Any]:
    return {"file": files.at(best[0]["step"]).name, **best[0], "by": by, "of": total_steps}


def _selected_before(
    config: TrainConfig, *, run: Run, files: CheckpointFiles, data: MultilingualDataModule
) -> dict[str, Any] | None:
    """Find out which checkpoint an earlier start has selected; none where there is still training to do."""
    selected: dict[str, Any] | None = run.status().get("selected")
    if not run.model.exists():
        # A selected checkpoint that is damaged is made again, from the newest whole one before it.
        is_there = selected is not None and files.is_whole(run.checkpoints / selected["file"])
        return selected if is_there else None
    if selected is not None:
        return selected
    # The model is exported, and status.json was lost.
    found = files.newest()
    if found is None or not found.ranking:
        raise UserError(
            f"{run.model} is there, but neither status.json nor a checkpoint says which step it is. Score it as it is "
            f"with evaluate.py model={run.model}, or delete {run.model} to train again"
        )
    return _selection(found.ranking, files=files, by=config.selection, total_steps=_total_steps(config, data=data))


def export(config: TrainConfig, *, run: Run, data: MultilingualDataModule, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the selected checkpoint as a Hugging Face folder."""
    state = load_weights(run.checkpoints / run.status()["selected"]["file"], mmap=True)["state_dict"]
    prefix = "model."
    state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    model = _whole_model(config, data=data)
    model.load_state_dict(whole_again(state, before=model), assign=True)
    unfinished = run.folder / "model.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    durable.rename(unfinished, run.model)
