"""What other selections score is counted from prediction files, each language from the checkpoint chosen for it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_runs import labels, write_run

from babelfit.datasets.xnli import XNLI
from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.reports.selection_sheets import sheets
from babelfit.reports.sheets import markdown
from babelfit.scoring import selections

RANKINGS = {
    "source_dev": [{"step": 20, "score": 0.9}],
    "mean_dev": [{"step": 10, "score": 0.8}],
    "validation/accuracy/en": [{"step": 20, "score": 0.9}],
    "validation/accuracy/de": [{"step": 30, "score": 0.7}],
    "validation/accuracy/sw": [{"step": 10, "score": 0.6}],
    "last": [{"step": 30, "score": 0.1}, {"step": 20, "score": 0.9}],
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
def found(tmp_path: Path) -> dict[str, Any]:
    write_run(tmp_path, {language: answers(right) for language, right in RIGHT[20,].items()})
    chosen = selections.choices(RANKINGS, languages=["en", "de", "sw"], averages=True)
    for steps, by_language in RIGHT.items():
        for language, right in by_language.items() if steps != (20,) else ():
            folder = selections.folder_of(steps, run=tmp_path)
            prediction_files.write(prediction_files.path(folder, split="test", language=language), answers(right))
    data: Any = SimpleNamespace(
        head=XNLI.head,
        label_names=XNLI.label_names,
        is_parallel=True,
        read={"test": {language: {"examples": 10} for language in ("en", "de", "sw")}},
    )
    found = selections.compared(tmp_path, data=data, split="test", chosen=chosen)
    (tmp_path / selections.FILE).write_text(json.dumps(found))
    assert selections.read(tmp_path) == found
    return found


def by(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = (one for one in found["selections"] if one["by"] == name)
    return dict(one)


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
    found: dict[str, Any], name: str, steps: dict[str, list[int]], scores: dict[str, float], price: float | None
) -> None:
    one = by(found, name)

    assert one["steps"] == steps
    assert one["languages"] == pytest.approx(scores)
    assert one["transfer"]["source"] == pytest.approx(scores["en"])
    assert one["transfer"]["target_mean"] == pytest.approx((scores["de"] + scores["sw"]) / 2)
    assert (one["price"] is None) == (price is None)
    if price is not None:
        assert one["price"]["target_mean"] == pytest.approx(price)
        low, high = one["price"]["interval"]
        assert low <= price <= high
        assert low < high


def test_the_price_is_resampled_on_the_same_items(found: dict[str, Any]) -> None:
    """The items of de that step 30 alone has right are the only ones that can make a difference in de."""
    low, high = by(found, "oracle")["price"]["interval"]

    # 3 of 10 in de and 2 of 10 in sw, both among the same ten items: neither is ever below 0.
    assert low >= 0
    assert high <= 0.5


def test_the_table_has_a_row_a_selection(found: dict[str, Any]) -> None:
    summary, by_language = sheets(found)
    page = markdown(summary, level=2)

    assert page.startswith("## Checkpoints otherwise selected: xnli, test, accuracy in percent\n")
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in page.splitlines() if "|" in line][2:]
    assert [row[:5] for row in rows] == [
        ["source dev", "20", "90.0", "45.0", "40.0 sw"],
        ["mean dev", "10", "80.0", "55.0", "50.0 de"],
        ["own dev (oracle)", "10 to 30", "90.0", "70.0", "60.0 sw"],
        ["last", "30", "70.0", "55.0", "30.0 sw"],
        ["mean of last 2", "20 30", "90.0", "60.0", "50.0 sw"],
    ]
    assert [row[5].split(" ")[0] for row in rows] == ["", "+10.0", "+25.0", "+10.0", "+15.0"]
    assert "These rows are those that selected" not in page
    assert "true zero-shot" in page
    assert "These rows are those that selected" in markdown(sheets(found | {"split": "validation"})[0])
    assert by_language.columns == ("language", "source dev", "mean dev", "own dev (oracle)", "last", "mean of last 2")
    assert by_language.rows[1] == ["de German", "50.0", "50.0", "80.0", "80.0", "70.0"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"regime": "few_shot"}, "Regime: few"),
        ({"contaminated": {"languages": ["en"], "why": "trained on it"}}, "Contaminated: the model was trained on it."),
    ],
)
def test_what_is_not_zero_shot_is_not_called_so(found: dict[str, Any], more: dict[str, Any], told: str) -> None:
    page = markdown(sheets(found | more)[0])

    assert "true zero-shot" not in page
    assert told in page


@pytest.mark.parametrize(
    "damaged",
    ["{}", "[", '{"schema": 1}', "NaN", "[" * 100_000],
)
def test_what_is_no_selections_is_refused(tmp_path: Path, damaged: str) -> None:
    (tmp_path / selections.FILE).write_text(damaged)

    with pytest.raises(UserError, match=r"selections\.json holds no selections .*delete it"):
        selections.read(tmp_path)


@pytest.mark.parametrize("steps", [{}, {"en": []}])
def test_a_selection_without_steps_is_refused(tmp_path: Path, found: dict[str, Any], steps: dict[str, Any]) -> None:
    found["selections"][1]["steps"] = steps
    (tmp_path / selections.FILE).write_text(json.dumps(found))

    with pytest.raises(UserError, match="a selection has no steps"):
        selections.read(tmp_path)
