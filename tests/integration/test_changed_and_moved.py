"""A model that was changed since is no run's; rows, encoders and models that only lie elsewhere are the same ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from others_models import encoder

import babelfit
from babelfit.errors import UserError

RUN = Path("outputs/mine")
SMALL = ("data.languages=[en]", "optimization.max_steps=2", "optimization.batch_size=8", "name=mine")
LIMITED = ("data.limit={train: 16, validation: 8, test: 8}", *SMALL)
Command = Callable[..., Any]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 0x40
    path.write_bytes(content)


def renamed(path: Path) -> None:
    path.write_text(path.read_text().replace("neutral", "indifferent"))


def doubled(path: Path) -> None:
    shutil.copy(path, path.with_name("pytorch_model.bin"))


@pytest.fixture
def trained(command: Command, once: Callable[..., Any]) -> Command:
    """Train a run and forget its predictions; start it again with what is returned."""

    def train() -> Any:
        return command("train.py", *LIMITED)

    assert once(train, "changed and moved").status == 0
    shutil.rmtree(RUN / "predictions")
    return train


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        (flipped, "model.safetensors", "model.safetensors"),
        (renamed, "config.json", "config.json"),
        (renamed, "tokenizer_config.json", None),
        (doubled, "model.safetensors", "pytorch_model.bin"),
    ],
)
def test_a_changed_model_is_not_taken_for_the_runs(
    trained: Command, command: Command, change: Callable[[Path], None], name: str, told: str | None
) -> None:
    if told is None:  # and an unchanged one is
        assert command("evaluate.py", f"run={RUN}").status == 0
        return
    change(RUN / "model" / name)
    (RUN / "manifest.json").unlink()
    for outcome in (command("evaluate.py", f"run={RUN}"), trained()):
        assert outcome.status == 2
        assert f"{RUN / 'model' / told} is not as the run exported it (SHA-256 " in outcome.err
    with pytest.raises(UserError, match="is not as the run exported it"):
        babelfit.load(RUN).predict([("a", "b")])
    assert json.loads((RUN / "status.json").read_text())["state"] == "complete"
    assert not (RUN / "predictions").exists()


def test_the_advice_for_a_changed_model_is_sound(trained: Command, command: Command) -> None:
    before = {path.name: path.read_bytes() for path in (RUN / "model").iterdir()}
    flipped(RUN / "model" / "model.safetensors")
    as_it_is = command(
        "evaluate.py", f"model={RUN}/model", "data=xnli_sample", "languages=[en]", *LIMITED[:2], "name=x"
    )
    assert as_it_is.status == 0, as_it_is.err
    shutil.rmtree(RUN / "model")
    again = trained()
    assert again.status == 0, again.err
    assert {path.name: path.read_bytes() for path in (RUN / "model").iterdir()} == before


def test_an_older_run_says_in_its_manifest_what_it_exported(trained: Command, command: Command) -> None:
    status = json.loads((RUN / "status.json").read_text())
    assert set(status.pop("model")) >= {"config.json", "model.safetensors", "tokenizer.json"}
    (RUN / "status.json").write_text(json.dumps(status))
    flipped(RUN / "model" / "model.safetensors")

    assert "is not as the run exported it" in command("evaluate.py", f"run={RUN}").err


# Other paths


def rows(folder: Path, word: str = "boat") -> Path:
    """Write a few pairs of sentences in XTREME's layout."""
    (folder / "xnli").mkdir(parents=True)
    labels = ("entailment", "neutral", "contradiction")
    for split in ("train", "dev", "test"):
        lines = [f"The {word} is {number} of {split}\tIt is {number}\t{labels[number % 3]}\n" for number in range(16)]
        (folder / "xnli" / f"{split}-en.tsv").write_text("".join(lines))
    return folder


@pytest.fixture
def train_from(command: Command) -> Command:
    """Run `python train.py` on a folder of rows."""
    return lambda folder, *arguments: command("train.py", "data=xnli", f"data.folder={folder}", *SMALL, *arguments)


