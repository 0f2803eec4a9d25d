"""What is written of a run: all reports of all tasks, from its scores and its manifest, old or new."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_pages import FACTS, entry
from made_runs import labels, write_run
from made_tasks import TOKENS

from babelfit.errors import UserError
from babelfit.reports import writing
from babelfit.scoring import scores as score_files
from babelfit.tasks.masked_tokens import MaskedPrediction

COUNTS = {"subwords": 150, "words": 100, "characters": 600, "unknown": 3, "lengths": {"longest": 12}}


def written(folder: Path, **manifest: Any) -> dict[str, str]:
    """Write the reports of a folder, and return those that are text."""
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, **manifest}))
    writing.write(folder, all_scores=score_files.read_all(folder), facts=FACTS)
    return {name: (folder / name).read_text(encoding="utf-8") for name in ("report.md", "report.html")}


def masked(folder: Path) -> Path:
    records = [MaskedPrediction(index=index, masked=4, right=index % 4, nll=8.0 + index) for index in range(9)]
    theirs = {"sw": records, "en": records[:5]}
    return write_run(folder, theirs, data="text", task=TOKENS, sources=["sw"], vocabulary="all 10 ids")


def test_masked_tokens_have_a_page_with_figures_and_without_errors_to_read(tmp_path: Path) -> None:
    run = masked(tmp_path / "run")
    entries = {"en": {**entry(tmp_path / "data", "en"), "labels": {}, "tokens": COUNTS}}
    found = written(run, data="text", splits={"test": entries})
    page = found["report.html"]

    assert "# Masked tokens of held-out text\n" in found["report.md"]
    assert "Tokenizer" not in found["report.md"]
    assert '<p class="lead">Masked tokens of held-out text</p>' in page
    assert "The bar shows perplexity from 0.00 to " in page
    assert '<button type="button">trained on</button>' in page
    for absent in (": errors</a>", "Transfer", "Language by language", "to source", "Confusion", "gold tags"):
        assert absent not in page
    assert "subwords by word" in page
    assert [file.name for file in (run / "figures").iterdir()] == ["scores-test.png"]


def test_scores_of_a_task_that_is_not_known_are_named_with_their_folder(tmp_path: Path) -> None:
    run = masked(tmp_path / "run")
    [scores] = score_files.read_all(run)
    score_files.write(replace(scores, task="telepathy"), run)

    with pytest.raises(UserError, match=r"run/scores: task 'telepathy' is unknown; this version has classification"):
        written(run)


@pytest.mark.parametrize(
    ("manifest", "repo"),
    [
        ({"data": "xnli"}, "facebook/xnli"),
        ({"data": "xnli", "hub_repo": "mine/copy"}, "mine/copy"),
        ({"data": "xnli", "hub_repo": None}, None),
    ],
)
def test_the_card_has_the_repository_of_the_manifest_or_that_of_older_ones(
    tmp_path: Path, manifest: dict[str, Any], repo: str | None
) -> None:
    run = write_run(tmp_path / "run", {"en": labels([1, 0]), "de": labels([1, 1])})
    config = (Path(__file__).parents[1] / "config" / "configs" / "version-1.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config)
    (run / "model").mkdir()
    written(run, **manifest, origin={"revision": "abc"})
    card = (run / "model" / "README.md").read_text(encoding="utf-8")

    assert (f"\n- {repo}\n" in card) == (repo is not None)
    assert ("type: xnli" in card) == (repo is None)
    assert "revision: abc" in card


def test_what_is_written_twice_is_the_same(tmp_path: Path) -> None:
    run = masked(tmp_path / "run")

    assert written(run) == written(run)
