"""Of tables too large to be read, the worst is shown: with hundreds of languages or labels a page stays small."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pages import FACTS
from made_scores import scores as made_scores
from PIL import Image

from babelfit.files import documents
from babelfit.reports import summaries, writing
from babelfit.scoring import scores as score_files
from babelfit.scoring.tables import Confusion, Consistency, DifferentGold
from babelfit.tasks import Classification

MOST_BYTES, MOST_SECONDS, MOST_PIXELS = 5_000_000, 30, 12_000


def consistency(number: int) -> Consistency:
    """Make languages of which the later agree less with the others."""
    shares = [[1.0 if one == two else 1 - (one + two) / (2 * number) for two in range(number)] for one in range(number)]
    return Consistency(
        languages=[f"l{place}" for place in range(number)],
        items=100,
        left_out=0,
        different_gold=DifferentGold(items=0),
        alike=shares,
        alike_if_right=shares,
        all_alike=0.5,
        all_right=0.25,
        all_alike_if_right={"l0": 0.5},
    )


def confusion(number: int, *, seed: int = 0) -> Confusion:
    counts = np.random.default_rng(seed).integers(0, 9, size=(number, number))
    np.fill_diagonal(counts, 1000)
    return Confusion(labels=[f"label {place}" for place in range(number)], counts=counts.tolist())


@pytest.mark.parametrize("number", [1, 2, summaries.MOST_LANGUAGES])
def test_of_few_languages_all_are_shown(number: int) -> None:
    found = consistency(number)
    assert summaries.least_alike(found, sources=["l0"]) == (found, "")


@pytest.mark.parametrize("number", [summaries.MOST_LANGUAGES + 1, 100, 200])
def test_of_many_languages_those_that_agree_least_are_shown_with_the_sources(number: int) -> None:
    found = consistency(number)
    shown, left_out = summaries.least_alike(found, sources=["l0", "l1"])

    last = [f"l{place}" for place in range(number - summaries.MOST_LANGUAGES + 2, number)]
    assert shown.languages == ["l0", "l1", *last]
    assert shown.alike[0][-1] == shown.alike[-1][0] == found.alike[0][-1]
    assert (shown.items, shown.all_alike) == (found.items, found.all_alike)
    assert left_out.startswith(f"of {number} languages the {summaries.MOST_LANGUAGES} that agree least")


def test_however_many_languages_are_trained_on_the_worst_are_shown() -> None:
    shown, _ = summaries.least_alike(consistency(200), sources=[f"l{place}" for place in range(150)])
    assert len(shown.languages) == summaries.MOST_LANGUAGES
    assert {"l0", "l199", "l198"} <= set(shown.languages)


@pytest.mark.parametrize("number", [41, 100, 500])
def test_of_many_labels_those_confused_most_are_shown_and_none_is_lost(number: int) -> None:
    found = confusion(number)
    found.counts[7][3] = 5000
    shown, left_out = summaries.most_confused(found, most=12)

    assert len(shown.labels) == 12
    assert {"label 3", "label 7"} <= set(shown.labels)
    assert shown.labels[-1] == summaries.OTHERS
    assert sum(map(sum, shown.counts)) == sum(map(sum, found.counts))
    place, other = shown.labels.index("label 7"), shown.labels.index("label 3")
    assert shown.counts[place][other] == 5000
    assert f"of {number} labels the 11" in left_out


@pytest.mark.parametrize("number", [1, 3, 12])
def test_of_few_labels_all_are_shown(number: int) -> None:
    assert summaries.most_confused(confusion(number), most=12) == (confusion(number), "")


def test_of_many_lines_the_lowest_are_drawn() -> None:
    lines = {f"l{place}": [(1, 0.5), (2, place / 100)] for place in range(100)}
    shown, left_out = summaries.worst_lines(lines)

    assert list(shown) == [f"l{place}" for place in range(summaries.MOST_LANGUAGES)]
    assert left_out == f", the lowest {summaries.MOST_LANGUAGES} of 100"
    assert summaries.worst_lines({"l1": lines["l1"]}) == ({"l1": lines["l1"]}, "")


@pytest.mark.parametrize(("languages", "labels"), [(200, 3), (15, 500), (45, 50)])
def test_a_large_page_opens_quickly_and_is_written_quickly(tmp_path: Path, languages: int, labels: int) -> None:
    run = large(tmp_path / "run", languages=languages, labels=labels)
    [scores] = score_files.read_all(run)
    started = time.process_time()
    writing.write(run, all_scores=[scores], facts=FACTS)

    assert time.process_time() - started < MOST_SECONDS
    for path in (run / "report.html", run / "report.md", *(run / "figures").iterdir()):
        assert path.stat().st_size < MOST_BYTES, path
    for path in (run / "figures").iterdir():
        with Image.open(path) as picture:
            assert max(picture.size) < MOST_PIXELS, path
    page = (run / "report.html").read_text(encoding="utf-8")
    assert ("languages the 40 that agree least" in page) == (languages > 40)
    assert ("that are confused most often" in page) == (labels > 40)
    assert "scores/test.json has all" in page


def large(folder: Path, *, languages: int, labels: int) -> Path:
    """Make the scores of a run, with a line of metrics for each language."""
    names = [f"l{place}" for place in range(languages)]
    task = Classification(labels=[f"label {place}" for place in range(labels)])
    bins = {"count": [5] * 15, "confidence": [0.5] * 15, "accuracy": [0.4] * 15}
    values: dict[str, dict[str, Any]] = {
        one: {
            "accuracy": 0.4 + place / 1000,
            "f1": 0.4,
            "examples": 1000,
            "interval": [0.3, 0.7],
            "ece": 0.1,
            "calibration": bins,
            "confusion": {"labels": list(task.labels), "counts": confusion(labels, seed=place).counts},
        }
        for place, one in enumerate(names)
    }
    folder.mkdir()
    made = made_scores(
        task, values, parallel=True, sources=("l0",), consistency=documents.dumped(consistency(languages))
    )
    score_files.write(made, folder)
    rows = [f"{step},validation/accuracy/{one},0.5" for step in range(1, 21) for one in names]
    (folder / "metrics.csv").write_text("\n".join(["step,metric,value", *rows, ""]))
    return folder
