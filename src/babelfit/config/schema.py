"""Types of the configuration, checked once at the door; the values stand in conf/*.yaml, not here.

OmegaConf ends at `checked()`: everything behind it takes plain dataclasses or plain arguments.
"""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from babelfit.config.values import ALLOWED, check_values
from babelfit.errors import UserError


@dataclass
class Limit:
    train: int | None
    validation: int | None
    test: int | None


@dataclass
class FewShot:
    k: int
    languages: list[str] | None


@dataclass
class DataConfig:
    name: str
    folder: str | None
    train_languages: list[str]
    languages: list[str] | None
    max_length: int
    limit: Limit
    sampling_exponent: float | None


@dataclass
class LabelledConfig(DataConfig):
    revision: str | None
    train_split: str
    regime: str
    few_shot: FewShot


@dataclass
class Columns:
    text: str
    language: str


@dataclass
class TextConfig(DataConfig):
    files: str | None
    columns: Columns
    held_out: float
    undecodable: str
    reset_positions: bool
    mask_share: float


DATA_OPTIONS: dict[str, type[DataConfig]] = {"text": TextConfig}
"""The options of data, by their name, that are no labelled dataset."""


@dataclass
class EncoderConfig:
    name: str
    path: str
    revision: str | None
    pretrained: bool
    overrides: dict[str, Any]
    vocabulary: str
    gradient_checkpointing: bool
    freeze_embeddings: bool
    freeze_layers: int
    embedding_dropout: float | None


@dataclass
class HeadConfig:
    name: str


@dataclass
class OptimizationConfig:
    learning_rate: float
    batch_size: int
    epochs: int
    max_steps: int | None
    warmup: float
    weight_decay: float
    schedule: str
    clip: float | None
    layer_decay: float


@dataclass
class ValidationConfig:
    every: str
    patience: int | None
    chance_patience: int | None
    at_chance: str


@dataclass
class CheckpointConfig:
    every: int | None
    keep: int
    compare: bool
    average: int | None


@dataclass
class TrainerConfig:
    accelerator: str
    devices: int
    num_nodes: int
    strategy: str
    precision: str | None  # null, in evaluation alone: the run's own
    tokens_per_device: int
    attention: str
    compile: bool
    workers: int | None  # null: chosen by device


@dataclass
class LoggerConfig:
    every: int
    tensorboard: bool
    tracker: str | None
    project: str


@dataclass
class SweepConfig:
    search: str
    space: dict[str, Any]
    trials: int | None
    seed: int
    prune: bool
    workers: int
    retry: bool
    keep: str
    best: int
    storage: str
    dry_run: bool


@dataclass
class MultirunConfig:
    sweep: SweepConfig


@dataclass
class TrainConfig:
    name: str
    seed: int
    resume: str
    selection: str
    objective: str | None
    objective_languages: list[str] | None
    data: DataConfig
    encoder: EncoderConfig
    head: HeadConfig
    optimization: OptimizationConfig
    validation: ValidationConfig
    checkpoint: CheckpointConfig
    trainer: TrainerConfig
    logger: LoggerConfig


@dataclass
class EvaluateConfig:
    run: str | None
    model: str | None
    name: str | None
    split: str | None
    languages: list[str] | None
    data: DataConfig | None
    head: HeadConfig
    trainer: TrainerConfig


Config = TypeVar("Config", TrainConfig, EvaluateConfig, MultirunConfig)


def checked(config: DictConfig, kind: type[Config]) -> Config:
    """Turn a composed configuration into its typed dataclass.

    Raises UserError for an unknown key, a missing key, a wrong type or a value out of range, naming the full key.
    """
    if kind is TrainConfig and "sweep" in config:
        # How trials are chosen is no part of any of them.
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "sweep"])
    schema = OmegaConf.structured(kind)
    if kind is not MultirunConfig:
        options = DATA_OPTIONS.get(OmegaConf.select(config, "data.name"), LabelledConfig)
        schema.data = OmegaConf.structured(options)
    try:
        merged = OmegaConf.merge(schema, config)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise UserError(f"no value for {', '.join(missing)}: give it one, as in {missing[0]}=VALUE")
        typed: Config = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(_explain(error)) from error
    check_values(asdict(typed))
    if isinstance(typed, TrainConfig) and typed.trainer.precision is None:
        raise UserError(f"trainer.precision=null: must be one of {', '.join(ALLOWED['trainer.precision'])}")
    return typed


def _explain(error: OmegaConfBaseException) -> str:
    """Return an error of OmegaConf in one line that begins with the full key."""
    first = str(error).splitlines()[0].rstrip(".")
    key = error.full_key or getattr(error, "key", None)
    return f"{key}: {first}" if key else first
