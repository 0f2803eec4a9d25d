"""Checkpoint files: written so that a crash at any moment leaves the earlier ones, and checked before they are used.

`checksums.json` names the SHA-256 of every checkpoint that was written whole, and its step. A file is whole if its hash
is named there, whatever the file is called: renaming and linking need no second bookkeeping that could fall behind.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from babelfit.checkpoints.rankings import SOURCE_DEV, Ranked, Rankings, steps_of
from babelfit.errors import UserError
from babelfit.files import atomic_files
from babelfit.files.untrusted_files import load_weights

log = logging.getLogger(__name__)

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"
TEMPORARY = "unfinished.tmp"
CHECKSUMS = "checksums.json"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A whole checkpoint, and what it says of itself."""

    path: Path
    step: int
    rankings: Rankings


class DurableCheckpointIO(TorchCheckpointIO):
    """Write straight to the disk, and remember the hash of what was to be written.

    Lightning's own collects the whole checkpoint in memory first, and then goes through the system's temporary folder.
    """

    def __init__(self) -> None:
        self._sha256 = ""
        self._failure: Exception | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint and wait until the disk has it; if that fails, `sha256` says so.

        Rank 0 alone comes here, while the others wait for it to return.
        """
        self._failure = None
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with Path(path).open("wb") as file:
                stream = _Hashing(file)
                torch.save(checkpoint, stream)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            self._sha256 = stream.sha256.hexdigest()
        # Any: the others wait for this rank, and would wait for ever.
        except Exception as error:
            self._failure = error

    def sha256(self) -> str:
        """Return the hash of the latest checkpoint, or raise why it could not be written."""
        if self._failure is not None:
            raise self._failure
        return self._sha256


class _Hashing:
    """A stream that hashes what passes through."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return int(self._file.write(data))

    def flush(self) -> None:
        self._file.flush()


