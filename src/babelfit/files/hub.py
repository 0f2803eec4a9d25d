"""Repositories of the Hugging Face Hub as local folders: the files that are needed of one commit, downloaded once.

They lie in the Hub's own cache, so that the next run needs no network for them. Behind `download` a dataset or an
encoder of the Hub is a folder like any other; what its files say is not for here.
"""

import errno
import logging
import socket
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from babelfit.errors import UserError, first_line

log = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]

SECONDS_TO_CONNECT = 5

MAIN = "main"
"""The branch that stands for no revision."""


@cache
def download(repo: str, *, kind: Kind, revision: str | None, patterns: tuple[str, ...]) -> Path:
    """Download the files of a repository that match some patterns; return the folder of its commit.

    `revision` is a branch, a tag or a commit (None: main); the folder's name is the commit. What is in the cache is
    not downloaded again, and with HF_HUB_OFFLINE=1 nothing else is asked for. The same question has the same answer
    until the process ends, even if the branch moves. A pattern that matches nothing is no error. Raises UserError for
    everything that goes wrong, naming the repository, the revision and the next move.
    """
    there = _cached(repo, kind=kind)
    unreachable = None if is_offline() else _why_unreachable(constants.ENDPOINT)
    try:
        folder = Path(
            snapshot_download(
                repo,
                repo_type=kind,
                revision=revision or MAIN,
                allow_patterns=list(patterns),
                # The client would try again and again, with a line for each.
                local_files_only=unreachable is not None,
            )
        )
    except Exception as error:
        if unreachable is not None and isinstance(error, LocalEntryNotFoundError):
            error.__cause__ = unreachable
        # The client's transports (HTTP, Xet) raise errors of their own, without a class in common.
        raise UserError(_explain(error, repo=repo, kind=kind, revision=revision or MAIN)) from error
    files = {path for path in _cached(repo, kind=kind) if path.is_relative_to(folder)}
    wanted = {path for path in files if any(fnmatch(path.relative_to(folder).as_posix(), name) for name in patterns)}
    new = wanted - there
    for level, part, what in (
        (logging.INFO, new, f"downloaded to {constants.HF_HUB_CACHE}"),
        (logging.DEBUG, wanted & there, "already there"),
    ):
        if part:
            size = sum(path.stat().st_size for path in part) / 1e6
            log.log(level, "%s at %s: %d files, %.1f MB, %s", repo, folder.name, len(part), size, what)
    return folder


def _why_unreachable(url: str) -> OSError | None:
    """Return why nothing can be connected to at an address; None where it can, or where a proxy is asked instead."""
    address = urlsplit(url)
    if getproxies().get(address.scheme) is not None and not proxy_bypass(str(address.hostname)):
        return None
    try:
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        socket.create_connection((str(address.hostname), port), timeout=SECONDS_TO_CONNECT).close()
    except OSError as error:
        return error
    return None


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE=1 forbids the network."""
    return bool(constants.HF_HUB_OFFLINE)


def is_snapshot(folder: str) -> bool:
    """Return whether a folder is what `download` returned, and not the user's own."""
    return Path(folder).is_relative_to(_cache())


def _cache() -> Path:
    """Return the Hub's cache by the name that its client gives it, which resolves links."""
    return Path(constants.HF_HUB_CACHE).expanduser().resolve()


def _cached(repo: str, *, kind: Kind) -> set[Path]:
    """Return the cached files of a repository, in all its commits."""
    snapshots = _cache() / f"{kind}s--{repo.replace('/', '--')}" / "snapshots"
    return {path for path in snapshots.glob("*/**/*") if path.is_file()}


def _explain(error: Exception, *, repo: str, kind: Kind, revision: str) -> str:
    """Return what went wrong and the next move."""
    name = f"{kind} {repo} at {revision}"
    key = "data.revision" if kind == "dataset" else "encoder.revision"
    hub = constants.ENDPOINT
    login = "log in with `hf auth login`, or set HF_TOKEN"
    fetch = (
        "Where there is network, `babelfit fetch` with the arguments of the run downloads all that it needs; "
        f"with that in {constants.HF_HUB_CACHE}, HF_HUB_OFFLINE=1 does without"
    )
    if isinstance(error, HFValidationError):
        return f"{repo!r} is no name of a repository on the Hub: {first_line(error)}"
    if isinstance(error, GatedRepoError):
        page = f"{hub}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        return f"{name} is gated: accept its conditions on {page}, then {login}"
    if isinstance(error, RepositoryNotFoundError):
        return f"{name}: {hub} has no such {kind}, or not for you. Check the name; where it is private, {login}"
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{name}: {hub} has no such revision. Set {key} to a branch, a tag or a commit of {repo}, or null for main"
        )
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
    if isinstance(cause, HfHubHTTPError):
        status = cause.response.status_code
        if status in (401, 403):
            return f"{name}: {hub} refuses access ({status}). If you have access, {login}"
        return f"{name}: {hub} answered {status}. Try again later: what has been downloaded stays"
    if is_offline():
        return (
            f"{name}: not all of it is in {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE=1 forbids the network. {fetch}"
        )
    if isinstance(error, LocalEntryNotFoundError):
        return f"{name}: {hub} cannot be reached ({first_line(cause or error)}). {fetch}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{name}: no space is left in {constants.HF_HUB_CACHE}: free some, or set HF_HUB_CACHE elsewhere"
    return (
        f"{name}: the download broke off ({type(error).__name__}: {first_line(error)}). Start the command again: "
        "whole files stay"
    )
