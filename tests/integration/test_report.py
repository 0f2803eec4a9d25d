"""A run ends with its page, and `babelfit report` writes the reports anew from the folder alone."""

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
pytestmark = pytest.mark.page

WRITTEN = ("report.md", "report.html", "model/README.md", "figures")


@pytest.fixture
def report(in_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run `babelfit report FOLDER`; return the exit status and what it said."""

    def run(folder: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["babelfit", "report", folder])
        monkeypatch.setenv("COLUMNS", "200")
        status = 0
        try:
            runpy.run_module("babelfit", run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        return status, captured.out + captured.err

    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = [
        folder / "report.md",
        folder / "report.html",
        folder / "model" / "README.md",
        *sorted((folder / "figures").iterdir()),
    ]
    return {file.name: file.read_bytes() for file in files}


def test_a_run_ends_with_its_page_and_the_verb_writes_the_same_anew(train: Command, report: Command) -> None:
    outcome = train("name=run", "data.languages=[en,ar]")
    folder = Path("outputs/run")
    written = contents(folder)
    page = written["report.html"].decode()

    assert "outputs/run/report.html" in outcome.err
    assert "Synthetic data." in page
    assert "training loss" in page
    assert 'lang="ar" dir="rtl"' in page
    assert "The text is not shown" not in page
    assert "| train | en | " in written["report.md"].decode()
    assert "scores-test.png" in written
    for name in WRITTEN:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, said = report("outputs/run")

    assert status == 0, said
    assert "ar Arabic" in said
    anew = contents(folder)
    assert anew == written


def test_an_evaluation_has_its_page_too(finished: Command, command: Command, report: Command) -> None:
    finished("name=run", "data.languages=[en,sw]")
    command(
        "evaluate.py", "model=outputs/run/model", "data=xnli_sample", "name=mine", "languages=[sw]", "split=validation"
    )
    folder = Path("outputs/mine")
    page = (folder / "report.html").read_text()

    assert "sw Swahili" in page
    assert "as data.train_languages says; not checked" in page
    (folder / "report.html").unlink()
    status, said = report("outputs/mine")
    assert status == 0, said
    assert (folder / "report.html").read_text() == page


def test_an_evaluation_whose_manifest_says_nothing_is_told(
    finished: Command, command: Command, report: Command
) -> None:
    finished("name=run", "data.languages=[en,sw]")
    command("evaluate.py", "model=outputs/run/model", "data=xnli_sample", "name=mine", "languages=[en]")
    file = Path("outputs/mine/manifest.json")
    known = json.loads(file.read_text())
    assert known.pop("facts")["model"] == "outputs/run/model"
    file.write_text(json.dumps(known))
    status, said = report("outputs/mine")

    assert status == 2
    assert "does not say what was evaluated" in said


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ((), "is neither a run nor an evaluation"),
        (("config.yaml",), "has no scores to report: babelfit evaluate run="),
    ],
)
def test_a_folder_without_scores_is_told(report: Command, made: tuple[str, ...], told: str) -> None:
    Path("outputs/mine").mkdir(parents=True)
    for name in made:
        (Path("outputs/mine") / name).touch()
    status, said = report("outputs/mine")

    assert status == 2
    assert told in said
