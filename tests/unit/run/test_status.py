"""status.json says how a run stands; what no run of ours writes is refused, with what is wrong where."""

import json
from pathlib import Path
from typing import Any

import pytest

from babelfit.checkpoints.rankings import Ranked
from babelfit.errors import UserError
from babelfit.run import status
from babelfit.run.run import Run
from babelfit.run.status import Selected, Status

SELECTED = {"file": "step-6.ckpt", "step": 6, "score": 0.5, "by": "source_dev", "of": 12}
OLD = Path(__file__).resolve().parents[2] / "fixtures" / "version-2"


def written(folder: Path, **fields: Any) -> Path:
    (folder / "status.json").write_text(json.dumps({"state": "complete", **fields}))
    return folder


def test_a_folder_without_status_is_new(tmp_path: Path) -> None:
    assert status.read(tmp_path) == Status(state="new")
    assert Run(tmp_path).status().in_words == "new"


@pytest.mark.parametrize("name", ["nli-1", "text", "selections"])
def test_a_status_is_written_as_it_was_read(tmp_path: Path, name: str) -> None:
    status.write(status.read(OLD / name), tmp_path)

    assert (tmp_path / "status.json").read_bytes() == (OLD / name / "status.json").read_bytes()


def test_what_is_set_stands_beside_what_was_there_but_for_the_reason(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.set_status("failed", why="no memory", selected=Selected(**SELECTED))
    run.set_status("complete", objectives={"source_dev": 0.5}, rankings={"last": [Ranked(step=6, score=0.5)]})

    document = json.loads((tmp_path / "status.json").read_text())
    assert list(document) == ["state", "selected", "rankings", "objectives"]
    assert (document["selected"], document["rankings"]) == (SELECTED, {"last": [{"step": 6, "score": 0.5}]})
    assert Run(tmp_path).status() == run.status()


def test_a_running_run_without_its_process_is_killed(tmp_path: Path) -> None:
    found = Run(written(tmp_path, state="running", process=99, host="far")).status()

    assert found.in_words == ("killed (process 99 on far is gone without a word: killed, or the machine went down)")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"state": "killed"}, "state 'killed' is not one of running, complete, interrupted, failed, pruned"),
        ({"state": ["running"]}, "state ['running'] is not one of"),
        ({"selected": 1}, "it.selected: "),
        ({"selected": {"file": "step-6.ckpt"}}, "it.selected.step: Field required"),
        ({"selected": SELECTED | {"file": "../step-6.ckpt"}}, "it.selected.file: String should match pattern"),
        ({"selected": SELECTED | {"file": "step-6.ckpt\n"}}, "it.selected.file: String should match pattern"),
        ({"selected": SELECTED | {"step": "6"}}, "it.selected.step: Input should be a valid integer; found '6'"),
        ({"selected": SELECTED | {"score": True}}, "it.selected.score: Input should be a valid number"),
        ({"rankings": {"last": []}}, "it.rankings.last: List should have at least 1 item"),
        ({"rankings": {"last": [{"step": 1.5, "score": 0.5}]}}, "it.rankings.last.0.step: "),
        ({"objectives": {"source_dev": float("nan")}}, "NaN is not a number"),
        ({"objectives": {"source_dev": 1e200}}, "it.objectives.source_dev: Input should be no farther from zero"),
        ({"objectives": [0.5]}, "it.objectives: "),
        ({"why": 3}, "it.why: "),
    ],
)
def test_a_damaged_status_is_named_with_what_is_wrong_where(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    written(tmp_path, **fields)

    with pytest.raises(UserError, match=r"status\.json is damaged \(") as error:
        Run(tmp_path).status()
    assert told in str(error.value)
    assert "Delete it and start the training command again" in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '"complete"'])
def test_what_is_no_status_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "status.json").write_text(content)

    with pytest.raises(UserError, match=r"status\.json is damaged"):
        status.read(tmp_path)
