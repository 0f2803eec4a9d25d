"""A command gets along with what it is started in: terminals, notebooks, users without a home."""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from babelfit.commands.session import cli_session
from babelfit.errors import UserError
from babelfit.rows.encoding import cache_folder


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "koi8-r"])
def test_what_a_terminal_has_no_character_for_is_replaced(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    terminal = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(terminal, encoding=encoding))
    with cli_session():
        sys.stdout.write("Übung … • 龘 is 1\n")
        sys.stdout.flush()
    assert terminal.getvalue().endswith(b"? is 1\n")


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "module://nowhere", "QtAgg"])
def test_the_pictures_of_a_command_need_no_backend_of_a_notebook(backend: str) -> None:
    code = (
        "from babelfit.commands.session import cli_session\n"
        "with cli_session():\n    import matplotlib\n    print(matplotlib.get_backend())"
    )
    environment = os.environ | {"MPLBACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.lower(), done.returncode) == ("agg\n", 0), done.stderr


def _heeds_nothing(is_ready: Event) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    is_ready.set()
    time.sleep(60)


@pytest.mark.parametrize("error", [None, UserError("it"), OSError("it"), RuntimeError("it")])
def test_a_command_waits_for_no_child_that_heeds_no_signal(error: Exception | None) -> None:
    context = multiprocessing.get_context("fork")
    is_ready = context.Event()
    with suppress(SystemExit, RuntimeError), cli_session():
        context.Process(target=_heeds_nothing, args=(is_ready,), daemon=True).start()
        is_ready.wait()
        if error is not None:
            raise error
    assert multiprocessing.active_children() == []


def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "BABELFIT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123456)  # whom no passwd knows


def test_a_user_without_a_home_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _no_home(monkeypatch)
    with pytest.raises(UserError, match="set BABELFIT_CACHE to a folder that can be written"):
        cache_folder()
    monkeypatch.setenv("BABELFIT_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"


def test_a_cache_that_cannot_be_made_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, value in (("BABELFIT_CACHE", tmp_path / "file"), ("XDG_CACHE_HOME", tmp_path / "file")):
        monkeypatch.delenv("BABELFIT_CACHE", raising=False)
        monkeypatch.setenv(name, str(value))
        with pytest.raises(UserError, match=r"file.*set BABELFIT_CACHE"):
            cache_folder()
