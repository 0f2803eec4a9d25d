"""Datasets and encoders from the Hub, by its real client, from a stand-in on the loopback."""

import errno
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hub_repos
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub_repos import BARE, BIN, SAFETENSORS
from hub_server import StandIn
from huggingface_hub import constants

from babelfit.commands import cli
from babelfit.data import MultilingualDataModule
from babelfit.datasets import DATASETS
from babelfit.encoder import loading
from babelfit.errors import UserError
from babelfit.files import hub as babelfit_hub
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name in hub_repos.DATASETS if name in DATASETS]
XNLI = hub_repos.DATASETS["xnli"]


def built(name: str = "xnli", **settings: Any) -> MultilingualDataModule:
    defaults = {"folder": None, "revision": None, "train_languages": ["en"], "languages": ["en", "de", "fr"]}
    limit = dict.fromkeys(("train", "validation", "test"))
    sizes = {"max_length": 32, "batch_size": 4, "tokens_per_device": 256, "seed": 0}
    return DATASETS[name](
        **defaults | settings, **sizes, limit=limit, train_split="train", tokenizer=loading.load_tokenizer("mini")
    )


def rows(data: MultilingualDataModule, split: str, language: str) -> dict[str, list[Any]]:
    return data.open(split, language).to_dict()


def commits(hub: StandIn, kind: str, repo: str) -> list[tuple[str, Path]]:
    return list(hub.commits[kind, repo].items())


def weights(repo: str, revision: str | None) -> torch.Tensor:
    model = load_model(
        HEADS["sequence_classification"],
        repo,
        revision=revision,
        pretrained=True,
        overrides={},
        label_names=("a", "b"),
        max_length=32,
    )
    return model.base_model.embeddings.word_embeddings.weight.detach()


# Datasets


def write_as_text(name: str, folder: Path) -> Path:
    """Write the rows of the second commit as XTREME's text files."""
    for language in hub_repos.LANGUAGES:
        for split, file in (("train", "train"), ("validation", "dev"), ("test", "test")):
            rows = [hub_repos.row(name, language=language, number=100 + n) for n in range(hub_repos.ROWS[split])]
            if name == "wikiann":
                tagged = [zip(row["tokens"], row["ner_tags"], strict=True) for row in rows]
                lines = ["".join(f"{word}\t{hub_repos.TAGS[tag]}\n" for word, tag in row) + "\n" for row in tagged]
            elif name == "xnli":
                labels = ("entailment", "neutral", "contradiction")
                lines = [f"{row['premise']}\t{row['hypothesis']}\t{labels[row['label']]}\n" for row in rows]
            else:
                lines = [f"{row['sentence1']}\t{row['sentence2']}\t{row['label']}\n" for row in rows]
            path = folder / {"wikiann": "panx"}.get(name, name) / f"{file}-{language}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_rows_from_the_hub_are_those_of_text_files(name: str, hub: StandIn, tmp_path: Path) -> None:
    (_, _), (commit, _) = commits(hub, "dataset", DATASETS[name].dataset.hub_repo)
    folder = write_as_text(name, tmp_path / "text")
    here, there = built(name, folder=str(folder)), built(name)

    for split in ("train", "validation", "test"):
        for language in ("en", "de"):
            assert rows(there, split, language) == rows(here, split, language)
            assert here.read[split][language].layout == "XTREME"
            assert there.read[split][language].layout == "Hub parquet"
    assert there.origin.facts() == {"hub": DATASETS[name].dataset.hub_repo, "revision": commit}
    assert here.origin.facts() == {"folder": str(folder)}


def test_a_pinned_revision_is_honoured(hub: StandIn) -> None:
    (old, old_folder), _ = commits(hub, "dataset", XNLI)
    pinned = built(revision=old)

    assert rows(pinned, "test", "de") == rows(built(folder=str(old_folder)), "test", "de")
    assert rows(pinned, "test", "de") != rows(built(), "test", "de")
    assert pinned.origin.facts()["revision"] == old


def test_only_the_needed_files_are_downloaded_and_all_languages_at_once(hub: StandIn) -> None:
    data = built(languages=["en", "de"])
    data.prepare("train", languages=["en"])
    asked = len(hub.requests)

    assert data.has("test")

    assert len([path for _, path in hub.requests[asked:] if path.startswith("/api/")]) <= 1
    data.prepare("test", languages=["en", "de"])
    assert hub.downloaded() == [
        "de/test-00000-of-00001.parquet",
        "en/test-00000-of-00001.parquet",
        "en/train-00000-of-00002.parquet",
        "en/train-00001-of-00002.parquet",
    ]


