"""What `pip install` gives: the program in an environment of its own, without the clone, from an empty folder."""

import os
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny import RANDOM

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600
SMALL = (
    "trainer=cpu",
    "data.limit={train: 64, validation: 16, test: 16}",
    "data.languages=[en,de]",
    "optimization.max_steps=2",
    "validation.every=2",
    "logger.tensorboard=false",
)
TINY = (*SMALL, *RANDOM, "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2}")
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def built(kind: str, source: Path, folder: Path) -> Path:
    """Build a wheel or an sdist of a source tree, with the setuptools of this environment; return its file."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the clone, in which a build leaves its own files."""
    folder = tmp_path_factory.mktemp("source") / "clone"
    built_before = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("src", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=built_before)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", source, tmp_path_factory.mktemp("wheel"))


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and of this one what babelfit needs."""

    environment: Path

    def run(self, program: str, *arguments: str, folder: Path, cache: Path) -> str:
        """Run a program of the environment in a folder; return what it said."""
        kept = ("HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "HF_HUB_CACHE")
        own = {name: os.environ[name] for name in kept if name in os.environ}
        done = subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=folder,
            env={**own, "PATH": os.defpath, "BABELFIT_CACHE": str(cache)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own, where other packages are those of this one."""
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    offline = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *offline, str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A line of a .pth file adds a folder without the .pth files in it, and so without a clone that is installed there.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return Installed(folder)


def test_the_wheel_has_the_configurations_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"babelfit/conf/{path.relative_to(ROOT / 'conf').as_posix()}" in names
    for name in ("py.typed", "mini/model.safetensors", "sample/lexicon.tsv", "reports/report.html.jinja"):
        assert f"babelfit/{name}" in names
    assert [name for name in names if "test" in name or not name.startswith("babelfit")] == []
    data = {path for path in (ROOT / "src").rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
    missing = {path.relative_to(ROOT / "src").as_posix() for path in data if "egg-info" not in str(path)} - {*names}
    assert missing == set()


def test_the_sdist_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(built("sdist", source, tmp_path / "sdist")) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("babelfit-*")
    again = built("wheel", unpacked, tmp_path / "wheel")

    one, other = zipfile.ZipFile(wheel), zipfile.ZipFile(again)
    assert again.name == wheel.name
    assert sorted(one.namelist()) == sorted(other.namelist())
    assert [name for name in one.namelist() if one.read(name) != other.read(name) and "RECORD" not in name] == []


def test_every_room_is_a_package() -> None:
    packages = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent for path in (ROOT / "src").rglob("*.py")}
    assert packages == {".".join(path.relative_to(ROOT / "src").parts) for path in folders} | {"babelfit.conf"}


def test_dev_has_all_other_extras_but_that_for_clusters() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    others = {one for name, needed in extras.items() if name not in ("dev", "slurm") for one in needed}
    assert others - {*extras["dev"]} == set()


def test_the_installed_program_trains_sweeps_and_reports_from_an_empty_folder(
    installed: Installed, tmp_path: Path, cache: Path
) -> None:
    def run(*arguments: str) -> str:
        return installed.run("babelfit", *arguments, folder=tmp_path, cache=cache)

    where = "import babelfit, sys; print(babelfit.__file__, sys.path)"
    told = installed.run("python", "-c", where, folder=tmp_path, cache=cache)
    assert str(installed.environment) in told.split()[0]
    assert str(ROOT / "src") not in told

    said = run("train", *SMALL)
    assert "target mean" in said
    assert (tmp_path / "outputs" / "xnli-mini" / "scores" / "test.json").is_file()

    (tmp_path / "babelfit.conf" / "experiment").mkdir(parents=True)
    (tmp_path / "babelfit.conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\n")
    run("train", "-m", "experiment=mine", "seed=1,2", *TINY)
    trials = sorted((tmp_path / "outputs" / "mine-sweep").glob("*/status.json"))
    assert len(trials) == 2
    assert all('"complete"' in path.read_text() for path in trials)
    for path in trials:
        log = path.parent.with_name(f"{path.parent.name}.log").read_text()
        assert "read babelfit.conf/experiment/mine.yaml" in log

    report = tmp_path / "outputs" / "xnli-mini" / "report.html"
    report.unlink()
    run("report", "outputs/xnli-mini")
    assert report.is_file()
