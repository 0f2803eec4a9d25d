"""Processes that are forked from this one, which has imported the stack: a new interpreter takes seconds to do so.

What a process inherits from the test beside its modules, it puts away: environment, arguments, open files, handlers.
What a test has put in the place of something, it keeps.
"""

import logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest import mock

INTERPRETERS_OWN = ("-P", "-u")
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Forked:
    """A command of Python's, `python [-P] SCRIPT|-m MODULE ...`, with the face of subprocess.Popen."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdout: IO[Any] | int | None = None,
        stderr: IO[Any] | int | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = [str(one) for one in command]
        self.returncode: int | None = None
        environment = dict(os.environ if env is None else env)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12, of threads that are left
            self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                if start_new_session:
                    os.setsid()
                _connect(stdout, stderr)
                _put_away(cwd=cwd, environment=environment)
                status = _run(self.args)
            except BaseException:
                traceback.print_exc()
            finally:
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
                os._exit(status)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said; raise TimeoutExpired where it goes on for longer."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = Forked(command, cwd=cwd, env=env, stdout=out, stderr=err, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(process.args, status, out.read(), err.read())


@contextmanager
def processes_forked() -> Iterator[None]:
    """Fork the processes of devices and of trials as well."""
    with mock.patch("babelfit.devices.launch.subprocess", SimpleNamespace(Popen=Forked, STDOUT=subprocess.STDOUT)):
        yield


def _connect(stdout: IO[Any] | int | None, stderr: IO[Any] | int | None) -> None:
    for number, given in ((1, stdout), (2, stderr)):
        if given is not None:
            os.dup2({subprocess.STDOUT: 1}.get(given, -1) if isinstance(given, int) else given.fileno(), number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    # Whatever another process would not inherit, locks among it. Numbers stay taken: somebody may yet close them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        try:
            if number > 2 and not os.get_inheritable(number):
                os.dup2(nothing, number, inheritable=False)
        except OSError:  # that of the listing itself
            continue


def _put_away(*, cwd: Path | None, environment: dict[str, str]) -> None:
    import torch
    from hydra.core.global_hydra import GlobalHydra

    os.environ.clear()
    os.environ.update(environment)
    if cwd is not None:
        os.chdir(cwd)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.root.handlers.clear()
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    GlobalHydra.instance().clear()
    # Threads do not outlive a fork, and OpenMP would wait for its own.
    torch.set_num_threads(1)


def _run(command: list[str]) -> int:
    arguments = [one for place, one in enumerate(command[1:]) if not (place == 0 and one in INTERPRETERS_OWN)]
    try:
        with processes_forked():
            if arguments[0] == "-m":
                sys.argv = arguments[1:]
                runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
            else:
                sys.argv = arguments
                sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
                runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    return 0
