"""How a trial ended: what its process's status, its run folder and its log say of it."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

from babelfit import preemption
from babelfit.errors import UserError
from babelfit.run import Run

STOPPED = (preemption.EXIT_STATUS, preemption.KEYBOARD_STATUS)
"""Exit statuses of trials that somebody stopped: who stops one wants no other."""


class Ended(NamedTuple):
    """How a trial ended: complete, pruned, failed, or stopped by somebody."""

    state: str
    why: str = ""
    status: int = preemption.EXIT_STATUS  # for the sweep to end with, where it was stopped


class Before(NamedTuple):
    """What an earlier start of a trial has left."""

    status: str  # status.json
    log: int  # bytes

    @classmethod
    def at(cls, folder: Path) -> "Before":
        """Look now."""
        log = log_of(folder)
        return cls(status=_status_text(folder), log=log.stat().st_size if log.exists() else 0)


def of_process(status: int, folder: Path, *, before: Before) -> Ended:
    """Say how a process of ours ended: by its status, what it wrote into its folder, and else by its last words."""
    if status in STOPPED:
        return Ended("stopped", status=status)
    ended = of_folder(folder, log_before=before.log)
    if ended.state != "failed":
        return ended
    if status < 0:
        name = signal.Signals(-status).name
        hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
        return Ended("failed", f"killed by {name}{hint}")
    if _status_text(folder) == before.status:
        # It ended before it could open its folder: what stands there is of an earlier start.
        return Ended("failed", _last_words(log_of(folder), start=before.log))
    return ended


def of_folder(folder: Path, *, log_before: int) -> Ended:
    """Say what a trial's folder, and the end of its log from so many bytes on, know of how it ended."""
    try:
        status = Run(folder).status()
    except UserError as error:
        return Ended("failed", str(error))
    state, why = status["state"], str(status.get("why", ""))
    if state in ("complete", "pruned"):
        return Ended(state, why)
    if state == "interrupted" or (state == "new" and not log_of(folder).is_file()):
        return Ended("stopped")
    return Ended("failed", _last_words(log_of(folder), start=log_before) if state == "new" else why)


def _last_words(path: Path, *, start: int) -> str:
    """Return the error that a trial's log ends with, or else its last line."""
    lines = [line for line in path.read_bytes()[start:].decode(errors="replace").splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.startswith("error ")]
    said = "\n".join(lines[errors[-1] :]) if errors else "".join(lines[-1:])
    return said.removeprefix("error ") or f"it said nothing; see {path}"


def _status_text(folder: Path) -> str:
    path = folder / "status.json"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def dev_scores(folder: Path) -> dict[str, Any]:
    """Read a trial's scores on dev; raises UserError where there are none."""
    from babelfit import scoring  # not above: torch would be imported before --help

    found = [scores for scores in scoring.read_all(folder) if scores["split"] == "validation"]
    if not found:
        raise UserError(f"{folder}/scores/validation.json is not there: no language has gold labels on validation")
    return found[0]


def log_of(folder: Path) -> Path:
    """Name the file beside a trial's folder that holds what its process said."""
    return folder.with_name(f"{folder.name}.log")
