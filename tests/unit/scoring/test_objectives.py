"""The objectives are plain arithmetic over languages, left out where undefined; their languages are checked."""

import subprocess
import sys
from typing import Any

import pytest
from made_scores import scores as made_scores
from made_tasks import NER, NLI, TOKENS

from babelfit.config.values import OBJECTIVES
from babelfit.errors import UserError
from babelfit.scoring.objectives import dev_languages, objectives, of_scores
from babelfit.tasks import Task

SCORES = {"en": 0.75, "de": 0.5, "sw": 0.125, "ur": 0.25}


def test_each_language_counts_the_same() -> None:
    assert objectives(SCORES, source_languages=["en"], languages=["en", "de", "sw", "ur"]) == {
        "source_dev": 0.75,
        "mean_dev": 0.40625,
        "worst_dev": 0.125,
        "target_dev": pytest.approx(0.875 / 3),
    }


def test_the_dev_languages_decide_all_but_the_source_mean() -> None:
    found = objectives(SCORES, source_languages=["en", "de"], languages=["de", "ur"])

    assert found == {"source_dev": 0.625, "mean_dev": 0.375, "worst_dev": 0.25, "target_dev": 0.25}


def test_without_a_target_there_is_no_target_mean() -> None:
    assert objectives(SCORES, source_languages=["en", "de"], languages=["de"]) == {
        "source_dev": 0.625,
        "mean_dev": 0.5,
        "worst_dev": 0.5,
    }


def test_an_objective_that_lacks_a_score_is_left_out_rather_than_made_of_fewer() -> None:
    assert objectives(SCORES, source_languages=["fr"], languages=["en", "sw"]).keys() == {*OBJECTIVES} - {"source_dev"}
    assert objectives(SCORES, source_languages=["en"], languages=["en", "fr"]) == {"source_dev": 0.75}
    assert objectives({"sw": 0.5}, source_languages=["en"], languages=["sw"]).keys() == {*OBJECTIVES} - {"source_dev"}
    assert objectives({}, source_languages=["en"], languages=["en"]) == {}


@pytest.mark.parametrize("task", [NLI, NER, TOKENS], ids=lambda task: task.name)
def test_scores_are_read_by_the_measure_that_selects(task: Task) -> None:
    others = dict.fromkeys((measure.key for measure in task.measures), 0.0)
    values = {one: {**others, task.selecting.key: score, "examples": 8} for one, score in SCORES.items()}
    scores = made_scores(task, values)

    assert of_scores(scores, languages=None) == objectives(SCORES, source_languages=["en"], languages=list(SCORES))
    assert of_scores(scores, languages=["sw", "ur"])["mean_dev"] == 0.1875


EVALUATED: dict[str, Any] = {"evaluated": ["en", "de", "sw"], "source_languages": ["en"], "compare": False}


@pytest.mark.parametrize("objective", ["mean_dev", "worst_dev", "target_dev"])
def test_the_dev_languages_are_the_chosen_ones_or_all_that_are_evaluated(objective: str) -> None:
    assert dev_languages(objective, None, **EVALUATED) == ["en", "de", "sw"]
    assert dev_languages(objective, ["sw"], **EVALUATED) == ["sw"]


@pytest.mark.parametrize("objective", [None, "source_dev"])
def test_the_source_mean_needs_no_dev_languages(objective: str | None) -> None:
    assert dev_languages(objective, ["sw"], **EVALUATED) == []


@pytest.mark.parametrize("objective", [None, *OBJECTIVES])
def test_selections_are_compared_by_all_evaluated_languages(objective: str | None) -> None:
    assert dev_languages(objective, None, **EVALUATED | {"compare": True}) == ["en", "de", "sw"]
    with pytest.raises(
        UserError, match=r"^objective_languages=\[sw\] with checkpoint\.compare=true, .* \(en, de, sw\)"
    ):
        dev_languages(objective, ["sw"], **EVALUATED | {"compare": True})


@pytest.mark.parametrize("objective", [None, *OBJECTIVES])
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["sw", "xx"], r"^unknown language 'xx' in objective_languages: data\.languages has en, de, sw\. Quote codes"),
        (["fr"], r"^unknown language 'fr' in objective_languages"),
        (["sw", "sw"], r"^objective_languages=\['sw', 'sw'\]: .*each one once"),
        ([], r"^objective_languages=\[\]: give at least one"),
    ],
)
def test_wrong_dev_languages_are_refused_whatever_the_objective(
    objective: str | None, chosen: list[str], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        dev_languages(objective, chosen, **EVALUATED)


def test_a_target_mean_without_a_target_is_refused() -> None:
    for chosen, evaluated in ((["en"], ["en", "sw"]), (None, ["en"])):
        with pytest.raises(
            UserError, match=r"^objective=target_dev: all dev languages, en, are trained on, so none is a target"
        ):
            dev_languages("target_dev", chosen, evaluated=evaluated, source_languages=["en", "de"], compare=False)


def test_whoever_asks_for_objectives_need_not_wait_for_torch() -> None:
    code = "import sys; import babelfit.scoring.objectives; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
