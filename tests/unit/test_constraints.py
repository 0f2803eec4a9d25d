"""The lowest versions that are tested are those that are promised."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def _requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(line) for line in project["dependencies"] + [line for extra in extras for line in extra]]


def _pinned(name: str) -> dict[str, Version]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {package: Version(version) for package, version in (line.split("==") for line in lines if line)}


def test_each_dependency_is_pinned_to_the_lowest_version_that_is_promised() -> None:
    pinned = _pinned("constraints-lowest.txt")
    for requirement in _requirements():
        lowest = [Version(bound.version) for bound in requirement.specifier if bound.operator == ">="]
        assert lowest == [pinned.get(requirement.name)], requirement


def test_a_dependency_has_the_same_range_wherever_it_stands() -> None:
    requirements = set(_requirements())
    assert len(requirements) == len({requirement.name for requirement in requirements})