def test_the_same_rows_elsewhere_are_the_same_run(train_from: Command, tmp_path: Path) -> None:
    folder = rows(tmp_path / "a")
    assert train_from(folder).status == 0
    slash = train_from(f"{folder}/")
    folder.rename(tmp_path / "b")
    moved = train_from(tmp_path / "b")
    shutil.copytree(tmp_path / "b", tmp_path / "node local")
    staged = train_from(f"'{tmp_path / 'node local'}'")

    for outcome in (slash, moved, staged):
        assert outcome.status == 0, outcome.err
        assert "is complete: nothing to train" in outcome.err
    for outcome in (moved, staged):
        assert "the same by its SHA-256: going on with data.folder=" in outcome.err
    assert yaml.safe_load((RUN / "config.yaml").read_text())["data"]["folder"] == str(tmp_path / "node local")


def test_a_run_that_was_moved_is_scored_from_where_its_rows_are_now(
    train_from: Command, command: Command, tmp_path: Path
) -> None:
    rows(tmp_path / "a")
    assert train_from(tmp_path / "a").status == 0
    (tmp_path / "a").rename(tmp_path / "b")
    assert train_from(tmp_path / "b").status == 0
    shutil.rmtree(RUN / "predictions")
    outcome = command("evaluate.py", f"run={RUN}")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("other", ["rows", "key", "unknown"])
def test_other_rows_elsewhere_are_another_run(train_from: Command, tmp_path: Path, other: str) -> None:
    rows(tmp_path / "a")
    assert train_from(tmp_path / "a").status == 0
    before = (RUN / "config.yaml").read_bytes()
    if other == "unknown":
        (RUN / "manifest.json").unlink()
    rows(tmp_path / "b", word="car" if other == "rows" else "boat")
    outcome = train_from(tmp_path / "b", *(["optimization.learning_rate=0.5"] if other == "key" else []))

    assert outcome.status == 2
    assert "holds another run; it differs in" in outcome.err
    assert f"data.folder: {tmp_path / 'a'} -> {tmp_path / 'b'}" in outcome.err
    assert (RUN / "config.yaml").read_bytes() == before


def test_the_same_encoder_elsewhere_is_the_same_run(command: Command, tmp_path: Path) -> None:
    def train(folder: Path) -> Any:
        return command("train.py", f"encoder.path={folder}", *LIMITED)

    assert train(encoder(tmp_path / "a")).status == 0
    (tmp_path / "a").rename(tmp_path / "b")
    same = train(tmp_path / "b")
    assert same.status == 0, same.err
    assert "going on with encoder.path=" in same.err
    shutil.copytree(tmp_path / "b", tmp_path / "c")
    flipped(tmp_path / "c" / "model.safetensors")
    other = train(tmp_path / "c")
    assert other.status == 2
    assert "holds another run" in other.err


def test_the_same_rows_and_model_elsewhere_are_the_same_evaluation(
    train_from: Command, command: Command, tmp_path: Path
) -> None:
    rows(tmp_path / "a")
    assert train_from(tmp_path / "a").status == 0
    shutil.copytree(RUN / "model", tmp_path / "model")

    def evaluate(model: Path, folder: Path) -> Any:
        return command("evaluate.py", f"model={model}", "data=xnli", f"data.folder={folder}", "name=theirs", *SMALL[:1])

    assert evaluate(tmp_path / "model", tmp_path / "a").status == 0
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "model").rename(tmp_path / "same")
    moved = evaluate(tmp_path / "same", tmp_path / "b")
    assert moved.status == 0, moved.err
    flipped(tmp_path / "same" / "model.safetensors")
    (tmp_path / "same").rename(tmp_path / "other")
    other = evaluate(tmp_path / "other", tmp_path / "b")
    assert other.status == 2
    assert "holds another evaluation" in other.err
