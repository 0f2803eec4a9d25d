"""The house keeps its shape: imports go one way, files and functions are short, no room is nameless."""

import ast
import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "babelfit"
TREES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


def test_no_two_files_import_each_other_also_by_way_of_others() -> None:
    graph = grimp.build_graph("babelfit", cache_dir=None)
    circles = {
        " ".join(sorted(one.removeprefix("babelfit.") for one in (importer, imported)))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if graph.chain_exists(importer=imported, imported=importer)
    }
    assert circles == set()


def test_nothing_of_ours_is_imported_for_types_alone() -> None:
    found = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if re.search(r"\b(from|import) (babelfit|\.)", ast.unparse(node))
    }
    assert found == set()


def test_nobody_asks_which_task_or_head_it_is() -> None:
    asks = re.compile(r'(head|task)(\.name)? *[=!]= *"')
    assert {name for name in TREES if asks.search((SOURCE / name).read_text())} == set()


def test_no_file_is_longer_than_300_lines() -> None:
    assert {name for name in TREES if len((SOURCE / name).read_text().splitlines()) > 300} == set()


def test_no_function_is_longer_than_60_lines() -> None:
    found = {
        f"{name} {node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= 60
    }
    assert found == set()


def test_every_room_says_what_it_is_for() -> None:
    rooms = [name for name in TREES if name.endswith("/__init__.py")]
    assert [name for name in rooms if not ast.get_docstring(TREES[name])] == []
    folders = {path.parent.name for path in SOURCE.glob("*/*.py")}
    assert folders == {Path(name).parent.name for name in rooms if name.count("/") == 1}


def test_the_tree_has_a_line_for_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("## What is where")[1].split("```")[1]
    names = set(re.findall(r"(?<!\S)\w+(?:/|\.\w+)(?=[\s,;]|$)", tree))
    files = [*ROOT.glob("*.py"), *SOURCE.glob("*.py"), *(ROOT / "conf").iterdir()]
    rooms = [path.parent for path in SOURCE.glob("*/__init__.py")]
    expected = {path.name + "/" * path.is_dir() for path in (*files, *rooms)} - {"__init__.py"}
    assert expected - names == set()


def test_the_picture_of_the_rooms_is_that_of_the_contract() -> None:
    [contract] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.split(" | ") for layer in contract["layers"] if layer != "__main__"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = page.split("```text\n")[1].split("```")[0]
    rooms = {room for layer in layers for room in layer}
    drawn = [[word for word in line[14:].split("   ")[0].split() if word in rooms] for line in picture.splitlines()]

    assert [line for line in drawn if line] == layers
    assert rooms - set(re.findall(r"`(\w+)(?:/|\.py)`", page)) == set(), "a room has no line"
