"""The same rows and models under another path: told by the manifest's SHA-256, they make no other run."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from babelfit.config.config_files import identity
from babelfit.config.schema import Config
from babelfit.config.values import by_full_key
from babelfit.encoder.loading import ModelFiles
from babelfit.rows.read import Read, digests
from babelfit.run import manifest
from babelfit.run.manifest import Manifest

log = logging.getLogger(__name__)

FOLDER = "data.folder"
SAMPLE = "sample"
"""The folder that stands for the bundled sample, which is told of in every score: no copy of it is the same."""

WORK = ("checkpoints", "model", "predictions")
"""What comes of the rows that were read: without, there is nothing that other rows could contradict."""


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What a command reads this time."""

    splits: Mapping[str, Mapping[str, Read]]
    models: Mapping[str, Callable[[], ModelFiles]] = field(default_factory=dict)  # by the key that names its path

    def moved(self, folder: Path, *, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
        """Return the paths that differ between two configurations, where nothing else does and the same lies there.

        Empty where they are different runs; a run that has read nothing yet may read from anywhere.
        """
        old, new = identity(before), identity(after)
        keys = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        if not keys or not keys <= {FOLDER, *self.models}:
            return {}
        known = manifest.read(folder)
        is_new = known == Manifest() and not any((folder / name).exists() for name in WORK)
        if not all(is_new or self._is_same(known, key, old=old.get(key), new=new.get(key)) for key in keys):
            return {}
        given = by_full_key(after)
        return {key: str(given[key]) for key in sorted(keys)}

    def _is_same(self, known: Manifest, key: str, *, old: Any, new: Any) -> bool:
        if old is None or new is None:
            return False
        if key != FOLDER:
            before = known.model if known.encoder is None else known.encoder
            return before is not None and bool(before.files) and before.files == self.models[key]().files
        if SAMPLE in (old, new):
            return False
        both = [
            (known.splits[split][language], read)
            for split, entries in self.splits.items()
            for language, read in entries.items()
            if language in known.splits.get(split, {})
        ]
        return bool(both) and all(digests(one) == digests(other) for one, other in both)


def log_moved(folder: Path, paths: Mapping[str, str]) -> None:
    """Say that a run goes on from other paths."""
    where = ", ".join(f"{key}={path}" for key, path in paths.items())
    log.info("%s: what it read lies elsewhere now, and is the same by its SHA-256: going on with %s", folder, where)


def with_paths(config: Config, paths: Mapping[str, str]) -> Config:
    """Return a configuration with other paths, by full key."""
    for key, path in paths.items():
        section, _, name = key.rpartition(".")
        changed: dict[str, Any] = {name: path}
        if section:
            changed = {section: replace(getattr(config, section), **changed)}
        config = replace(config, **changed)
    return config
