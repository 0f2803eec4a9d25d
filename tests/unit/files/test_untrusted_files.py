"""Paths that are joined stay in their folder, and YAML is words, numbers and lists."""

from pathlib import Path

import pytest

from babelfit.errors import UserError
from babelfit.files.untrusted_files import inside, read_yaml


@pytest.mark.parametrize("names", [("scores", "test.json"), ("predictions", "test", "eng_Latn.jsonl"), ("08dc,=+1",)])
def test_names_are_joined(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert inside(tmp_path, *names) == tmp_path.joinpath(*names)


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/../../x", "/etc/passwd", "a\x00b", "\x1b[2J", "a b", ".x"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"names no file in .* expected letters, digits") as error:
        inside(tmp_path, "scores", name)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: 2024-01-15", "holds '2024-01-15' (date)"),
        ("name: 2024-01-15 10:00:00", "holds '2024-01-15 10:00:00' (datetime)"),
        ("a: [{b: !!set {x, x}}]", "holds \"{'x'}\" (set)"),
        ("a: !!binary aGVsbG8=", "(bytes)"),
        ("a: !!pairs [b: 1]", "(tuple)"),
        ("null: 1", "holds the key None"),
        ("a: {1: 2}", "holds the key 1"),
        ("a: {2024-01-15: 2}", "holds the key datetime.date(2024, 1, 15)"),
    ],
)
def test_yaml_holds_what_a_configuration_has(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"version: 3\n{text}\n")

    with pytest.raises(UserError, match="put it in quotes where it is meant as a word") as error:
        read_yaml(path)
    assert f"{path} holds" in str(error.value)
    assert told in str(error.value)


def test_yaml_without_a_sense_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for text in ("? [1, 2]\n: 3\n", "? {a: b}\n: 3\n", "a: [", "a: \x00"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"config\.yaml is not readable as YAML"):
            read_yaml(path)


def test_what_is_plain_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("name: '2024-01-15'\nseed: 1\nrate: 1.0e-3\nlist: [a, {b: null}]\nflag: true\n")

    assert read_yaml(path) == {
        "name": "2024-01-15",
        "seed": 1,
        "rate": 1e-3,
        "list": ["a", {"b": None}],
        "flag": True,
    }
