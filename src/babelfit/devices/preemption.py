"""SIGTERM and SIGUSR1: what a cluster sends before it takes the machine away. Knows no training.

In training a signal is only noted, and answered between two steps, with a checkpoint; anywhere else it ends the command
at once.
"""

import logging
import os
import re
import signal
import subprocess
import threading
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


class Preempted(BaseException):
    """A signal, by its name, ended the command; like KeyboardInterrupt, not for `except Exception`."""


class _Signals:
    """Which signal came, and whether it may end what is going on."""

    def __init__(self) -> None:
        self.received: str | None = None
        self.at_once = True

    def handle(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        if self.at_once:
            # Once: a second signal must not break off the writing down of the first.
            self.at_once = False
            raise Preempted(self.received)


_signals = _Signals()


@contextmanager
def handle_signals() -> Iterator[None]:
    """Handle the signals for as long as a command runs."""
    _signals.received, _signals.at_once = None, True
    before = [signal.getsignal(number) for number in SIGNALS]
    install()
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)


def install() -> None:
    """Make ours the handlers, also after Lightning has put its own in front of them.

    Lightning's would end training without a checkpoint, and on several devices start a broadcast from within the
    handler. Only the main thread may; elsewhere they stay whose they are.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        signal.signal(number, _signals.handle)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Only note a signal while training goes on; one that nobody asked for is answered at the end.

    After an exception signals stay noted alone: the command is ending, and must come to write down why.
    """
    _signals.at_once = False
    yield
    if _signals.received is not None:
        raise Preempted(_signals.received)
    _signals.at_once = True


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
