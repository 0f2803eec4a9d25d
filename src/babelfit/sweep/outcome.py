"""How a trial ended: what its process's status, its run folder and its log say of it."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from babelfit.devices import preemption
from babelfit.errors import UserError
from babelfit.run.run import Run

STOPPED = (preemption.EXIT_STATUS, preemption.KEYBOARD_STATUS)
"""Exit statuses of trials that somebody stopped: who stops one wants no other."""


class Outcome(NamedTuple):
    """How a trial ended: complete, pruned, failed, or stopped by somebody."""

    state: str
    why: str = ""
    objectives: Mapping[str, float] = {}  # of a complete one
    status: int = preemption.EXIT_STATUS  # for the sweep to end with, where it was stopped


class Before(NamedTuple):
    """What an earlier start of a trial has left."""

    status: str  # status.json
    log: int  # bytes

    @classmethod
    def at(cls, folder: Path) -> "Before":
        """Return what is there now."""
        log = log_path(folder)
        return cls(status=_status_text(folder), log=log.stat().st_size if log.exists() else 0)


def of_process(status: int, folder: Path, *, before: Before, is_asked_to_end: bool) -> Outcome:
    """Return how a process of ours ended: by its status, what it wrote into its folder, and else by its last words."""
    if status in STOPPED or (status < 0 and is_asked_to_end):
        return Outcome("stopped", status=max(status, preemption.EXIT_STATUS))
    if status < 0:
        name = signal.Signals(-status).name
        hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
        return Outcome("failed", f"killed by {name}{hint}")
    if status and _status_text(folder) == before.status:
        # It ended before it could open its folder: what stands there is of an earlier start.
        return Outcome("failed", _last_words(log_path(folder), start=before.log))
    return _of_status(folder, before=before)


def of_job(folder: Path, *, before: Before, is_over: bool) -> Outcome:
    """Return how the job of a trial ended, of which there is no status: by its folder and its log.

    Where it is not known to be over, only an end that is written down counts.
    """
    log = log_path(folder)
    if _status_text(folder) != before.status:
        ended = _of_status(folder, before=before)
        return ended if is_over or ended.state != "failed" else Outcome("stopped")
    has_begun = log.is_file() and log.stat().st_size > before.log
    if is_over and has_begun:
        return Outcome("failed", _last_words(log, start=before.log))
    return Outcome("stopped")


def of_folder(folder: Path) -> Outcome | None:
    """Return how a trial has ended that nobody recorded, where its folder says so: complete or pruned; else None."""
    ended = _of_status(folder, before=Before.at(folder))
    return ended if ended.state in ("complete", "pruned") else None


def _of_status(folder: Path, *, before: Before) -> Outcome:
    """Return what status.json says."""
    try:
        status = Run(folder).status()
    except UserError as error:
        return Outcome("failed", str(error))
    state, why = status.state, status.why or ""
    if state == "complete":
        return Outcome(state, objectives=status.objectives)
    if state == "pruned":
        return Outcome(state, why)
    if state == "interrupted":
        return Outcome("stopped")
    return Outcome("failed", _last_words(log_path(folder), start=before.log) if state == "new" else why or state)


def _last_words(path: Path, *, start: int) -> str:
    """Return the error that a trial's log ends with, or else its last line."""
    said = path.read_bytes() if path.is_file() else b""
    lines = [line for line in said[start:].decode(errors="replace").splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.startswith("error ")]
    words = "\n".join(lines[errors[-1] :]) if errors else "".join(lines[-1:])
    return words.removeprefix("error ") or f"it said nothing; see {path}"


def _status_text(folder: Path) -> str:
    path = folder / "status.json"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def log_path(folder: Path) -> Path:
    """Return the file beside a trial's folder that holds what its process said."""
    return folder.with_name(f"{folder.name}.log")