def test_a_branch_that_moves_meanwhile_does_not_mix_commits(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    (old, old_folder), (new, new_folder) = commits(hub, "dataset", XNLI)
    monkeypatch.setitem(hub.commits, ("dataset", XNLI), {old: old_folder})
    data = built()
    data.open("train", "en")
    monkeypatch.setitem(hub.commits, ("dataset", XNLI), {old: old_folder, new: new_folder})

    assert rows(data, "test", "de") == rows(built(folder=str(old_folder)), "test", "de")


def test_a_regime_downloads_the_training_rows_that_it_needs(hub: StandIn) -> None:
    few = built(regime="few_shot", few_shot={"k": 2, "languages": ["de"]})
    few.download()

    folder = few.origin.folder("train", languages=["en"])
    assert {path.parent.name for path in folder.glob("*/train-*.parquet")} == {"en", "de"}
    every = built(regime="translate_train_all", train_languages=["fr"])
    assert every.trained_languages == ["en", "fr"]
    every.prepare("train", languages=every.trained_languages)
    assert {path.parent.name for path in folder.glob("*/train-*.parquet")} == {"en", "de", "fr"}


def test_what_was_downloaded_needs_no_network(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = commits(hub, "dataset", XNLI)[0][0]
    first = built(revision=commit)
    before = rows(first, "test", "de")
    asked = len(hub.requests)

    babelfit_hub.download.cache_clear()
    assert rows(built(revision=commit), "test", "de") == before

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    babelfit_hub.download.cache_clear()
    assert rows(built(revision=commit), "test", "de") == before
    assert len(hub.requests) == asked
    with pytest.raises(UserError, match="HF_HUB_OFFLINE=1"):
        built(revision=commit).open("test", "fr")


FAULTS: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"api": (401, "RepoNotFound")}, {}, ["no such dataset", "hf auth login"]),
    ({}, {"revision": "0" * 40}, ["no such revision", "data.revision", "null"]),
    ({"file": (403, "GatedRepo")}, {}, ["gated", "/datasets/facebook/xnli", "HF_TOKEN"]),
    ({"api": (401, "")}, {"revision": "main"}, ["hf auth login"]),
    ({"file": (403, "")}, {}, ["403"]),
    ({"api": (500, "")}, {}, ["answered 500", "later"]),
    ({"file": (503, "")}, {}, ["answered 503", "later"]),
    ({"api": (429, "")}, {}, ["answered 429", "later"]),
    ({"content": "cut"}, {}, ["broke off", "again"]),
    ({"content": "short"}, {}, ["broke off", "size", "again"]),
]


