"""One process at a time works in a folder; the kernel knows when it is gone, and else its number tells."""

import errno
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.files.lock import holder, locked

ME = f"process {os.getpid()} on {platform.node()}"


def test_a_lock_is_held_once_and_given_back(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path) == ME
        with pytest.raises(UserError, match=ME), locked(tmp_path):
            pass
        assert holder(tmp_path) == ME, "a refused one takes nothing with it"
    assert holder(tmp_path) is None
    with locked(tmp_path):
        pass


def test_a_mere_look_does_not_keep_anybody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path):
        pass
    with (tmp_path / "lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        with locked(tmp_path):
            assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="so"), locked(tmp_path):
        raise ValueError("so")
    assert holder(tmp_path) is None


def test_the_kernel_gives_it_back_after_a_kill(tmp_path: Path) -> None:
    code = (
        f"from babelfit.files.lock import locked; import pathlib, time\nwith locked(pathlib.Path({str(tmp_path)!r})):\n"
    )
    code += "    print('held', flush=True)\n    time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert holder(tmp_path) == f"process {process.pid} on {platform.node()}"
        process.send_signal(signal.SIGKILL)
    assert holder(tmp_path) is None
    assert json.loads((tmp_path / "lock").read_text())["process"] == process.pid


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)


def gone() -> int:
    """Give the number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_process_of_this_host_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"process": os.getppid(), "host": platform.node()}))
    assert holder(tmp_path) == f"process {os.getppid()} on {platform.node()}"
    with pytest.raises(UserError, match=f"process {os.getppid()}"), locked(tmp_path):
        pass
    (tmp_path / "lock").write_text(json.dumps({"process": gone(), "host": platform.node()}))
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()
    assert (tmp_path / "lock").read_text() == ""


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"process": "x", "host": 1}',
        '{"host": "HERE"}',
        '{"process": true, "host": "HERE"}',
        '{"process": -1, "host": "HERE"}',
        '{"process": 1000000000000000000000, "host": "HERE"}',
    ],
)
def test_without_locks_what_is_unknown_is_no_holder(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content.replace("HERE", platform.node()))
    assert holder(tmp_path) is None


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_process_of_another_host_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "lock").write_text(json.dumps({"process": 1, "host": "far"}))
    with locked(tmp_path):
        pass
    assert "process 1 on far may still work here" in caplog.text
