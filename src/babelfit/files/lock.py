"""One process at a time works in a folder: a lock that the kernel takes back when its holder dies, however it dies.

The holder's process and host stand in the file `lock`, for messages. Where the file system has no locks, they are all
there is: then a process of this host is looked for by its number, and one of another host cannot be.
"""

import fcntl
import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from babelfit.errors import UserError

log = logging.getLogger(__name__)

FILE = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; raises UserError, with process and host, where another process holds it."""
    with (folder / FILE).open("a+", encoding="utf-8") as file:
        other = _holder(file, fcntl.LOCK_EX)
        if other is not None:
            # It may be somebody who only looks, in `holder`, and is done at once.
            time.sleep(0.05)
            other = _holder(file, fcntl.LOCK_EX)
        if other is not None:
            raise UserError(f"{other} works in {folder}: let it end, or stop it, and start again; nothing was changed")
        file.truncate(0)
        json.dump({"process": os.getpid(), "host": platform.node()}, file)
        file.flush()
        yield
        # Only for file systems without locks: the lock itself goes with the file's closing.
        file.truncate(0)


def holder(folder: Path) -> str | None:
    """Return which process holds a folder's lock, as `process N on HOST`; None if nobody does."""
    try:
        with (folder / FILE).open(encoding="utf-8") as file:
            return _holder(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return None


def _holder(file: IO[str], kind: int) -> str | None:
    """Take the lock and return None; return the holder where another process has it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(_entry(file))
    except OSError as error:
        log.debug("no lock on %s: %s", file.name, error)
        return _living_holder(_entry(file))
    return None


def _living_holder(entry: dict[str, object]) -> str | None:
    """Return who is noted as the holder, unless that process is known to be gone."""
    if entry.get("host") != platform.node():
        if entry:
            log.warning(
                "%s may still work here, or have died: this file system has no locks that would show it. If it works, "
                "stop one of the two",
                _describe(entry),
            )
        return None
    process = entry.get("process")
    # 0 and below stand for groups of processes.
    if process == os.getpid() or type(process) is not int or process < 1:
        return None
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        pass
    return _describe(entry)


def _entry(file: IO[str]) -> dict[str, object]:
    file.seek(0)
    try:
        entry = json.load(file)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _describe(entry: dict[str, object]) -> str:
    if not entry:
        return "another process"
    return f"process {entry.get('process')} on {entry.get('host')}"
