"""The session of a command that Hydra has composed: what Hydra raises before it, and what is logged at its begin."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra

from babelfit.commands import users_files
from babelfit.commands.session import cli_session

FULL_ERROR = "HYDRA_FULL_ERROR"
"""The environment variable with which Hydra raises what it would show."""

_asked_for = os.environ.get(FULL_ERROR)  # by the user


@contextmanager
def raised_by_hydra() -> Iterator[None]:
    """Have Hydra raise what it refuses, up to a session."""
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        _as_asked_for()


@contextmanager
def hydra_session(hydra: Any) -> Iterator[None]:
    """Be in a session, given what Hydra says of itself, which shows from here on what is raised, as ever."""
    _as_asked_for()
    with cli_session():
        users_files.log_files(
            users_files.folder_of(hydra),
            name=hydra.job.config_name,
            overrides=hydra.overrides.task,
            loader=GlobalHydra.instance().config_loader(),
        )
        yield


def _as_asked_for() -> None:
    os.environ.pop(FULL_ERROR, None)
    if _asked_for is not None:
        os.environ[FULL_ERROR] = _asked_for
