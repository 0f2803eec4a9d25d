"""One training run, top to bottom: data, model, steps, export, evaluation."""

import logging
import shutil
from dataclasses import replace
from typing import Any

import torch
from pytorch_lightning import Callback, seed_everything
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from babelfit import evaluation, manifest
from babelfit.checkpoints import LAST, Checkpoints, prune
from babelfit.config import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.encoder import checkpoint_activations, freeze
from babelfit.finetuner import Finetuner, Recipe
from babelfit.heads import HEADS
from babelfit.loading import check_precision, files_read, load_model, load_tokenizer
from babelfit.metrics_log import MetricsLog
from babelfit.run import Run
from babelfit.trainer import build_trainer, check_devices

log = logging.getLogger(__name__)


def fit(config: TrainConfig) -> None:
    """Train, export the selected checkpoint and score it in every language; go on where the same run stopped."""
    # First what no machine can do, then what this one cannot.
    check_precision(config.encoder.path, revision=config.encoder.revision, precision=str(config.trainer.precision))
    check_devices(config.trainer, precision=str(config.trainer.precision))
    tokenizer = load_tokenizer(config.encoder.path, revision=config.encoder.revision)
    data = evaluation.build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=tokenizer,
        tokens_per_device=config.trainer.tokens_per_device,
        batch_size=config.optimization.batch_size,
        seed=config.seed,
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
    split = evaluation.chosen_split(data)
    data.prepare(split, languages=data.languages)
    seed_everything(config.seed, verbose=False)
    model = build_model(config, data=data)
    run = Run.open(config)
    if run.status()["state"] == "complete":
        log.info("%s is complete: nothing to train, only what is missing is evaluated", run.folder)
    manifest.add(
        run.folder,
        splits=data.read,
        data=data.data_name,
        origin=data.origin.facts(),
        encoder=files_read(config.encoder.path, revision=config.encoder.revision),
    )
    with run.recorded():
        if "selected" not in run.status():
            run.set_status("running", selected=train(config, run=run, data=data, model=model))
        if not run.model.exists():
            export(run, model=model, tokenizer=tokenizer)
        prune(run.checkpoints)
        evaluation.evaluate_model(
            str(run.model),
            data=data,
            split=split,
            devices=config.trainer,
            precision=str(config.trainer.precision),
            folder=run.folder,
            trained_on=config.data,
            facts=run.facts(),
        )


def build_model(config: TrainConfig, *, data: MultilingualDataModule) -> PreTrainedModel:
    """Build the model that a configuration names, with a head for the data's labels."""
    model = load_model(
        HEADS[config.head.name],
        config.encoder.path,
        revision=config.encoder.revision,
        pretrained=config.encoder.pretrained,
        overrides=config.encoder.overrides,
        label_names=data.label_names,
        max_length=data.max_length,
    )
    freeze(model, embeddings=config.encoder.freeze_embeddings, layers=config.encoder.freeze_layers)
    if config.encoder.gradient_checkpointing:
        checkpoint_activations(model)
    return model


def train(config: TrainConfig, *, run: Run, data: MultilingualDataModule, model: PreTrainedModel) -> dict[str, Any]:
    """Take all optimizer steps; return the selected checkpoint's file, step and score."""
    recipe = config.optimization
    total_steps = recipe.epochs * data.steps_per_epoch
    if recipe.max_steps is not None:
        total_steps = min(total_steps, recipe.max_steps)
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
    checkpoints = Checkpoints(
        run.checkpoints,
        selection=config.selection,
        keep=config.checkpoint.keep,
        every=config.checkpoint.every,
        validation_every=validation_every,
    )
    callbacks: list[Callback] = [checkpoints]
    if config.validation.patience is not None:
        callbacks.append(
            EarlyStopping(
                config.selection, mode="max", patience=config.validation.patience, check_on_train_epoch_end=False
            )
        )
    resumed_from = run.checkpoints / LAST if (run.checkpoints / LAST).exists() else None
    loggers: list[Logger] = [MetricsLog(run.metrics, resumed_step=_step_of(resumed_from))]
    if config.logger.tensorboard:
        loggers.append(TensorBoardLogger(run.folder, name="tensorboard", version=""))
    trainer = build_trainer(
        config.trainer,
        folder=run.folder,
        precision=str(config.trainer.precision),
        callbacks=callbacks,
        logger=loggers,
        log_every_n_steps=config.logger.every,
        max_steps=total_steps,
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
    if resumed_from:
        log.info("going on from %s", resumed_from)
    try:
        trainer.fit(finetuner, datamodule=data, ckpt_path=resumed_from, weights_only=True)
    except SystemExit as end:
        # Lightning turns Ctrl-C into an exit of its own, which would hide the reason from status.json.
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise
    return checkpoints.best[0] | {"by": config.selection, "of": total_steps}


def export(run: Run, *, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the selected checkpoint as a Hugging Face folder."""
    checkpoint = run.checkpoints / run.status()["selected"]["file"]
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "model."
    model.load_state_dict(
        {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    )
    unfinished = run.folder / "model.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.replace(run.model)


def _step_of(checkpoint: Any) -> int:
    if checkpoint is None:
        return 0
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["global_step"])
