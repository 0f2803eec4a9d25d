"""Runs made earlier stay readable: what an earlier babelfit wrote is reported, compared and exported as it was.

What is in them, and which command made each, says tests/fixtures/version-2/README.md. Nothing is trained here.
"""

import csv
import json
import runpy
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from matplotlib.figure import Figure

from babelfit.config import config_files
from babelfit.config.schema import EvaluateConfig, TrainConfig

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "version-2"
OUTPUTS = Path("outputs")
RUNS = ("nli-1", "nli-2", "ner", "text", "selections")
EVALUATIONS = ("evaluated", "imported")
TRIALS = ("8dfcf4c5", "e2865f7c", "029d95a8", "03d9f14a")
"""In the order in which they were run."""

NLI = (
    "trainer=cpu",
    "logger.every=1",
    "logger.tensorboard=false",
    "optimization.max_steps=12",
    "validation.every=6",
    "encoder=mini_random",
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64, "
    "initializer_range: 1.0}",
    "data=xnli_sample",
)

Verb = Callable[..., str]


@pytest.fixture(autouse=True)
def old(in_folder: Path) -> None:
    """Have a copy of the old runs in outputs/."""
    shutil.copytree(OLD, OUTPUTS)


@pytest.fixture
def babelfit(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Verb:
    """Run `python -m babelfit ARGUMENTS`, which must end with a status; return what it said."""

    def run(*arguments: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["babelfit", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        ended = 0
        try:
            runpy.run_module("babelfit", run_name="__main__")
        except SystemExit as end:
            ended = int(end.code or 0)
        captured = capfd.readouterr()
        assert ended == status, captured.err
        return captured.out + captured.err

    return run


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main_scores(name: str, split: str) -> dict[str, float]:
    """Read the score of each language that an old run has, in the metric that measures transfer."""
    scores = read(OLD / name / "scores" / f"{split}.json")
    return {language: values[scores["metric"]] for language, values in scores["languages"].items()}


def assert_still_there(before: Any, now: Any, *, where: str = "") -> None:
    """Check that all that was said before is said now, whatever else is."""
    if isinstance(before, Mapping):
        for key, value in before.items():
            assert key in now, f"{where}/{key}"
            assert_still_there(value, now[key], where=f"{where}/{key}")
    elif isinstance(before, list):
        assert len(before) == len(now), where
        for place, (one, other) in enumerate(zip(before, now, strict=True)):
            assert_still_there(one, other, where=f"{where}/{place}")
    else:
        assert before == now, where


# Reports


@pytest.mark.parametrize("name", ["nli-1", "nli-2", "ner", "selections", *EVALUATIONS])
def test_an_old_folder_is_reported_anew_with_the_scores_it_had(babelfit: Verb, name: str) -> None:
    (OUTPUTS / name / "report.md").unlink()
    printed = babelfit("report", f"outputs/{name}")

    report = (OUTPUTS / name / "report.md").read_text(encoding="utf-8")
    for file in (OLD / name / "scores").glob("*.json"):
        assert (OUTPUTS / name / "scores" / file.name).read_bytes() == file.read_bytes()
        for language, score in main_scores(name, file.stem).items():
            shown = f"{100 * score:.1f}"
            assert any(line.startswith(f"| {language} ") and shown in line for line in report.splitlines())
            assert any(line.startswith(f"{language} ") and shown in line for line in printed.splitlines())
    if name == "selections":
        assert "| own dev" in report


def test_an_old_run_on_text_is_reported_as_it_was(babelfit: Verb) -> None:
    babelfit("report", "outputs/text")

    for path in ("scores/validation.json", "report.md"):
        assert (OUTPUTS / "text" / path).read_bytes() == (OLD / "text" / path).read_bytes()


@pytest.mark.page
def test_an_old_run_gets_its_page_without_its_data(babelfit: Verb) -> None:
    babelfit("report", "outputs/ner")

    page = (OUTPUTS / "ner" / "report.html").read_text(encoding="utf-8")
    assert (OUTPUTS / "ner" / "figures" / "scores-test.png").is_file()
    assert "training loss" in page
    assert all(f"{100 * score:.1f}" in page for score in main_scores("ner", "test").values())


# Runs beside each other


def test_old_runs_are_compared(babelfit: Verb) -> None:
    babelfit("compare", "outputs/nli-1", "outputs/nli-2", "--json", "compared.json")

    [comparison] = read(Path("compared.json"))["comparisons"]
    for side, name in (("first", "nli-1"), ("second", "nli-2")):
        found = {one["language"]: one[side] for one in comparison["languages"]}
        assert found == pytest.approx(main_scores(name, "test"))
    assert comparison["test"].startswith("McNemar")
    assert comparison["target_mean"]["languages"] == ["de", "sw"]


def test_old_trials_that_differ_in_seed_are_compared(babelfit: Verb) -> None:
    first, third = (f"outputs/sweep/{trial}" for trial in (TRIALS[0], TRIALS[2]))
    second, fourth = (f"outputs/sweep/{trial}" for trial in (TRIALS[1], TRIALS[3]))
    babelfit("compare", f"{first},{third}", f"{second},{fourth}", "--json", "compared.json")

    [comparison] = read(Path("compared.json"))["comparisons"]
    assert comparison["test"].startswith("Welch")
    assert comparison["languages"][0]["first"] == pytest.approx(1 / 3)


def test_old_runs_are_laid_out_as_a_matrix(babelfit: Verb) -> None:
    names = ("nli-1", "nli-2", "selections")
    babelfit("matrix", *(f"outputs/{name}" for name in names), "--json", "matrix.json")

    found = read(Path("matrix.json"))
    for row in found["rows"]:
        scores = main_scores(Path(row["run"]).name, "test")
        assert row["scores"] == pytest.approx([scores[language] for language in found["languages"]])
    assert sorted(Path(row["run"]).name for row in found["rows"]) == sorted(names)


# Predictions


@pytest.mark.parametrize("name", ["nli-1", "ner", "selections", *EVALUATIONS])
def test_old_predictions_go_out_as_they_were_made(babelfit: Verb, name: str) -> None:
    babelfit("export-predictions", f"outputs/{name}", "--format", "tsv", "--to", "submission")

    for file in (OLD / name / "predictions" / "test").glob("*.jsonl"):
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        with Path(f"submission/test-{file.stem}.tsv").open(newline="", encoding="utf-8") as exported:
            rows = list(csv.DictReader(exported, delimiter="\t"))
        for key in ("gold", "predicted"):
            flat = [label for one in records for label in ([one[key]] if isinstance(one[key], str) else one[key])]
            assert [row[key] for row in rows] == flat


# Sweeps


def test_an_old_sweep_says_what_it_said(babelfit: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())  # it takes seconds
    for file in OUTPUTS.glob("sweep/sweep.*"):
        file.unlink()
    babelfit("sweep", "outputs/sweep")

    assert_still_there(read(OLD / "sweep" / "sweep.json"), read(OUTPUTS / "sweep" / "sweep.json"))
    before, now = (
        list(csv.DictReader((folder / "sweep" / "sweep.csv").read_text().splitlines())) for folder in (OLD, OUTPUTS)
    )
    assert_still_there(before, now)


def test_the_trials_of_an_old_sweep_are_known(command: Callable[..., Any]) -> None:
    """The same command would start none of them again, as each is known by a hash of its configuration."""
    languages = ("data.languages=[en,de]", "data.limit={train: 200, validation: 12, test: 12}")
    swept = ("seed=1,2", "optimization.learning_rate=1e-3,1e-2")
    done = command("train.py", "-m", *NLI, *languages, "name=sweep", *swept, "sweep.dry_run=true")

    assert done.status == 0, done.err
    for trial in TRIALS:
        assert any(trial in line and "(complete)" in line for line in done.err.splitlines())


# Configurations


@pytest.mark.parametrize("folder", [*RUNS, *(f"sweep/{trial}" for trial in TRIALS)])
def test_the_configuration_of_an_old_run_is_read(folder: str) -> None:
    path = OUTPUTS / folder / "config.yaml"
    config, written = config_files.load(path, TrainConfig), yaml.safe_load(path.read_text(encoding="utf-8"))

    assert written["version"] == 2
    assert (config.name, config.seed, config.head.name) == (folder, written["seed"], written["head"]["name"])
    assert list(config.data.languages or ()) == written["data"]["languages"]
    assert config.encoder.overrides == written["encoder"]["overrides"]
    assert config.optimization.learning_rate == written["optimization"]["learning_rate"]


@pytest.mark.parametrize("folder", EVALUATIONS)
def test_the_configuration_of_an_old_evaluation_is_read(folder: str) -> None:
    path = OUTPUTS / folder / "evaluation.yaml"
    config, written = config_files.load(path, EvaluateConfig), yaml.safe_load(path.read_text(encoding="utf-8"))

    assert written["version"] == 2
    assert (config.name, config.model) == (folder, written["model"])
    assert list(config.languages or ()) == written["languages"]


def test_an_old_run_is_the_run_that_its_command_makes_today(command: Callable[..., Any]) -> None:
    """With another seed it is refused, for the seed alone."""
    limit = "data.limit={train: 200, validation: 24, test: 36}"
    refused = command("train.py", *NLI, limit, "data.languages=[en,de,sw]", "name=nli-1", "seed=3")

    assert refused.status == 2
    told = refused.err[refused.err.index("holds another run; it differs in") :]
    assert [line.strip() for line in told.splitlines()[1:-1]] == ["seed: 1 -> 3"], told
