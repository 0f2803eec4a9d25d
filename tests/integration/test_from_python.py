"""From Python: a run as the command makes it, its scores as a frame, predictions of texts; and nothing ends Python."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_sweeps import MadeSweep

import babelfit
from babelfit import UserError
from babelfit.finetuning.finetuner import Finetuner

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "from-python.md").read_text(encoding="utf-8")
SMALL = [
    "trainer=cpu",
    "encoder=mini_random",
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "data.limit={train: 64, validation: 16, test: 16}",
    "data.languages=[en,sw]",
    "optimization.max_steps=4",
    "validation.every=2",
    "logger.tensorboard=false",
]
Once = Callable[..., Any]


@pytest.fixture
def run(once: Once) -> babelfit.LoadedRun:
    """A finished run of pairs of texts."""
    once(lambda: babelfit.train([*SMALL, "name=pairs"]).folder, "from python")
    return babelfit.load("outputs/pairs")


@pytest.fixture
def tagger(once: Once) -> babelfit.LoadedRun:
    """A finished run that tags words."""
    data = ["data=wikiann", "data.folder=sample", "data.max_length=12", "name=tagger"]
    once(lambda: babelfit.train([*SMALL, *data]).folder, "from python, tags")
    return babelfit.load("outputs/tagger")


def predictions(run: babelfit.LoadedRun, language: str) -> list[dict[str, Any]]:
    """Return what the run's own prediction file says."""
    file = run.folder / "predictions" / "test" / f"{language}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_import_is_light() -> None:
    heavy = ("torch", "transformers", "hydra", "pandas", "numpy", "rich", "pydantic")
    code = f"import babelfit, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_public_face_is_documented_and_has_the_version_of_the_package() -> None:
    for name in babelfit.__all__:
        assert name in ("__version__", "UserError") or getattr(babelfit, name).__doc__
    assert babelfit.__version__ == version("babelfit")
    assert Path(babelfit.__file__).with_name("py.typed").is_file()


def test_train_returns_the_run_that_the_command_would_make(run: babelfit.LoadedRun, train: Once) -> None:
    again = babelfit.train([*SMALL, "name=pairs"])
    assert again.folder == run.folder == Path("outputs/pairs")
    assert repr(again) == repr(run) == "babelfit.load('outputs/pairs')"
    status = json.loads((run.folder / "status.json").read_text())
    assert status["state"] == "complete"


def test_scores_are_those_of_the_files_with_what_the_run_is(run: babelfit.LoadedRun) -> None:
    frame = run.scores()
    known = json.loads((run.folder / "scores" / "test.json").read_text())["languages"]

    assert list(frame.columns[:6]) == ["language", "measure", "value", "low", "high", "split"]
    assert len(frame) == 4
    by_measure = frame.set_index(["language", "measure"])
    for language in ("en", "sw"):
        accuracy = by_measure.loc[language, "accuracy"]
        assert [accuracy.value, accuracy.low, accuracy.high] == [
            known[language]["accuracy"],
            *known[language]["interval"],
        ]
        assert by_measure.loc[language, "f1"].value == known[language]["f1"]
        assert pd.isna(by_measure.loc[language, "f1"].low)
    first = frame.iloc[0]
    assert (first.run, first.data, first.task, first.trained_on) == ("outputs/pairs", "xnli", "classification", "en")
    assert (first.regime, first.encoder, first.seed) == ("zero_shot", "mini", 1)
    assert "accuracy" in run._repr_html_()
    assert "<table" in run._repr_html_()


def test_an_evaluation_adds_scores_and_has_them_too(run: babelfit.LoadedRun) -> None:
    added = babelfit.evaluate({"run": str(run.folder), "split": "validation", "languages": ["sw"], "trainer": "cpu"})
    assert added.folder == run.folder
    assert list(run.scores().query("split == 'validation'").language.unique()) == ["sw"]
    model = f"model={run.folder}/model"
    limit = "data.limit.test=16"
    other = babelfit.evaluate([model, "data=xnli_sample", limit, "languages=[de]", "trainer=cpu", "name=other"])
    assert other.folder == Path("outputs/other")
    frame = babelfit.scores([run, other.folder])
    assert frame.run.unique().tolist() == ["outputs/pairs", "outputs/other"]
    assert frame[frame.run == "outputs/other"].seed.isna().all()
    pair = [("a", "b")]
    assert other.predict(pair)[0].predicted == run.predict(pair)[0].predicted


