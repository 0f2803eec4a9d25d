"""Runs and sweeps whose documents somebody changed: each verb ends with a sentence, or does its work.

Nothing outside of the folder is written, nothing of theirs is markup, and no terminal obeys it.
"""

import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from babelfit.commands import cli

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "version-2"
ESCAPE, MARKUP = "\x1b]0;owned\x07", "<meta http-equiv=refresh content=0>"
TRIAL = "sweep/8dfcf4c5"

Verb = Callable[..., str]


@pytest.fixture(autouse=True)
def unharmed(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the old runs, and check that nothing beside them was written."""
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copytree(OLD, "outputs")
    Path("precious").mkdir()
    yield
    assert list(Path("precious").iterdir()) == []
    assert {path.name for path in Path().iterdir()} == {"outputs", "precious"}
    written = {path.name for path in Path("outputs").iterdir()}
    assert written == {path.name for path in OLD.iterdir()}


@pytest.fixture
def babelfit(capfd: pytest.CaptureFixture[str]) -> Verb:
    """Run a verb, which must end with a status; return what it said."""

    def run(*arguments: str, status: int) -> str:
        ended = 0
        try:
            cli.main(arguments)
        except SystemExit as end:
            ended = int(end.code or 0)
        said = "".join(capfd.readouterr())
        assert ended == status, said
        assert "Traceback" not in said
        assert "\x1b]" not in said
        assert "\x07" not in said
        return said

    return run


def changed(path: str, keys: str, value: Any) -> Path:
    """Set a value in a JSON document, given its keys; of the last key another name, where the value is such."""
    file = Path("outputs") / path
    document = json.loads(file.read_text())
    place, (*parents, last) = document, keys.split(".")
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if isinstance(value, Renamed):
        place[value] = place.pop(last)
    elif value is DELETED:
        del place[last]
    else:
        place[last] = value
    file.write_text(json.dumps(document))
    return file


class Renamed(str):
    """Another name for a key."""


DELETED = object()

CHANGES = [
    ("scores/test.json", "split", "x/../../../../precious/picture"),
    ("scores/test.json", "split", MARKUP),
    ("scores/test.json", "languages.de", Renamed(ESCAPE)),
    ("scores/test.json", "languages.de", Renamed("../../../precious/x")),
    ("scores/test.json", "languages.de", DELETED),
    ("scores/test.json", "languages.de.accuracy", 1e308),
    ("scores/test.json", "languages.de.examples", 10**17),
    ("scores/test.json", "languages.de.calibration.count", [1]),
    ("scores/test.json", "languages.de.confusion.counts", [[1]]),
    ("scores/test.json", "languages.de.confusion.labels", []),
    ("scores/test.json", "consistency.alike", [[0.5]]),
    ("scores/test.json", "consistency.alike_if_right", [[0.5]] * 3),
    ("scores/test.json", "metric", ESCAPE),
    ("manifest.json", "splits.test.de.scripts", {"Latin": 1e308}),
    ("manifest.json", "splits.test.de.rows", -5),
    ("manifest.json", "splits.test.de", Renamed(ESCAPE)),
    ("manifest.json", "data", MARKUP),
    ("manifest.json", "origin", {MARKUP: MARKUP}),
    ("manifest.json", "encoder.path", ESCAPE),
    ("status.json", "selected.step", 10**17),
    ("status.json", "selected.by", ESCAPE + MARKUP),
    ("status.json", "selected.score", 1e308),
    ("environment.json", "command", ESCAPE),
]


@pytest.mark.page
@pytest.mark.parametrize(("name", "keys", "value"), CHANGES)
def test_a_report_is_written_or_refused_with_the_file(babelfit: Verb, name: str, keys: str, value: Any) -> None:
    file = changed(f"nli-1/{name}", keys, value)
    is_taken = (
        name == "environment.json" or value is DELETED or keys in ("data", "origin", "encoder.path", "selected.by")
    )
    said = babelfit("report", "outputs/nli-1", status=0 if is_taken else 2)

    if not is_taken:
        assert str(file.parent) in said
        return
    assert MARKUP not in Path("outputs/nli-1/report.html").read_text(encoding="utf-8")
    for page in ("report.md", "model/README.md"):
        text = Path("outputs/nli-1", page).read_text(encoding="utf-8")
        assert MARKUP not in text
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("scores/test.json", "languages.de", Renamed(ESCAPE)),
        ("scores/test.json", "split", "../x"),
        ("scores/test.json", "languages.de.accuracy", "high"),
        ("manifest.json", "splits.test", [1]),
    ],
)
@pytest.mark.parametrize("verb", ["compare", "matrix"])
def test_what_runs_are_compared_by_is_typed(babelfit: Verb, verb: str, name: str, keys: str, value: Any) -> None:
    file = changed(f"nli-2/{name}", keys, value)
    assert str(file) in babelfit(verb, "outputs/nli-1", "outputs/nli-2", status=2)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe{}", b"[" * 100_000, b"{", b"null", b"\0" * 50, b'{"schema": 1e999}']
)
@pytest.mark.parametrize("name", ["scores/test.json", "manifest.json", "status.json"])
def test_what_is_no_document_is_named(babelfit: Verb, name: str, content: bytes) -> None:
    file = Path("outputs/nli-1", name)
    file.write_bytes(content)
    assert str(file) in babelfit("report", "outputs/nli-1", status=2)


@pytest.mark.page
@pytest.mark.parametrize("content", [b"", b"\xff\xfe{}", b"[" * 100_000, b"{"])
def test_what_is_only_shown_may_be_anything(babelfit: Verb, content: bytes) -> None:
    Path("outputs/nli-1/environment.json").write_bytes(content)
    babelfit("report", "outputs/nli-1", status=0)
    Path("outputs", TRIAL, "environment.json").write_bytes(content)
    babelfit("sweep", "outputs/sweep", status=0)


# Sweeps


def edit_study(statement: str, *values: Any) -> None:
    with closing(sqlite3.connect("outputs/sweep/study.db")) as study:
        study.execute(statement, values)
        study.commit()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("overrides", {"seed": 1}),
        ("overrides", None),
        ("objectives", {"source_dev": 1e308}),
        ("objectives", {ESCAPE: 0.5}),
        ("retries", [0]),
        ("why", {"a": 1}),
    ],
)
def test_a_trial_that_no_sweep_records_is_told(babelfit: Verb, key: str, value: Any) -> None:
    edit_study("DELETE FROM trial_user_attributes WHERE trial_id = 1 AND key = ?", key)
    edit_study("INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, ?, ?)", key, json.dumps(value))
    assert "outputs/sweep: its study is damaged" in babelfit("sweep", "outputs/sweep", status=2)


@pytest.mark.parametrize(("key", "value"), [("space", [1]), ("objective", ESCAPE), ("search", {}), ("schema", "1")])
def test_a_study_that_no_sweep_writes_is_told(babelfit: Verb, key: str, value: Any) -> None:
    edit_study("UPDATE study_user_attributes SET value_json = ? WHERE key = ?", json.dumps(value), key)
    assert "outputs/sweep/study.db is not the study of a sweep" in babelfit("sweep", "outputs/sweep", status=2)


def test_a_sweep_of_strange_words_is_told_without_obeying_them(babelfit: Verb) -> None:
    strange = {"=cmd|' /C calc'!A0": f"{ESCAPE}{MARKUP}", "seed": "+1+1"}
    edit_study("UPDATE trial_user_attributes SET value_json = ? WHERE key = 'overrides'", json.dumps(strange))
    babelfit("sweep", "outputs/sweep", status=0)

    text = Path("outputs/sweep/sweep.md").read_text(encoding="utf-8")
    assert MARKUP not in text
    assert "\x1b" not in text
    table = Path("outputs/sweep/sweep.csv").read_text(encoding="utf-8")
    assert "\x1b" not in table
    assert not [cell for row in csv.reader(io.StringIO(table)) for cell in row if cell[:1] in ("=", "+", "@")]


def test_a_link_in_a_sweep_is_refused_before_the_study_is_opened(
    babelfit: Verb, tmp_path_factory: pytest.TempPathFactory
) -> None:
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    with closing(sqlite3.connect(precious)) as foreign:
        foreign.execute("CREATE TABLE invoices (number)")
        foreign.commit()
    before = precious.read_bytes()
    for name in ("study.db", "sweep.csv.tmp", f"{Path(TRIAL).name}/scores/test.json"):
        shutil.rmtree("outputs/sweep")
        shutil.copytree(OLD / "sweep", "outputs/sweep")
        path = Path("outputs/sweep", name)
        path.unlink(missing_ok=True)
        path.symlink_to(precious)
        assert "is a link" in babelfit("sweep", "outputs/sweep", status=2)
        assert precious.read_bytes() == before
