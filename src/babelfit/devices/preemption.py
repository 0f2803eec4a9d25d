"""SIGTERM and SIGUSR1: what a cluster sends before it takes the machine away. Knows no training.

Training and evaluation only note a signal, and answer it where nothing is half done: between two steps, with a
checkpoint, and wherever `answer` is called. An exception out of the handler itself could come anywhere: within a
destructor, which swallows it, or between a lock and what frees it. So only what loses nothing by that and may take long
is broken off at once: imports and downloads. Whoever sends another signal later does not want to wait, and gets such an
exception, too.
"""

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

EXIT_STATUS = os.EX_TEMPFAIL
"""75: not done, but the same command will go on."""

SECONDS_TO_REQUEUE = 60
"""How long the other processes wait for the one that puts the job back into the queue."""

KEYBOARD_STATUS = 128 + signal.SIGINT
"""130: stopped by Ctrl-C."""


SECONDS_BETWEEN = 1.0
"""Signals that follow one another more closely are one: a scheduler sends it to all processes, and some pass it on."""


class Preempted(BaseException):
    """A signal, by its name, ended the command; like KeyboardInterrupt, not for `except Exception`."""


class _Signals:
    """Which signal came, and whether it may end what is going on."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what came before."""
        self.received: str | None = None
        self.at_once = True
        self.is_closed = False  # the command ends already
        self._latest = 0.0

    def handle(self, number: int, _: FrameType | None) -> None:
        is_first, before = self.received is None, self._latest
        self.received, self._latest = signal.Signals(number).name, time.monotonic()
        if self.is_closed or (not is_first and self._latest - before < SECONDS_BETWEEN):
            return
        if self.at_once or not is_first:
            raise Preempted(self.received)


_signals = _Signals()


@contextmanager
def handle_signals() -> Iterator[None]:
    """Handle the signals for as long as a command runs, in the main thread, which alone may."""
    _signals.begin()
    before = [signal.signal(number, _signals.handle) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def note_signals() -> Iterator[None]:
    """Only note a signal, for `answer`; what came before is answered here.

    After an exception signals stay noted alone: the command is ending, and must come to write down why.
    """
    answer()
    before, _signals.at_once = _signals.at_once, False
    yield
    _signals.at_once = before


@contextmanager
def break_off_at_once() -> Iterator[None]:
    """Let a signal end at once what may take long and leaves nothing half done, within what only notes signals."""
    before, _signals.at_once = _signals.at_once, True
    try:
        answer()
        yield
    finally:
        _signals.at_once = before
    answer()  # where what goes on there has swallowed it


def answer() -> None:
    """End the command if a signal came to this process. To be called where nothing is half done."""
    if _signals.received is not None and not _signals.is_closed:
        raise Preempted(_signals.received)


def close() -> None:
    """Only note what else may come: the command ends, and nothing may break that off."""
    _signals.is_closed = True


def is_requested() -> bool:
    """Return whether a signal came to this process; all ranks stop if it came to any."""
    return _signals.received is not None


def raise_preempted() -> NoReturn:
    """End the command on this rank, for the signal that came to it or to another."""
    raise Preempted(_signals.received or "a signal to another process")


def requeue() -> None:
    """Put this job back into SLURM's queue, if it is one. SLURM ends the job at once, so this comes last."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    if not re.fullmatch(r"\d+(_\d+)?", job):
        log.warning("SLURM_JOB_ID=%s is not a job number: not requeued", job)
        return
    try:
        subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        log.warning("scontrol is not on PATH: job %s was not requeued; submit it again", job)
    except subprocess.CalledProcessError as error:
        log.warning("job %s was not requeued (%s); submit it again", job, error.stderr.strip())
    else:
        log.info("job %s is requeued", job)
