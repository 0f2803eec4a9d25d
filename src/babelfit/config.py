"""Types of the configuration, checked once at the door; the values stand in conf/*.yaml, not here.

OmegaConf ends at `checked()`: everything behind it takes plain dataclasses or plain arguments.
"""

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from babelfit.errors import UserError
from babelfit.regimes import REGIMES
from babelfit.scoring.objectives import OBJECTIVES


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
    revision: str | None
    train_languages: list[str]
    languages: list[str] | None
    max_length: int
    limit: Limit
    train_split: str
    regime: str
    few_shot: FewShot
    sampling_exponent: float | None


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

ALLOWED: dict[str, tuple[str, ...]] = {
    "resume": ("auto", "never"),
    "selection": ("source_dev",),
    "objective": OBJECTIVES,
    "split": ("validation", "test"),
    "data.train_split": ("train", "validation"),
    "data.regime": REGIMES,
    "data.undecodable": ("refuse", "skip"),
    "encoder.vocabulary": ("active", "full"),
    "validation.at_chance": ("warn", "stop"),
    "optimization.schedule": ("linear", "constant"),
    "sweep.search": ("grid", "tpe"),
    "sweep.keep": ("all", "best"),
    "sweep.storage": ("sqlite", "journal"),
    "trainer.strategy": ("auto", "ddp", "fsdp"),
    "trainer.attention": ("auto", "padded", "nested"),
    "trainer.precision": ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"),
}

AT_LEAST: dict[str, float] = {
    "seed": 0,
    "data.max_length": 8,
    "data.limit.train": 1,
    "data.limit.validation": 1,
    "data.limit.test": 1,
    "data.few_shot.k": 1,
    "data.sampling_exponent": 0,
    "data.held_out": 1e-9,
    "optimization.learning_rate": 0,
    "optimization.batch_size": 1,
    "optimization.epochs": 1,
    "optimization.max_steps": 1,
    "optimization.warmup": 0,
    "optimization.weight_decay": 0,
    "optimization.clip": 1e-6,
    "optimization.layer_decay": 1e-6,
    "encoder.freeze_layers": 0,
    "validation.patience": 1,
    "validation.chance_patience": 1,
    "checkpoint.every": 1,
    "checkpoint.keep": 1,
    "checkpoint.average": 2,
    "trainer.devices": 1,
    "trainer.num_nodes": 1,
    "trainer.tokens_per_device": 1,
    "trainer.workers": 0,
    "logger.every": 1,
    "sweep.trials": 1,
    "sweep.seed": 0,
    "sweep.workers": 1,
    "sweep.best": 1,
}

AT_MOST: dict[str, float] = {"data.sampling_exponent": 1, "optimization.layer_decay": 1}

WITHOUT_FSDP = ("16-mixed", "64-true")
"""Precisions that sharded weights cannot have."""


def checked(config: DictConfig, kind: type[Config]) -> Config:
    """Turn a composed configuration into its typed dataclass.

    Raises UserError for an unknown key, a missing key, a wrong type or a value out of range, naming the full key.
    """
    if kind is TrainConfig and "sweep" in config:
        # How trials are chosen is no part of any of them.
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "sweep"])
    schema = OmegaConf.structured(kind)
    if OmegaConf.select(config, "data.name") == "text":
        schema.data = OmegaConf.structured(TextConfig)
    try:
        merged = OmegaConf.merge(schema, config)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise UserError(f"no value for {', '.join(missing)}: give it one, as in {missing[0]}=VALUE")
        typed: Config = OmegaConf.to_object(merged)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(_told(error)) from error
    _check_values(asdict(typed))
    if isinstance(typed, TrainConfig) and typed.trainer.precision is None:
        raise UserError(f"trainer.precision=null: must be one of {', '.join(ALLOWED['trainer.precision'])}")
    return typed


def _told(error: OmegaConfBaseException) -> str:
    """Say an OmegaConf error in one line that begins with the full key."""
    first = str(error).splitlines()[0].rstrip(".")
    key = error.full_key or getattr(error, "key", None)
    return f"{key}: {first}" if key else first


def _check_values(values: dict[str, Any]) -> None:
    flat = by_full_key(values)
    for key, allowed in ALLOWED.items():
        if (value := flat.get(key)) is not None and value not in allowed:
            raise UserError(f"{key}={value}: must be one of {', '.join(allowed)}")
    for key, least in AT_LEAST.items():
        if (value := flat.get(key)) is not None and not value >= least:
            raise UserError(f"{key}={value}: must be at least {least:g}")
        if value == math.inf:
            raise UserError(f"{key}={value}: must be finite")
    for key, most in AT_MOST.items():
        if (value := flat.get(key)) is not None and value > most:
            raise UserError(f"{key}={value}: must be at most {most:g}")
    every = flat.get("validation.every")
    if every is not None and every != "epoch" and not (every.isdecimal() and int(every) >= 1):
        raise UserError(f"validation.every={every}: must be 'epoch' or a number of optimizer steps, at least 1")
    if flat.get("checkpoint.average") is not None and not flat["checkpoint.compare"]:
        raise UserError(
            f"checkpoint.average={flat['checkpoint.average']} is scored beside other selections: add "
            "checkpoint.compare=true"
        )
    if flat.get("trainer.strategy") == "fsdp" and flat["trainer.precision"] in WITHOUT_FSDP:
        raise UserError(
            f"trainer.strategy=fsdp cannot do trainer.precision={flat['trainer.precision']}; use bf16-mixed or 32-true"
        )
    name = flat.get("name")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=,+-]*(/[A-Za-z0-9][A-Za-z0-9._=,+-]*)*", name):
        raise UserError(
            f"name={name!r}: must be a path below outputs/, of letters, digits and ._=,+- (each part begins with a "
            "letter or digit)"
        )


def by_full_key(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lay out nested values by full key, as in `data.max_length`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= by_full_key(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
