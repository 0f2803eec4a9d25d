"""The README's "Add a dataset in four steps", followed to the letter, gives a dataset that trains and is scored."""

import importlib.util
import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from babelfit.data import DATA

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Add a dataset in four steps")[1].split("\n## ")[0]


def block(language: str) -> str:
    [code] = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return textwrap.dedent(code)


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of conf with the new dataset, whose module and name are where the steps say."""
    module = tmp_path / "questions.py"
    module.write_text(block("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("babelfit_questions", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    [name, cls] = re.findall(r'`"(\w+)": (\w+)`', SECTION)[0]
    monkeypatch.setitem(DATA, name, getattr(loaded, cls))
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "questions.yaml").write_text(block("yaml"), encoding="utf-8")
    folder = tmp_path / "data" / "questions"
    folder.mkdir(parents=True)
    for split, rows in (("train", 6), ("validation", 3), ("test", 3)):
        for language in ("en", "sw"):
            lines = [f"q{row}\tp{row}\t{('no', 'yes')[row % 2]}\n" for row in range(rows)]
            (folder / f"{split}-{language}.tsv").write_text("question\tpassage\tlabel\n" + "".join(lines))
    return tmp_path / "conf"


def test_the_four_steps_give_a_dataset(train: Callable[..., Any], questions: Path) -> None:
    outcome = train("--config-dir", str(questions), "data=questions")

    assert outcome.status == 0, outcome.err
    scores = json.loads(Path("outputs/questions-mini/scores/test.json").read_text())
    assert {language: values["examples"] for language, values in scores["languages"].items()} == {"en": 3, "sw": 3}
    assert "rows" not in outcome.err.replace("rows/s", ""), "a whole copy is not doubted"


@pytest.mark.parametrize(
    ("folder", "told"), [("null", "questions is not on the Hub"), ("sample", "questions has no bundled sample")]
)
def test_what_a_dataset_does_not_have_is_said(
    train: Callable[..., Any], questions: Path, folder: str, told: str
) -> None:
    outcome = train("--config-dir", str(questions), "data=questions", f"data.folder={folder}")

    assert outcome.status == 2
    assert told in outcome.err
