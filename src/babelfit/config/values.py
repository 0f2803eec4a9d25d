"""Which values a configuration may have, by full key. The types stand in schema.py."""

import math
import re
from typing import Any

from babelfit.config.regimes import REGIMES
from babelfit.errors import UserError
from babelfit.files.documents import WORD

OBJECTIVES = ("source_dev", "mean_dev", "worst_dev", "target_dev")
"""By which number the best trial of a sweep is the best; scoring/objectives.py works them out."""

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
    "logger.tracker": ("wandb", "mlflow"),
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
    "data.mask_share": 1e-6,
    "optimization.learning_rate": 0,
    "optimization.batch_size": 1,
    "optimization.epochs": 1,
    "optimization.max_steps": 1,
    "optimization.warmup": 0,
    "optimization.weight_decay": 0,
    "optimization.clip": 1e-6,
    "optimization.layer_decay": 1e-6,
    "encoder.freeze_layers": 0,
    "encoder.embedding_dropout": 0,
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

AT_MOST: dict[str, float] = {
    "data.sampling_exponent": 1,
    "data.mask_share": 1,
    "encoder.embedding_dropout": 0.9,
    "optimization.layer_decay": 1,
}

OF_LANGUAGES = (
    "languages",
    "objective_languages",
    "data.languages",
    "data.train_languages",
    "data.few_shot.languages",
)
"""Keys whose values name languages, which files are named by."""

WITHOUT_FSDP = ("16-mixed", "64-true")
"""Precisions that sharded weights cannot have."""


def check_values(values: dict[str, Any]) -> None:
    """Raise UserError for a value that is not allowed, with its full key and what is."""
    flat = by_full_key(values)
    for key in OF_LANGUAGES:
        for language in flat.get(key) or ():
            if not re.fullmatch(WORD, language):
                raise UserError(
                    f"{key}: {language!r} is not a language code; expected letters, digits, '-' and '_', as in 'en'"
                )
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
            f"trainer.strategy=fsdp does not support trainer.precision={flat['trainer.precision']}; use bf16-mixed or "
            "32-true"
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