class CheckpointFiles:
    """The files in a run's `checkpoints/`: the last, its forerunner, and `step-N.ckpt` for the best."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = folder / LAST
        self.temporary = folder / TEMPORARY
        self._hashes: dict[tuple[int, ...], str] = {}

    def at(self, step: int) -> Path:
        """Return the path of the checkpoint of a step that is among the best."""
        return self.folder / f"step-{step}.ckpt"

    # Writing

    def accept(self, sha256: str, *, step: int, ranked: Collection[int], before: Collection[int]) -> None:
        """Make the temporary file the last checkpoint, once it reads back as it was written.

        `ranked` are the steps in this checkpoint's rankings, `before` those of the one before it; files of neither go.
        Every crash in between leaves the earlier checkpoints as they were, under one name or another.
        """
        if (read := atomic_files.sha256(self.temporary)) != sha256:
            raise OSError(f"{self.temporary} does not read back as it was written ({read[:12]}, not {sha256[:12]})")
        kept = {*ranked, *before}
        listed = {key: of for key, of in (self._listed() or {}).items() if key != sha256}
        newest = list(listed)[-2:]  # the last and its forerunner
        self._list({key: of for key, of in listed.items() if of in kept or key in newest} | {sha256: step})
        if step in ranked:
            same_file(self.temporary, self.at(step))
        if self.last.exists():
            self.last.replace(self.folder / PREVIOUS)
        self.temporary.replace(self.last)
        atomic_files.sync(self.folder)
        self.keep(kept)

    def keep(self, steps: Collection[int]) -> None:
        """Delete the files of all steps but these."""
        kept = {self.at(step) for step in steps}
        for path in self.folder.glob("step-*.ckpt"):
            if path not in kept:
                path.unlink()

    def prune(self) -> None:
        """Leave only the best, once the run needs no resume any more."""
        for path in (self.last, self.folder / PREVIOUS, self.temporary):
            path.unlink(missing_ok=True)
        if (listed := self._listed()) is not None:
            self._list({sha256: step for sha256, step in listed.items() if self.at(step).exists()})

    # Reading

    def is_whole(self, path: Path) -> bool:
        """Return whether a file is a checkpoint as it was written; a missing one is not."""
        if not path.is_file():
            return False
        listed = self._listed()
        if listed is None:
            log.warning("%s is used unchecked: %s is missing", path, self.folder / CHECKSUMS)
            return True
        return self._sha256(path) in listed

    def newest(self, *, whole: Collection[str] | None = None) -> Found | None:
        """Return the newest whole checkpoint whose ranked ones are whole, too; None where there is no checkpoint.

        Of its rankings those that must be whole may be named, where the others have served.
        One that is damaged is named and passed over. So is one whose best checkpoint is damaged: training goes on from
        before that step, and comes to the same checkpoint again. Raises UserError where nothing whole is left.
        """
        there = [path for path in (self.last, self.folder / PREVIOUS) if path.is_file()]
        there += sorted(self.folder.glob("step-*.ckpt"), key=lambda path: -self._step_by_name(path))
        found: list[Found] = []
        for path in there:
            if not self.is_whole(path):
                log.warning("%s is damaged: its bytes differ from what was written, so it is not used", path)
                continue
            one = _read(path)
            needed = {name: of for name, of in one.rankings.items() if whole is None or name in whole}
            lost = [self.at(step) for step in sorted(steps_of(needed)) if not self.is_whole(self.at(step))]
            if lost:
                log.warning(
                    "%s is not used: %s, one of the best checkpoints at that step, is damaged or missing", path, lost[0]
                )
                continue
            if path == self.last:
                return one
            found.append(one)
        if there and not found:
            raise UserError(
                f"no checkpoint in {self.folder} can be used: delete this folder and the same command trains again "
                "from the start; nothing else in the run is lost"
            )
        if not found:
            return None
        newest = max(found, key=lambda one: one.step)
        log.warning("going on from %s (step %d) instead", newest.path, newest.step)
        # In the place of the damaged one, which must not become the forerunner of the next.
        same_file(newest.path, self.last)
        return newest

    @staticmethod
    def _step_by_name(path: Path) -> int:
        number = path.stem.removeprefix("step-")
        return int(number) if number.isdecimal() else -1

    def _sha256(self, path: Path) -> str:
        """Hash a file, once for all its names."""
        status = path.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = atomic_files.sha256(path)
        return self._hashes[key]

    def _listed(self) -> dict[str, int] | None:
        """Return the recorded hashes, and the step of each, oldest first; None where there is no list."""
        path = self.folder / CHECKSUMS
        if not path.is_file():
            return None
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
            return {str(sha256): int(step) for sha256, step in listed.items()}
        except (ValueError, AttributeError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"{path} is damaged ({error}): delete it, and the checkpoints beside it are used unchecked"
            ) from error

    def _list(self, listed: Mapping[str, int]) -> None:
        atomic_files.write_text(self.folder / CHECKSUMS, json.dumps(listed, indent=2) + "\n")


def _read(path: Path) -> Found:
    """Return a checkpoint's metadata; its weights stay on disk. Raise UserError where babelfit did not write it."""
    try:
        state = load_weights(path, mmap=True)
        return Found(path=path, step=int(state["global_step"]), rankings=rankings_in(state["callbacks"]["Checkpoints"]))
    except (RuntimeError, ValueError, KeyError, TypeError, OverflowError, EOFError) as error:
        raise UserError(f"{path} is not a babelfit checkpoint ({type(error).__name__}: {error})") from error


def rankings_in(state: Mapping[str, Any]) -> Rankings:
    """Read the rankings in the state of a checkpoint's callback; earlier ones had the best alone."""
    return {
        name: [Ranked(step=int(one["step"]), score=float(one["score"])) for one in ranking]
        for name, ranking in state.get("rankings", {SOURCE_DEV: state.get("best", ())}).items()
    }


def same_file(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no hard links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        atomic_files.sync(target)