def test_the_scores_of_a_sweep_are_those_of_its_runs(run: babelfit.LoadedRun, in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs", name="swept")
    for number in (1, 2):
        folder = made.add({"seed": str(number)}, mean_dev=0.5)
        (folder / "scores").mkdir()
        (folder / "scores" / "test.json").write_text((run.folder / "scores" / "test.json").read_text())
    assert babelfit.scores(["outputs/swept"]).run.nunique() == 2


def test_pairs_are_predicted_as_the_run_has_predicted_them(run: babelfit.LoadedRun, labelled_sample: Path) -> None:
    lines = (labelled_sample / "xnli/test-sw.tsv").read_text(encoding="utf-8").splitlines()[:16]
    found = run.predict([tuple(line.split("\t")[:2]) for line in lines])

    for one, known in zip(found, predictions(run, "sw"), strict=True):
        assert (one.index, one.predicted) == (known["index"], known["predicted"])
        assert one.probabilities == pytest.approx(known["probabilities"], abs=1e-5)
    assert run.predict([]) == []


def test_words_are_tagged_each_one_also_in_long_sentences(tagger: babelfit.LoadedRun, labelled_sample: Path) -> None:
    text = (labelled_sample / "panx/test-sw.tsv").read_text(encoding="utf-8")
    sentences = [[line.split("\t")[0].removeprefix("sw:") for line in one.splitlines()] for one in text.split("\n\n")]
    found = tagger.predict(sentences[:16])

    for words, one, known in zip(sentences, found, predictions(tagger, "sw"), strict=False):
        assert len(one.predicted) == len(words)
        assert one.predicted == known["predicted"]
        assert one.probabilities == pytest.approx(known["probabilities"], abs=1e-5)
    [long] = tagger.predict([sentences[0] * 20])
    assert len(long.predicted) == len(long.probabilities) == 20 * len(sentences[0])


def test_what_is_cut_is_counted_in_a_warning(run: babelfit.LoadedRun, tagger: babelfit.LoadedRun) -> None:
    with pytest.warns(UserWarning, match="2 of 3 texts were cut: the model reads 128 subwords") as told:
        assert len(run.predict([("a", "b"), ("a", "b " * 500), ("a " * 500, "b")])) == 3
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="1 of 2 texts were cut: the model reads 12 subwords"):
        tagger.predict([["a", "b" * 400], ["c"]])


@pytest.mark.parametrize("texts", ["a text", ["a text"], [("a", "b", "c")], [3]])
def test_texts_of_another_shape_are_refused(run: babelfit.LoadedRun, texts: Any) -> None:
    with pytest.raises(UserError):
        run.predict(texts)


def test_folders_that_are_none_are_refused(in_folder: Path, run: babelfit.LoadedRun) -> None:
    MadeSweep(in_folder / "outputs", name="swept")
    (in_folder / "outputs" / "swept" / "study.sqlite").touch()
    (in_folder / "empty").mkdir()
    for folder, told in (("nowhere", "no such folder"), ("empty", "neither a run nor an evaluation")):
        with pytest.raises(UserError, match=told):
            babelfit.load(folder)
    with pytest.raises(UserError, match="has no scores"):
        babelfit.scores(["empty"])
    (run.folder / "model").rename(in_folder / "model")
    with pytest.raises(UserError, match="has no model: its training is complete"):
        babelfit.load(run.folder).predict([("a", "b")])


def test_mistakes_are_raised_and_end_nothing(run: babelfit.LoadedRun) -> None:
    for overrides, told in (
        (["sed=2"], "sed: no such key; did you mean seed"),
        (["encoder=mni"], "did you mean mini"),
        (["seed=-1"], "seed=-1: must be at least 0"),
        (["data.folder=nowhere"], "nowhere"),
        ([*SMALL, "name=pairs", "seed=2"], "outputs/pairs holds another run"),
    ):
        with pytest.raises(UserError, match=re.escape(told)):
            babelfit.train(overrides)
    with pytest.raises(UserError, match="give either run=FOLDER or model="):
        babelfit.evaluate([])


def test_an_interrupted_call_leaves_a_run_with_which_the_same_call_goes_on(
    run: babelfit.LoadedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Finetuner.training_step

    def interrupted(self: Finetuner, *given: Any) -> Any:
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            babelfit.train([*SMALL, "name=stopped"])
    status = json.loads(Path("outputs/stopped/status.json").read_text())
    assert (status["state"], status["why"]) == ("interrupted", "by the keyboard")
    steps = []
    monkeypatch.setattr(Finetuner, "training_step", lambda self, *given: steps.append(1) or step(self, *given))
    again = babelfit.train([*SMALL, "name=stopped"])

    assert len(steps) == 2  # from the checkpoint of step 2 on
    drop = ["run"]
    assert again.scores().drop(columns=drop).equals(run.scores().drop(columns=drop))


def test_options_of_the_users_own_are_read(in_folder: Path) -> None:
    for name in ("babelfit.conf", "options"):
        file = in_folder / name / "experiment" / "mine.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(f"# @package _global_\nname: {name.replace('.', '-')}\n")
    limit = "optimization.max_steps=1"
    assert babelfit.train([*SMALL, limit, "experiment=mine"]).folder == Path("outputs/babelfit-conf")
    assert babelfit.train([*SMALL, limit, "experiment=mine"], config_dir="options").folder == Path("outputs/options")


def test_the_page_about_python_is_true(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    said = capsys.readouterr().out
    assert "did you mean optimization.learning_rate?" in said
    assert "probabilities" not in said
    for column in babelfit.load("outputs/short").scores().columns:
        assert f"`{column}`" in TEXT
