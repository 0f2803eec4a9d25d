"""What other selections score is laid out in the unit of the scores, with what must be known of it."""

from dataclasses import replace
from typing import Any

import pytest
from made_tasks import NLI, RATINGS
from whole_tables import WIDTHS, assert_whole

from babelfit.reports.selection_sheets import sheets
from babelfit.reports.sheets import markdown
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Contaminated, Transfer, Worst
from babelfit.scoring.selections import SCHEMA, Price, Selection, Selections


def selected(by: str, steps: list[list[int]], scores: list[float], price: Price | None = None) -> Selection:
    languages = ("en", "de", "sw")
    by_language = dict(zip(languages, scores, strict=True))
    worst = min(("de", "sw"), key=lambda one: by_language[one])
    source, *targets = scores
    mean = sum(targets) / 2
    return Selection(
        by=by,
        steps=dict(zip(languages, steps, strict=True)),
        languages=by_language,
        transfer=Transfer(
            source=source,
            target_mean=mean,
            mean=sum(scores) / 3,
            gap=source - mean,
            retention=mean / source,
            worst=Worst(language=worst, score=by_language[worst]),
        ),
        price=price,
    )


@pytest.fixture
def found() -> Selections:
    return Selections(
        schema=SCHEMA,
        data="xnli",
        split="test",
        metric="accuracy",
        measure=MeasureFacts.of(NLI.selecting),
        selections=[
            selected("source_dev", [[20]] * 3, [0.9, 0.5, 0.4]),
            selected("mean_dev", [[10]] * 3, [0.8, 0.5, 0.6], Price(target_mean=0.1, interval=[-0.05, 0.25])),
            selected("oracle", [[20], [30], [10]], [0.9, 0.8, 0.6], Price(target_mean=0.25, interval=[0.0, 0.5])),
            selected("last", [[30]] * 3, [0.7, 0.8, 0.3], Price(target_mean=0.1, interval=None)),
            selected("average", [[20, 30]] * 3, [0.9, 0.7, 0.5], Price(target_mean=0.15, interval=[0.1, 0.2])),
        ],
    )


def test_the_table_has_a_row_a_selection(found: Selections) -> None:
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
    assert [row[5] for row in rows] == [
        *("", "+10.0 (-5.0 to +25.0)", "+25.0 (+0.0 to +50.0)", "+10.0", "+15.0 (+10.0 to +20.0)")
    ]
    assert "These rows are those that selected" not in page
    assert "true zero-shot" in page
    assert "These rows are those that selected" in markdown(sheets(replace(found, split="validation"))[0])
    assert by_language.columns == ("language", "source dev", "mean dev", "own dev (oracle)", "last", "mean of last 2")
    assert by_language.rows[1] == ["de German", "50.0", "50.0", "80.0", "80.0", "70.0"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"regime": "few_shot"}, "Regime: few"),
        (
            {"contaminated": Contaminated(languages=["en"], why="trained on it")},
            "Contaminated: the model was trained on it.",
        ),
    ],
)
def test_what_is_not_zero_shot_is_not_called_so(found: Selections, more: dict[str, Any], told: str) -> None:
    page = markdown(sheets(replace(found, **more))[0])

    assert "true zero-shot" not in page
    assert told in page


def test_scores_that_are_no_shares_are_not_in_percent(found: Selections) -> None:
    similarity = MeasureFacts.of(RATINGS.selecting)
    below = selected("last", [[30]] * 3, [0.5, -0.25, -0.5], Price(target_mean=-0.375, interval=[-0.5, -0.125]))
    summary, by_language = sheets(replace(found, metric="pearson", measure=similarity, selections=[below]))
    page = markdown(summary)

    assert "xnli, test, Pearson's r\n" in page.replace("\\", "")
    assert list(summary.rows[0]) == ["last", "30", "0.500", "-0.375", "-0.500 sw", "-0.375 (-0.500 to -0.125)"]
    assert [list(row) for row in by_language.rows] == [
        ["en English", "0.500"], ["de German", "-0.250"], ["sw Swahili", "-0.500"],
    ]  # fmt: skip
    assert "percent" not in page
    assert "in points" not in page


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_lose_no_number(found: Selections, width: int) -> None:
    for sheet in sheets(found):
        assert_whole(sheet, width=width)
