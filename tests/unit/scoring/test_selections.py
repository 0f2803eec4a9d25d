"""What other selections score is counted from prediction files, each language from the checkpoint chosen for it."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import labels, write_run
from made_tasks import NLI

from babelfit.checkpoints.rankings import Ranked
from babelfit.errors import UserError
from babelfit.files import documents
from babelfit.predictions import prediction_files
from babelfit.scoring import scores as score_files
from babelfit.scoring import selections
from babelfit.scoring.selections import Selection, Selections

RANKINGS = {
    "source_dev": [Ranked(step=20, score=0.9)],
    "mean_dev": [Ranked(step=10, score=0.8)],
    "validation/accuracy/en": [Ranked(step=20, score=0.9)],
    "validation/accuracy/de": [Ranked(step=30, score=0.7)],
    "validation/accuracy/sw": [Ranked(step=10, score=0.6)],
    "last": [Ranked(step=30, score=0.1), Ranked(step=20, score=0.9)],
}
# Of ten answers, so many are right.
RIGHT = {
    (20,): {"en": 9, "de": 5, "sw": 4},
    (10,): {"en": 8, "de": 5, "sw": 6},
    (30,): {"en": 7, "de": 8, "sw": 3},
    (20, 30): {"en": 9, "de": 7, "sw": 5},
}


def answers(right: int) -> list[Any]:
    return labels([1] * right + [0] * (10 - right))


@pytest.fixture
def found(tmp_path: Path) -> Selections:
    write_run(tmp_path, {language: answers(right) for language, right in RIGHT[20,].items()})
    chosen = selections.choices(RANKINGS, languages=["en", "de", "sw"], averages=True)
    for steps, by_language in RIGHT.items():
        for language, right in by_language.items() if steps != (20,) else ():
            folder = selections.folder_of(steps, run=tmp_path)
            prediction_files.write(prediction_files.path(folder, split="test", language=language), answers(right))
    (own,) = score_files.read_all(tmp_path)
    found = selections.compare(tmp_path, task=NLI, own=own, chosen=chosen)
    selections.write(found, tmp_path)
    assert selections.read(tmp_path) == found
    return found


def by(found: Selections, name: str) -> Selection:
    (one,) = (one for one in found.selections if one.by == name)
    return one


@pytest.mark.parametrize(
    ("name", "steps", "scores", "price"),
    [
        ("source_dev", {"en": [20], "de": [20], "sw": [20]}, {"en": 0.9, "de": 0.5, "sw": 0.4}, None),
        ("mean_dev", {"en": [10], "de": [10], "sw": [10]}, {"en": 0.8, "de": 0.5, "sw": 0.6}, 0.1),
        ("oracle", {"en": [20], "de": [30], "sw": [10]}, {"en": 0.9, "de": 0.8, "sw": 0.6}, 0.25),
        ("last", {"en": [30], "de": [30], "sw": [30]}, {"en": 0.7, "de": 0.8, "sw": 0.3}, 0.1),
        ("average", {"en": [20, 30], "de": [20, 30], "sw": [20, 30]}, {"en": 0.9, "de": 0.7, "sw": 0.5}, 0.15),
    ],
)
def test_each_selection_scores_by_its_own_checkpoints(
    found: Selections, name: str, steps: dict[str, list[int]], scores: dict[str, float], price: float | None
) -> None:
    one = by(found, name)

    assert one.steps == steps
    assert one.languages == pytest.approx(scores)
    assert one.transfer.source == pytest.approx(scores["en"])
    assert one.transfer.target_mean == pytest.approx((scores["de"] + scores["sw"]) / 2)
    assert (one.price is None) == (price is None)
    if one.price is not None and price is not None:
        assert one.price.target_mean == pytest.approx(price)
        assert one.price.interval is not None
        low, high = one.price.interval
        assert low <= price <= high
        assert low < high


def test_the_price_is_resampled_on_the_same_items(found: Selections) -> None:
    """The items of de that step 30 alone has right are the only ones that can make a difference in de."""
    price = by(found, "oracle").price
    assert price is not None
    assert price.interval is not None
    low, high = price.interval

    # 3 of 10 in de and 2 of 10 in sw, both among the same ten items: neither is ever below 0.
    assert low >= 0
    assert high <= 0.5


@pytest.mark.parametrize(
    "damaged",
    ["{}", "[", '{"schema": 1}', "NaN", "[" * 100_000],
)
def test_what_is_no_selections_is_refused(tmp_path: Path, damaged: str) -> None:
    (tmp_path / selections.FILE).write_text(damaged)

    with pytest.raises(UserError, match=r"selections\.json holds no selections .*delete it"):
        selections.read(tmp_path)


@pytest.mark.parametrize("steps", [{}, {"en": []}])
def test_a_selection_without_steps_is_refused(tmp_path: Path, found: Selections, steps: dict[str, Any]) -> None:
    document = documents.dumped(found)
    document["selections"][1]["steps"] = steps
    (tmp_path / selections.FILE).write_text(json.dumps(document))

    with pytest.raises(UserError, match="a selection has no steps"):
        selections.read(tmp_path)


def test_an_older_file_is_read_as_if_it_said_its_measure(tmp_path: Path, found: Selections) -> None:
    document = {key: value for key, value in documents.dumped(found).items() if key != "measure"} | {"schema": 1}
    (tmp_path / selections.FILE).write_text(json.dumps(document))

    assert selections.read(tmp_path) == found
