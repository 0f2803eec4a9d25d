"""The page "Add a task", followed to the letter, gives a task that trains and is scored by measures of its own."""

import importlib.util
import re
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tiny_data import COLUMNS, labelled
from trip import Trip

from babelfit.datasets import DATASETS
from babelfit.rows.readers import read_tsv
from babelfit.scoring.scores import read
from babelfit.tasks import TASKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "add-a-task.md").read_text(encoding="utf-8")
STARS = {str(number): str(number) for number in range(1, 6)}


@pytest.fixture
def stars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task of the page, imported from a file as if it stood in tasks/."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "babelfit_stars.py"
    file.write_text(textwrap.dedent(code), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("babelfit_stars", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "babelfit_stars", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(TASKS, "stars", module.Stars)
    return module.Stars()


@pytest.mark.page
def test_the_two_steps_give_a_task(stars: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = labelled(
        stars,
        read=partial(read_tsv, columns=COLUMNS, spellings=STARS),
        lines_of=lambda is_high, words: f"{' '.join(words)}\t{(1, 4)[is_high] + (words[0] > 'm')}\n",
        header="text\tlabel\n",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "tiny_stars", tiny.module)
    tiny.write(tmp_path / "data")
    run = Trip("stars", (*tiny.overrides, f"data.folder={tmp_path / 'data'}"), tmp_path).train("reviews")

    scores = read(run / "scores" / "test.json")
    assert (scores.task, scores.labels) == ("stars", ["1", "2", "3", "4", "5"])
    assert scores.languages["de"].values.keys() == {"accuracy", "stars_off"}
    records = [record for record in Trip("stars", (), tmp_path).records(run, "de") if record.gold]
    off = sum(abs(int(one.predicted) - int(one.gold)) for one in records) / len(records)
    assert scores.languages["de"].values["stars_off"] == pytest.approx(off)
    for file in ("report.md", "report.html"):
        assert "stars off" in (run / file).read_text(encoding="utf-8")
