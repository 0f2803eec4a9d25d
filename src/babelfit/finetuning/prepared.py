"""A configuration with its data read: how many steps it takes, what it scores, and its models. Trains nothing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow.compute as pc
from pytorch_lightning import seed_everything
from transformers import PreTrainedModel

from babelfit.changes.change import Change, changes_of
from babelfit.checkpoints.rankings import kept
from babelfit.config.schema import LabelledConfig, TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.datasets.building import build_data, chosen_split
from babelfit.devices.launch import check_devices, num_workers
from babelfit.encoder.dropout import take_faster_dropout
from babelfit.encoder.encoder import choose_kernels, is_ragged
from babelfit.encoder.loading import check_ids, check_precision, load_tokenizer
from babelfit.errors import UserError
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.recipe import Recipe
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model
from babelfit.scoring.objectives import dev_languages

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A configuration with its data read."""

    config: TrainConfig
    """Where null stood for languages, they are named."""

    data: MultilingualDataModule

    scored: Mapping[str, Sequence[str]]
    """What the run ends with: split -> languages, the split that is reported last."""

    @property
    def num_steps(self) -> int:
        """Count the optimizer steps of a run that nothing stops early."""
        whole_epochs = self.config.optimization.epochs * self.data.steps_per_epoch
        max_steps = self.config.optimization.max_steps
        return whole_epochs if max_steps is None else min(whole_epochs, max_steps)

    @property
    def steps_between_validations(self) -> int:
        """Count the optimizer steps from one validation to the next; the last step is validated in any case."""
        every = self.config.validation.every
        return min(self.data.steps_per_epoch if every == "epoch" else int(every), self.num_steps)

    @property
    def num_validations(self) -> int:
        """Count the validations of a run that nothing stops early."""
        return -(-self.num_steps // self.steps_between_validations)

    @property
    def ranked_steps(self) -> dict[str, int]:
        """Return by which logged scores validated steps are ranked, and how many of each keep their checkpoint."""
        return kept(
            keep=self.config.checkpoint.keep,
            compared=self.data.validated_languages if self.config.checkpoint.compare else (),
            metric=self.data.task.selecting.key,
            average=self.config.checkpoint.average,
        )

    def num_tokens(self, split: str, languages: Sequence[str]) -> int:
        """Count the tokens of a split in some languages."""
        rows = [self.data.open(split, language).data["input_ids"] for language in languages]
        return sum(int(pc.sum(pc.list_value_length(ids)).as_py()) for ids in rows)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What is done to the whole model before it is trained, in this order, and undone on export."""
        return changes_of(self.config.encoder, data=self.data)

    def whole_model(self, *, without_weights: bool = False) -> PreTrainedModel:
        """Build the model as it is before any training, and in its shape after it, with a head for the data's labels.

        It is a function of config and data: random weights follow from the seed. Without weights it is on the meta
        device.
        """
        seed_everything(self.config.seed, verbose=False)
        return _whole_model(self.config, data=self.data, without_weights=without_weights)

    def model(self, *, without_weights: bool = False) -> PreTrainedModel:
        """Build the model to train: the whole one, changed as the configuration asks."""
        config, data = self.config, self.data
        model = self.whole_model(without_weights=without_weights)
        if data.reset_positions and not is_ragged(model):
            raise UserError(
                f"data.reset_positions=true: {model.config.model_type} numbers positions by itself; set it to false"
            )
        for change in self.changes:
            change.apply(model)
        take_faster_dropout(model)
        choose_kernels(model, attention_kernel=config.trainer.attention, compiled=config.trainer.compile)
        return model

    def finetuner(self, model: PreTrainedModel) -> Finetuner:
        """Build what takes the optimizer steps."""
        config, recipe = self.config, self.config.optimization
        return Finetuner(
            model,
            task=self.data.task,
            languages=self.data.numbered_languages,
            source_languages=self.data.train_languages,
            tokens_per_device=config.trainer.tokens_per_device,
            recipe=Recipe(
                seed=config.seed,
                total_steps=self.num_steps,
                learning_rate=recipe.learning_rate,
                warmup=recipe.warmup,
                weight_decay=recipe.weight_decay,
                schedule=recipe.schedule,
                clip=recipe.clip,
                layer_decay=recipe.layer_decay,
            ),
            objective=config.objective,
            dev_languages=self.data.dev_languages,
        )


def _whole_model(config: TrainConfig, *, data: MultilingualDataModule, without_weights: bool) -> PreTrainedModel:
    """Build the model for these data, of which no row need be read."""
    return load_model(
        HEADS[config.head.name],
        config.encoder.path,
        revision=config.encoder.revision,
        pretrained=config.encoder.pretrained,
        overrides=config.encoder.overrides,
        label_names=data.task.labels,
        label_aliases=data.task.aliases,
        max_length=data.max_length,
        without_weights=without_weights,
    )


def prepare(config: TrainConfig) -> Prepared:
    """Read and tokenize all that a run reads; raise UserError for most of what can be wrong with a configuration."""
    # First what no machine can do, then what this one cannot.
    check_precision(config.encoder.path, revision=config.encoder.revision, precision=str(config.trainer.precision))
    accelerator = check_devices(config.trainer, precision=str(config.trainer.precision))
    encoder = config.encoder
    tokenizer = load_tokenizer(encoder.path, revision=encoder.revision)
    check_ids(tokenizer, encoder.path, revision=encoder.revision, overrides=encoder.overrides)
    data = build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=tokenizer,
        tokens_per_device=config.trainer.tokens_per_device,
        batch_size=config.optimization.batch_size,
        seed=config.seed,
        num_workers=num_workers(config.trainer),
        pin_memory=accelerator == "gpu",
        vocabulary=config.encoder.vocabulary,
    )
    _check_scores(config, data=data)
    data.dev_languages = dev_languages(
        config.objective,
        config.objective_languages,
        evaluated=data.languages,
        source_languages=data.train_languages,
        compare=config.checkpoint.compare,
    )
    _warn(config, data=data)
    # What config.json and the headers of weights say is known before any row is read.
    _whole_model(config, data=data, without_weights=True)
    # All data are read before anything is trained, so that a missing file is known now and not after the last step.
    data.prepare("train", languages=data.trained_languages)
    data.check_selectable()
    data.prepare("validation", languages=data.validated_languages)
    scored = _scored(config, data=data)
    for split, languages in scored.items():
        data.prepare(split, languages=languages)
    return Prepared(config=_with_languages(config, data=data), data=data, scored=scored)


def _check_scores(config: TrainConfig, *, data: MultilingualDataModule) -> None:
    """Raise UserError where something asks for scores that compare between languages, and the task's do not."""
    if data.task.compares_languages:
        return
    for key, value in {"objective": config.objective, "checkpoint.compare": config.checkpoint.compare or None}.items():
        if value is not None:
            raise UserError(
                f"{key}={value}: head={data.task.head} has log-likelihoods as scores, not fractions of 1; leave it "
                "out here, and choose or sweep by the scores of a task that is fine-tuned from the pretrained encoder"
            )


def _warn(config: TrainConfig, *, data: MultilingualDataModule) -> None:
    """Log what is allowed and probably not meant."""
    if data.train_split != "train":
        log.warning(
            "training on the %s split: scores on it, and the checkpoint that they select, do not measure what was "
            "learned",
            data.train_split,
        )
    if config.encoder.freeze_embeddings and not config.encoder.pretrained:
        log.warning(
            "encoder.freeze_embeddings=true with encoder.pretrained=false: embeddings are random and stay so; set it "
            "to false, or for the bundled encoder take encoder=mini_random"
        )


def _scored(config: TrainConfig, *, data: MultilingualDataModule) -> dict[str, list[str]]:
    """Return which languages are scored in which split."""
    split = chosen_split(data)
    scored = {}
    if config.objective is not None:
        # Of all that have it, the source languages too, so that every objective can be computed from the scores.
        scored["validation"] = list(data.origin.available("validation", languages=data.numbered_languages))
    scored[split] = list(dict.fromkeys([*data.languages, *scored.get(split, [])]))
    return scored


def _with_languages(config: TrainConfig, *, data: MultilingualDataModule) -> TrainConfig:
    """Return the configuration with the languages that null stands for, and those that a regime trains on."""
    named = replace(config.data, languages=data.languages, train_languages=data.train_languages)
    if isinstance(named, LabelledConfig) and data.few_shot_languages:
        named = replace(named, few_shot=replace(named.few_shot, languages=data.few_shot_languages))
    return replace(
        config,
        data=named,
        # Where training reads them, other ones are another run.
        objective_languages=data.dev_languages or config.objective_languages,
    )
