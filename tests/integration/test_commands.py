"""The commands as processes of their own: quick help, and the right `evaluate` however Python is started."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("rich", "torch", "pytorch_lightning", "transformers", "datasets", "torchmetrics", "evaluate")
PRINT_EVALUATE = "import evaluate; print('found', evaluate.__version__)"


def run(*arguments: str, folder: Path = ROOT) -> str:
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_tells_the_choices_and_imports_nothing_heavy(script: str) -> None:
    code = (
        f"import runpy, sys\nsys.argv = [{script!r}, '--help']\n"
        f"try:\n    runpy.run_path({script!r}, run_name='__main__')\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    )
    out = run("-c", code)

    assert "heavy: []" in out
    for word in ("xnli_sample", f"python {script}", f"babelfit {script[:-3]}", "tokens_per_device"):
        assert word in out


def test_help_of_the_verbs_imports_not_even_hydra() -> None:
    code = (
        "import runpy, sys\nsys.argv = ['babelfit', 'fetch', '--help']\n"
        "try:\n    runpy.run_module('babelfit', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [name for name in {(*HEAVY, 'hydra')} if name in sys.modules])"
    )
    out = run("-c", code)

    assert "heavy: []" in out
    for word in ("babelfit fetch", "KEY=VALUE", "HF_HUB_OFFLINE=1", "--config-dir DIR"):
        assert word in out


def seconds(*arguments: str) -> float:
    """Return the processor time that Python takes, at best."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_help_takes_less_than_a_second() -> None:
    # On a machine that is busy with other things, in proportion to what the import of Hydra takes.
    allowed = max(1.0, 2.5 * seconds("-c", "import hydra"))
    assert seconds("-m", "babelfit", "--help") < 0.5 * allowed
    assert seconds("-m", "babelfit", "train", "--help") < allowed


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_commands_start_from_another_folder(script: str, tmp_path: Path) -> None:
    assert f"python {script}" in run(str(ROOT / script), "--help", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package `evaluate` where the installed one is found, on the path behind the root; that takes long."""
    (tmp_path / "site" / "evaluate").mkdir(parents=True)
    (tmp_path / "site" / "evaluate" / "__init__.py").write_text("__version__ = 'the package'\n")
    known = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *([known] if known else [])]))


@pytest.mark.usefixtures("_package")
def test_python_started_in_the_root_finds_the_evaluate_package() -> None:
    assert "found the package" in run("-c", PRINT_EVALUATE)


@pytest.mark.usefixtures("_package")
@pytest.mark.parametrize("start", [["-m", "pytest"], [str(Path(sys.executable).with_name("pytest"))]])
def test_pytest_started_in_the_root_finds_the_evaluate_package(start: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    {PRINT_EVALUATE}\n")
    options = ["-q", "-s", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), str(tmp_path / "test_it.py")]
    assert "found the package" in run(*start, *options)


@pytest.mark.usefixtures("_package")
def test_an_entry_point_finds_the_evaluate_package(tmp_path: Path) -> None:
    # What train.py itself would import: its folder, the root, comes first on the path.
    script = tmp_path / "like_train.py"
    script.write_text(f"import sys\nsys.path[0] = {str(ROOT)!r}\n{PRINT_EVALUATE}\n")
    assert "found the package" in run(str(script))
