"""From a configuration to what a run is made of: data, model, finetuner, and how many steps. Trains nothing."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from pytorch_lightning import seed_everything
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from babelfit.checkpoints.rankings import kept
from babelfit.config.schema import DataConfig, TrainConfig
from babelfit.data import DATA, MultilingualDataModule
from babelfit.data.checks import check_selectable
from babelfit.devices.launch import check_devices, num_workers
from babelfit.encoder.dropout import drop_embeddings, take_faster_dropout
from babelfit.encoder.encoder import checkpoint_activations, choose_kernels, freeze, is_ragged
from babelfit.encoder.loading import check_precision, load_tokenizer
from babelfit.encoder.vocabulary import take_active
from babelfit.errors import UserError
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.recipe import Recipe
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model
from babelfit.scoring.metrics import MAIN_METRIC
from babelfit.scoring.objectives import dev_languages

log = logging.getLogger(__name__)


def build_data(
    chosen: DataConfig,
    *,
    head: str,
    languages: Sequence[str] | None,
    tokenizer: PreTrainedTokenizerFast,
    tokens_per_device: int,
    batch_size: int = 1,
    seed: int = 0,
    num_workers: int = 0,
    pin_memory: bool = False,
    vocabulary: str = "full",
) -> MultilingualDataModule:
    """Build the DataModule that a configuration names; raises UserError for an unknown one or another head."""
    settings = asdict(chosen) | {"languages": languages}
    name = settings.pop("name")
    if name not in DATA:
        raise UserError(f"data.name={name}: must be one of {', '.join(DATA)}")
    if head != DATA[name].head:
        raise UserError(f"head={head}: {name} needs head={DATA[name].head}, which data={name} chooses by itself")
    return DATA[name](
        **settings,
        tokenizer=tokenizer,
        tokens_per_device=tokens_per_device,
        batch_size=batch_size,
        seed=seed,
        num_workers=num_workers,
        pin_memory=pin_memory,
        vocabulary=vocabulary,
    )


def chosen_split(data: MultilingualDataModule) -> str:
    """Choose test where every evaluated language has it with labels, else validation, and say so."""
    if data.has("test"):
        return "test"
    log.info("scoring validation: not every language has a test split with labels")
    return "validation"


def prepared(config: TrainConfig) -> tuple[MultilingualDataModule, dict[str, list[str]]]:
    """Read and tokenize all that a run reads; most mistakes show here.

    Returns with the data what the run ends with: which languages are scored in which split.
    """
    # First what no machine can do, then what this one cannot.
    _check_scores(config)
    check_precision(config.encoder.path, revision=config.encoder.revision, precision=str(config.trainer.precision))
    accelerator = check_devices(config.trainer, precision=str(config.trainer.precision))
    data = build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=load_tokenizer(config.encoder.path, revision=config.encoder.revision),
        tokens_per_device=config.trainer.tokens_per_device,
        batch_size=config.optimization.batch_size,
        seed=config.seed,
        num_workers=num_workers(config.trainer),
        pin_memory=accelerator == "gpu",
        vocabulary=config.encoder.vocabulary,
    )
    data.dev_languages = dev_languages(
        config.objective,
        config.objective_languages,
        evaluated=data.languages,
        source_languages=data.train_languages,
        compare=config.checkpoint.compare,
    )
    if config.data.train_split != "train":
        log.warning(
            "training on the %s split: scores on it, and the checkpoint that they select, are no measure of learning",
            config.data.train_split,
        )
    # All data are read before anything is trained, so that a missing file is known now and not after the last step.
    data.prepare("train", languages=data.trained_languages)
    check_selectable(data)
    data.prepare("validation", languages=data.validated_languages)
    split = chosen_split(data)
    scored = {}
    if config.objective is not None:
        # Of all that have it, the source languages too, so that every objective can be told from the scores.
        scored["validation"] = list(data.origin.available("validation", languages=data.numbered_languages))
    scored[split] = list(dict.fromkeys([*data.languages, *scored.get(split, [])]))
    for split, languages in scored.items():
        data.prepare(split, languages=languages)
    return data, scored


def _check_scores(config: TrainConfig) -> None:
    """Raise UserError where something asks for scores that are fractions of 1, and the head has none."""
    asked = {"objective": config.objective, "checkpoint.compare": config.checkpoint.compare or None}
    for key, value in asked.items() if config.head.name == "masked_language_modeling" else ():
        if value is not None:
            raise UserError(
                f"{key}={value}: head=masked_language_modeling has log-likelihoods for scores, and no fractions of 1; "
                "leave it out here, and choose or sweep by a task that goes on from the pretrained encoder"
            )


def build_model(config: TrainConfig, *, data: MultilingualDataModule, without_weights: bool = False) -> PreTrainedModel:
    """Build the model to train, with a head for the data's labels, and with embeddings of what is read alone.

    It is a function of config and data: random weights follow from the seed. Without weights it is on the meta device.
    """
    model = whole_model(config, data=data, without_weights=without_weights)
    if data.reset_positions and not is_ragged(model):
        raise UserError(
            f"data.reset_positions=true: {model.config.model_type} counts positions by itself; set it to false"
        )
    freeze(model, embeddings=config.encoder.freeze_embeddings, layers=config.encoder.freeze_layers)
    if config.encoder.freeze_embeddings and not config.encoder.pretrained:
        log.warning(
            "encoder.freeze_embeddings=true with encoder.pretrained=false: embeddings are random and stay so; set it "
            "to false, or for the bundled encoder take encoder=mini_random"
        )
    if config.encoder.embedding_dropout is not None:
        drop_embeddings(model, rate=config.encoder.embedding_dropout)
    if config.encoder.gradient_checkpointing:
        checkpoint_activations(model)
    if config.encoder.vocabulary == "active":
        ids, dev_ids = data.token_ids()
        take_active(model, ids, only_validated=dev_ids)
    take_faster_dropout(model)
    choose_kernels(model, attention_kernel=config.trainer.attention, compiled=config.trainer.compile)
    return model


def whole_model(config: TrainConfig, *, data: MultilingualDataModule, without_weights: bool = False) -> PreTrainedModel:
    """Build the model as it is before any training, and in its shape after it."""
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
        without_weights=without_weights,
    )


def build_finetuner(config: TrainConfig, *, data: MultilingualDataModule, model: PreTrainedModel) -> Finetuner:
    """Build what takes the optimizer steps of a configuration."""
    recipe = config.optimization
    return Finetuner(
        model,
        head=config.head.name,
        languages=data.numbered_languages,
        source_languages=data.train_languages,
        tokens_per_device=config.trainer.tokens_per_device,
        recipe=Recipe(
            seed=config.seed,
            total_steps=count_steps(config, data=data),
            learning_rate=recipe.learning_rate,
            warmup=recipe.warmup,
            weight_decay=recipe.weight_decay,
            schedule=recipe.schedule,
            clip=recipe.clip,
            layer_decay=recipe.layer_decay,
        ),
        objective=config.objective,
        dev_languages=data.dev_languages,
    )


def count_steps(config: TrainConfig, *, data: MultilingualDataModule) -> int:
    """Count the optimizer steps of a run that nothing stops early."""
    whole_epochs = config.optimization.epochs * data.steps_per_epoch
    return whole_epochs if config.optimization.max_steps is None else min(whole_epochs, config.optimization.max_steps)


def steps_between_validations(config: TrainConfig, *, data: MultilingualDataModule) -> int:
    """Count the optimizer steps from one validation to the next; the last step is validated in any case."""
    every = config.validation.every
    return min(data.steps_per_epoch if every == "epoch" else int(every), count_steps(config, data=data))


def ranked_steps(config: TrainConfig, *, data: MultilingualDataModule) -> dict[str, int]:
    """Say by which logged scores validated steps are ranked, and how many of each ranking keep their checkpoint."""
    return kept(
        keep=config.checkpoint.keep,
        compared=data.validated_languages if config.checkpoint.compare else (),
        metric=MAIN_METRIC[data.head],
        average=config.checkpoint.average,
    )
