"""The session of a command: how it logs, and how it ends on mistakes and signals."""

import io
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from babelfit.errors import Pruned, UserError
from babelfit.files.escaping import printable


@contextmanager
def cli_session() -> Iterator[None]:
    """Log to the terminal, and end with a message and an exit status instead of a traceback.

    2: a mistake that the user can mend. 130: Ctrl-C. 75: a signal; under SLURM the job is queued again. Of several
    processes the first to end says why.
    """
    # Not above: nobody shall wait for them before --help.
    from babelfit.devices import launch, preemption, ranks

    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(_NoRepetitions())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # For torch, which asks when it is imported: memory on the CPU in large pages, which are handed out more quickly.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # A notebook that starts a command hands on its own, which need not be installed here. Nothing is shown but files.
    os.environ["MPLBACKEND"] = "agg"
    # What a terminal or a file has no character for is replaced.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    launch.drop_foreign_rank_variables()
    ranks.quiet_other_ranks()
    launch.end_with_supervisor()

    def announce(what: str, why: str) -> None:
        if ranks.is_first_to_end(why):
            from rich.console import Console
            from rich.markup import escape

            text = escape(printable(why))
            Console(stderr=True).print(f"[bold red]{what}[/] {text}", highlight=False, soft_wrap=True)

    try:
        with preemption.handle_signals(), _without_children():
            try:
                yield
            except preemption.Preempted as stopped:
                # The next one must not keep the job from going back into the queue.
                preemption.close()
                announce("stopped", f"by {stopped}; the same command goes on where it stopped")
                ranks.end_after_first(preemption.requeue, seconds=preemption.SECONDS_TO_REQUEUE)
                sys.exit(preemption.EXIT_STATUS)
    except Pruned as error:
        announce("pruned", str(error))
    except (UserError, OSError) as error:
        # An OSError is a disk that is full, read-only or forbidden; what was written before stays.
        announce("error", str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        announce("stopped", "by the keyboard; the same command goes on from the last checkpoint")
        sys.exit(preemption.KEYBOARD_STATUS)
    except Exception as error:
        if ranks.is_first_to_end("".join(traceback.format_exception_only(error)).strip()):
            raise
        sys.exit(1)


@contextmanager
def _without_children() -> Iterator[None]:
    """Leave no process of a loader behind: Python would wait for it, and it heeds no signal."""
    try:
        yield
    finally:
        if children := multiprocessing.active_children():
            # torch's handler would raise for each that is gone.
            before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in children:
                child.kill()
                child.join()
            signal.signal(signal.SIGCHLD, before)


class _PrintableFormatter(logging.Formatter):
    """Format log lines as ever, but for control characters in what they quote."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _NoRepetitions(logging.Filter):
    """Drop what was said already, word for word: a model is checked each time that it is loaded. Warnings stay."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is a warning, or new."""
        message = record.getMessage()
        is_new = message not in self._said
        self._said.add(message)
        return is_new or record.levelno > logging.INFO