@pytest.mark.parametrize(("faults", "settings", "words"), FAULTS)
def test_a_fault_of_the_hub_names_repository_revision_and_next_move(
    faults: dict[str, Any], settings: dict[str, Any], words: list[str], hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client waits between its own tries.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.faults.update(faults)

    with pytest.raises(UserError) as refused:
        built(**settings).open("test", "de")

    for word in (XNLI, settings.get("revision", "main"), *words):
        assert word in str(refused.value)
    assert str(refused.value).count("\n") == 0

    hub.faults.clear()
    if "revision" not in settings:
        assert len(built().open("test", "de")) == hub_repos.ROWS["test"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://localhost:9", "https://127.0.0.1:9"])
def test_no_network_points_to_fetch_in_one_line_at_once(
    hub: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("tried again"))

    with pytest.raises(UserError, match=rf"{XNLI} at main: {address} cannot be reached .*refused.*babelfit fetch"):
        built().open("test", "de")
    assert [one.message for one in caplog.records if one.levelname != "INFO"] == []


def test_what_is_in_the_cache_needs_no_network(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(built().open("test", "de")) == hub_repos.ROWS["test"]
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    babelfit_hub.download.cache_clear()
    assert len(built().open("test", "de")) == hub_repos.ROWS["test"]


def test_a_full_disk_names_the_cache(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(babelfit_hub, "snapshot_download", full)

    with pytest.raises(UserError, match=f"no space is left in {constants.HF_HUB_CACHE}.*HF_HUB_CACHE"):
        built().open("test", "de")


def test_a_changed_schema_is_named(hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "changed"
    (folder / "de").mkdir(parents=True)
    pq.write_table(pa.table({"premise": ["a"], "gold": [0]}), folder / "de" / "test-00000-of-00001.parquet")
    monkeypatch.setattr(hub, "commits", dict(hub.commits))
    hub.add("dataset", XNLI, folder)

    with pytest.raises(UserError, match=r"found columns premise: string, gold: int64; expected premise as string"):
        built().open("test", "de")


def test_a_split_or_language_that_the_repository_lacks_is_named(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (_, whole) = commits(hub, "dataset", XNLI)
    part = tmp_path / "part"
    shutil.copytree(whole / "en", part / "en", ignore=shutil.ignore_patterns("test-*"))
    monkeypatch.setattr(hub, "commits", dict(hub.commits))
    (commit,) = hub.add("dataset", XNLI, part)
    data = built()

    assert not data.has("test")
    with pytest.raises(UserError, match=rf"{XNLI} at {commit} has no train split for language 'de'"):
        data.open("train", "de")


# Encoders


def test_an_encoder_comes_with_its_revisions_weights_as_safetensors(hub: StandIn) -> None:
    (old, _), (new, _) = commits(hub, "model", SAFETENSORS)
    weights_of = {revision: weights(SAFETENSORS, revision) for revision in (old, new, None)}

    assert torch.equal(weights_of[None], weights_of[new])
    assert not torch.equal(weights_of[old], weights_of[new])
    assert hub.downloaded() == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def test_an_encoder_without_safetensors_loads(hub: StandIn) -> None:
    _, (_, folder) = commits(hub, "model", BIN)
    expected = torch.load(folder / "pytorch_model.bin", weights_only=True)["embeddings.word_embeddings.weight"]

    assert torch.equal(weights(BIN, None), expected)


class Unpickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('an object of a stranger was unpickled')",)


def test_weights_that_hold_objects_are_refused(hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "objects"
    shutil.copytree(commits(hub, "model", BIN)[0][1], folder)
    torch.save({"embeddings.word_embeddings.weight": Unpickled()}, folder / "pytorch_model.bin")
    monkeypatch.setattr(hub, "commits", dict(hub.commits))
    hub.add("model", BIN, folder)

    with pytest.raises(UserError, match=f"the weights of {BIN} hold more than plain data .*safetensors"):
        weights(BIN, None)


@pytest.mark.parametrize(
    ("repo", "revision", "words"),
    [
        (BARE, None, [BARE, "no weights", "model.safetensors"]),
        ("invented/nothing", None, ["model invented/nothing at main", "no such model", "Check the name"]),
        (SAFETENSORS, "0" * 40, [f"{SAFETENSORS} at {'0' * 40}", "no such revision", "encoder.revision", "null"]),
        ("inv--ented/x", None, ["inv--ented/x"]),
    ],
)
def test_a_wrong_encoder_is_named(repo: str, revision: str | None, words: list[str], hub: StandIn) -> None:
    with pytest.raises(UserError) as refused:
        loading.located(repo, revision=revision, weights=True)
    for word in words:
        assert word in str(refused.value)


# Commands


def test_fetch_then_train_without_network(tmp_path: Path) -> None:
    server = StandIn()
    hub_repos.add_all(server, tmp_path / "served")
    commit = commits(server, "dataset", XNLI)[0][0]
    run = [
        "data=xnli",
        f"data.revision={commit}",
        "data.languages=[en,de]",
        "data.max_length=32",
        f"encoder.path={SAFETENSORS}",
        "encoder.pretrained=true",
        "optimization.epochs=1",
        "name=offline",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": server.url, "COLUMNS": "200"}

    def command(*arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments, *run],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    said = command("-m", "babelfit", "fetch")
    server.stop()

    assert f"{XNLI} at {commit}: 2 files" in said
    assert SAFETENSORS in said
    assert "HF_HUB_OFFLINE=1 babelfit train data=xnli" in said
    assert "fr/" not in " ".join(server.downloaded())
    assert "pytorch_model.bin" not in server.downloaded()
    assert "target mean" in command(str(ROOT / "train.py"), HF_HUB_OFFLINE="1")
    assert (tmp_path / "outputs" / "offline" / "report.md").is_file()
    assert str(tmp_path / "home") not in (tmp_path / "outputs" / "offline" / "model" / "config.json").read_text()


@pytest.fixture
def fetch(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `python -m babelfit fetch` in this process: exit status and what it said."""

    def run(*arguments: str) -> tuple[int, str]:
        handlers, level = logging.root.handlers[:], logging.root.level
        status = 0
        try:
            cli.main(["fetch", *arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            logging.root.handlers[:], logging.root.level = handlers, level
        return status, capfd.readouterr().err

    return run


def test_fetch_says_what_is_there_already(hub: StandIn, fetch: Callable[..., tuple[int, str]]) -> None:
    commit = commits(hub, "dataset", XNLI)[0][0]
    arguments = ("data=xnli", f"data.revision={commit}", "data.languages=[en,de]")

    status, said = fetch(*arguments)
    assert (status, f"{XNLI} at {commit}: 2 files, 0.0 MB, downloaded" in said) == (0, True), said
    babelfit_hub.download.cache_clear()
    status, said = fetch(*arguments)
    assert (status, f"{XNLI} at {commit}: 2 files, 0.0 MB, already there" in said) == (0, True), said
    assert "downloaded to" not in said


def test_fetch_of_local_things_says_that_nothing_is_needed(fetch: Callable[..., tuple[int, str]]) -> None:
    status, said = fetch()

    assert (status, "nothing to download" in said) == (0, True), said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data=xnlo"], ["xnlo", "xnli_sample"]),
        (["data.foldr=x"], ["foldr"]),
        (["data=xnli"], [XNLI, "HF_HUB_OFFLINE=1"]),
        (["data=xnli", "data.languages=[xx]"], ["'xx'"]),
    ],
)
def test_a_mistake_in_fetch_is_told_without_traceback(
    arguments: list[str], words: list[str], fetch: Callable[..., tuple[int, str]]
) -> None:
    status, said = fetch(*arguments)

    assert status == 2
    assert "Traceback" not in said
    for word in words:
        assert word in said
