"""A user's own folder of options beside conf/: which one a command has, and which of its files were read."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from babelfit.config.conf import CONF, shadowed_files

log = logging.getLogger(__name__)

COMMAND_LINE = "command-line"
"""Hydra's name for what --config-dir adds to its search path."""


def folder_of(hydra: Any) -> Path | None:
    """Return the user's folder that Hydra composed from, given what it says of itself; None where there was none."""
    sources = hydra.runtime.config_sources
    return next((Path(source.path) for source in sources if source.provider == COMMAND_LINE), None)


def log_files(folder: Path | None, *, name: str, overrides: Sequence[str], loader: ConfigLoader) -> None:
    """Log each file of a user's folder that a configuration was composed from, and those that never are."""
    if folder is None:
        return
    for path in shadowed_files(folder):
        own = CONF.name + "/" + path.relative_to(folder).as_posix()
        log.warning("%s is not read: babelfit has its own %s; give your file another name", _shown(path), own)
    for default in loader.compute_defaults_list(name, list(overrides), RunMode.RUN).defaults:
        path = folder / f"{default.config_path}.yaml"
        if path.is_file() and not (CONF / f"{default.config_path}.yaml").is_file():
            log.info("read %s", _shown(path))


def _shown(path: Path) -> str:
    """Return a path as it is shortest from the current folder."""
    return min(os.path.relpath(path), str(path.resolve()), key=len)
