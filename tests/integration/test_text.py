"""One's own text, from a folder to a pretrained model, by the README's commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from babelfit.finetuning.finetuner import Finetuner
from babelfit.mini import make
from babelfit.sample import VERSION
from babelfit.sample.corpus import CORPUS_LANGUAGES, CORPUS_ROWS

TEXT = ("data=text", "data.folder=own", "logger.every=1", "logger.tensorboard=false", "validation.every=3",
        "optimization.batch_size=8")  # fmt: skip
NAMES = ["Amina", "Boris", "Chen", "Dalia", "Emre", "Fatima", "Goran", "Hana", "Igor", "Juma"]
PLACES = ["market", "river", "house", "school", "garden", "station", "bridge", "kitchen", "office", "church"]
ENGLISH = [f"{name} walks to the {place} today" for name in NAMES for place in PLACES]
SWAHILI = [f"{name} anaenda {place} leo" for name in NAMES for place in PLACES]


@pytest.fixture
def own(in_folder: Path) -> Path:
    """A hundred sentences in English, as many in Swahili, and pairs of them."""
    folder = in_folder / "own"
    (folder / "sw").mkdir(parents=True)
    (folder / "en.txt").write_text("\n".join(ENGLISH))
    (folder / "sw" / "news.jsonl").write_text("".join(f"{json.dumps({'text': one})}\n" for one in SWAHILI))
    pairs = zip(ENGLISH, SWAHILI, strict=True)
    (folder / "en-sw.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs))
    return folder


@pytest.fixture
def _little_bundled_text(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the sample's text written with few documents and pairs, in a cache of its own."""
    monkeypatch.setenv("BABELFIT_CACHE", str(in_folder / "cache"))
    for part in ("text", "parallel"):
        monkeypatch.setitem(CORPUS_ROWS, part, 60)


def test_a_run_pretrains_on_all_that_a_folder_has(train: Callable[..., Any], own: Path) -> None:
    outcome = train(*TEXT, "data.reset_positions=true")
    assert outcome.status == 0, outcome.err

    run = Path("outputs/text-mini")
    scores = json.loads((run / "scores/validation.json").read_text())
    assert scores["languages"].keys() == {"en", "sw", "en-sw"}
    manifest = json.loads((run / "manifest.json").read_text())
    for language, file in (("en", "en.txt"), ("sw", "sw/news.jsonl"), ("en-sw", "en-sw.tsv")):
        trained, held = (manifest["splits"][split][language] for split in ("train", "validation"))
        assert [one["path"] for one in trained["files"]] == [f"own/{file}"]
        assert held["sentences"] == 10
        assert trained["sentences"] + trained["held_out"] + trained["left_out"] == 100
    assert "examples per epoch: en " in outcome.err


@pytest.mark.usefixtures("_little_bundled_text")
def test_the_bundled_text_is_there_to_pretrain_on(train: Callable[..., Any]) -> None:
    arguments = ("data.folder=sample", "data.train_languages=[de,en-de]", "data.languages=[de,en-de]")
    outcome = train(*TEXT, *arguments)
    assert outcome.status == 0, outcome.err

    run = Path("outputs/text-mini")
    assert json.loads((run / "scores/validation.json").read_text())["synthetic"]
    assert json.loads((run / "manifest.json").read_text())["origin"] == {"sample": f"synthetic, version {VERSION}"}
    assert "**Synthetic data.**" in (run / "report.md").read_text()


@pytest.mark.usefixtures("_little_bundled_text")
def test_the_command_that_made_the_bundled_encoder_makes_one_of_its_kind(command: Callable[..., Any]) -> None:
    outcome = command("train.py", "experiment=pretrain_mini", "optimization.max_steps=2", "validation.every=2")
    assert outcome.status == 0, outcome.err

    run = Path("outputs/pretrain_mini")
    languages = json.loads((run / "scores/validation.json").read_text())["languages"]
    assert languages.keys() == {*CORPUS_LANGUAGES, *(f"en-{one}" for one in CORPUS_LANGUAGES if one != "en")}
    make.check_fit(run / "model", folder=make.FOLDER)


def test_a_run_on_text_goes_on_where_it_stopped(
    train: Callable[..., Any], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (*TEXT, "checkpoint.every=1")
    assert train("name=whole", *arguments).status == 0
    step = Finetuner.training_step

    def broken(self: Finetuner, *given: Any) -> Any:
        if self.global_step == 5:
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        assert train("name=halved", *arguments).status == 130
    # What is evaluated may change, and nothing of training does with it.
    assert train("name=halved", *arguments, "data.languages=[en,sw,en-sw]").status == 0

    weights, theirs = (load_file(Path("outputs") / name / "model/model.safetensors") for name in ("whole", "halved"))
    assert all(torch.equal(value, theirs[name]) for name, value in weights.items())


def test_a_mistake_in_the_text_ends_before_a_run_is_begun(train: Callable[..., Any], own: Path) -> None:
    (own / "en.txt").write_bytes(b"good\nbad \xff\n")
    outcome = train(*TEXT)

    assert outcome.status == 2
    assert "own/en.txt, line 2: byte 0xff is not UTF-8" in outcome.err
    assert not Path("outputs").exists()
    assert train("data=text", "data.folder=nowhere").status == 2
