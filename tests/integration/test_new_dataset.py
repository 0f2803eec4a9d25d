"""docs/add-a-dataset.md, followed to the letter, gives a dataset that trains and is scored."""

import importlib.util
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from babelfit.datasets import DATASETS
from babelfit.rows import sources

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = ROOT / "pyproject.toml"
PAGE = (ROOT / "docs" / "add-a-dataset.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    [code] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
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
    monkeypatch.setitem(sys.modules, "babelfit_questions", loaded)  # as any import does
    spec.loader.exec_module(loaded)
    [name, cls] = re.findall(r'`"(\w+)": (\w+)`', PAGE)[0]
    monkeypatch.setitem(DATASETS, name, getattr(loaded, cls))
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "questions.yaml").write_text(block("yaml"), encoding="utf-8")
    folder = tmp_path / "data" / "questions"
    folder.mkdir(parents=True)
    for split, rows in (("train", range(10, 16)), ("validation", range(3)), ("test", range(20, 23))):
        for language in ("en", "sw"):
            lines = [f"q{row}\tp{row}\t{('no', 'yes')[row % 2]}\n" for row in rows]
            (folder / f"{split}-{language}.tsv").write_text("question\tpassage\tlabel\n" + "".join(lines))
    return tmp_path / "conf"


def test_the_four_steps_give_a_dataset(train: Callable[..., Any], questions: Path) -> None:
    outcome = train("--config-dir", str(questions), "data=questions")

    assert outcome.status == 0, outcome.err
    scores = json.loads(Path("outputs/questions-mini/scores/test.json").read_text())
    assert {language: values["examples"] for language, values in scores["languages"].items()} == {"en": 3, "sw": 3}
    said = outcome.err.replace("rows/s", "")
    assert "rows" not in said, "a whole copy is not doubted, and tokens are kept"


def test_its_rows_are_read_in_each_layout(questions: Path) -> None:
    dataset = DATASETS["questions"].dataset
    folder = questions.parent / "data"
    read = [
        sources.find(folder, layouts=(layout,), dataset="questions", split="validation", language="sw")
        .read()
        .to_pylist()
        for layout in dataset.layouts
    ]

    assert read == [[{"question": f"q{n}", "passage": f"p{n}", "label": ("no", "yes")[n % 2]} for n in range(3)]]


def test_the_module_passes_the_projects_own_checks(questions: Path) -> None:
    module = questions.parent / "questions.py"
    # Annotations are mypy's matter in src/; here it is enough that none lacks.
    for check in (["check", "--extend-select=ANN", "--ignore=ANN401"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "--config", str(PYPROJECT), str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("folder", "told"), [("null", "questions is not on the Hub"), ("sample", "questions has no bundled sample")]
)
def test_what_a_dataset_does_not_have_is_said(
    train: Callable[..., Any], questions: Path, folder: str, told: str
) -> None:
    outcome = train("--config-dir", str(questions), "data=questions", f"data.folder={folder}")

    assert outcome.status == 2
    assert told in outcome.err
