"""config.yaml: written into run folders, read back from any version, and compared. The types stand in schema.py."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING, OmegaConf

from babelfit.config.schema import Config, EvaluateConfig, TrainConfig, checked
from babelfit.config.values import by_full_key
from babelfit.errors import UserError, first_line
from babelfit.files.untrusted_files import read_yaml

VERSION = 3
"""Version of config.yaml; a run folder of an older version stays readable."""

NEW_IN_2: dict[str, dict[str, Any]] = {
    "": {"objective": None, "objective_languages": None},  # in no section, and in no evaluation
    "data": {
        "train_split": "train",
        "revision": None,
        "regime": "zero_shot",
        "few_shot": {"k": 10, "languages": None},
        "sampling_exponent": None,
    },
    "encoder": {
        "revision": None,
        "vocabulary": "full",
        "gradient_checkpointing": False,
        "freeze_embeddings": False,
        "freeze_layers": 0,
        "embedding_dropout": None,
    },
    "optimization": {"layer_decay": 1.0},
    "validation": {"chance_patience": None, "at_chance": "warn"},
    "checkpoint": {"compare": False, "average": None},
    "trainer": {"attention": "auto", "compile": False, "workers": None},
}
"""What version 1 did without being asked."""

NEW_IN_3: dict[str, dict[str, Any]] = {"logger": {"tracker": None, "project": "babelfit"}}
"""What versions 1 and 2 did without being asked."""

PATHS = ("data.folder", "encoder.path", "model", "run")
"""Keys that say where something lies."""

LEFT_IN_3 = ("revision", "train_split", "regime", "few_shot")
"""What is about labelled data, and stood without effect in the data of text, up to version 2."""


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the keys in which two runs are not the same run, as `key: old -> new`.

    What may change between a kill and a resume is left out: devices and memory, the evaluated languages, logging, a
    warning.
    """
    return changes(identity(old), identity(new))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ, as `key: old -> new`."""
    return [
        f"{key}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in sorted({*before, *after})
        if before.get(key, MISSING) != after.get(key, MISSING)
    ]


def identity(values: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a run the same run, by full key; a slash behind a path names no other place."""
    return {
        key: value.rstrip("/") or value if key in PATHS and isinstance(value, str) else value
        for key, value in by_full_key(values).items()
        if _is_identity(key)
    }


def _is_identity(key: str) -> bool:
    if key.startswith("trainer."):
        return key == "trainer.precision"
    watching = ("validation.chance_patience", "validation.at_chance")
    free = ("version", "resume", "data.languages", "languages", "split", *watching)
    return key not in free and not key.startswith("logger.")


def save(config: TrainConfig | EvaluateConfig, path: Path) -> None:
    """Write a resolved configuration, with its version, as YAML."""
    path.write_text(yaml.safe_dump({"version": VERSION} | asdict(config), sort_keys=False, allow_unicode=True))


def load(path: Path, kind: type[Config]) -> Config:
    """Read the configuration of a run or evaluation folder; raise UserError where there is none, or a newer one."""
    values = read_yaml(path)
    if not isinstance(values, dict) or "version" not in values:
        raise UserError(f"{path} is not the configuration of a babelfit run: it has no version")
    version = values.pop("version")
    if version not in range(1, VERSION + 1):
        raise UserError(f"{path} has version {version}; this babelfit reads versions 1 to {VERSION}")
    sections = {"": values} | values if kind is TrainConfig else values
    for newer, new in ((2, NEW_IN_2), (3, NEW_IN_3)):
        for section, added in new.items():
            if version < newer and isinstance(sections.get(section), dict):
                sections[section].update(added)
    data = values.get("data")
    if version < 3 and isinstance(data, dict) and data.get("name") == "text":
        values["data"] = {key: value for key, value in data.items() if key not in LEFT_IN_3}
    try:
        return checked(OmegaConf.create(values), kind)
    except (UserError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is not as a run writes it ({first_line(error)}): put back what stood there, or use a copy of it"
        ) from error
