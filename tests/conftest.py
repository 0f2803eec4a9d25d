"""Shared fixtures: no network, a cache of its own, small encoders with random weights, tiny data."""

import gc
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hub_server import StandIn

# Before any import of the stack: these are read once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_EVALUATE_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_CACHE"] = str(Path(__file__).parent / "no-hub-cache")  # never written: what a user has is not found
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what imports made, half a million objects: every run collects twice."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection but those on the loopback."""
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BABELFIT_CACHE", str(cache))


@pytest.fixture(scope="session")
def labelled_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled parts of the bundled sample, whole, for reading alone: writing them takes seconds."""
    from babelfit.sample import write_ner, write_nli, write_paraphrase

    folder = tmp_path_factory.mktemp("labelled-sample")
    for write in (write_nli, write_paraphrase, write_ner):
        write(folder)
    return folder


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where outputs/ will be written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not there: {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[StandIn]":
    """A stand-in for the Hub with the datasets and a few small encoders, two commits each."""
    import hub_repos
    from hub_server import StandIn

    server = StandIn()
    hub_repos.add_all(server, tmp_path_factory.mktemp("hub"))
    yield server
    server.stop()


@pytest.fixture
def hub(hub_server: "StandIn", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "StandIn":
    """The stand-in in the Hub's place for this process, with an empty cache; nothing asked for, no faults."""
    from huggingface_hub import constants

    from babelfit.files.hub import download

    download.cache_clear()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub_server.url)
    template = hub_server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    (tmp_path / "hub-cache").mkdir()
    (tmp_path / "hub-link").symlink_to(tmp_path / "hub-cache")  # as on many clusters
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-link"))
    monkeypatch.setattr(hub_server, "requests", [])
    monkeypatch.setattr(hub_server, "faults", {})
    return hub_server
