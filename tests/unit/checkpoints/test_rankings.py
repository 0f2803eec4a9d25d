"""Rankings choose as each way of selecting would, and forget what none would choose."""

from babelfit.checkpoints.rankings import Ranked, Rankings, by_language, kept, ranked, steps_of

KEPT = kept(keep=2, compared=["en", "sw"], metric="f1", average=3)


def after(*validations: dict[str, float]) -> dict[str, list[int]]:
    """Rank validations at steps 10, 20, ...; return the steps of each ranking."""
    rankings: Rankings = {}
    for number, scores in enumerate(validations, start=1):
        rankings = ranked(rankings, step=10 * number, scores=scores, keep=KEPT)
    return {name: [one.step for one in ranking] for name, ranking in rankings.items()}


def scores(en: float, sw: float) -> dict[str, float]:
    return {"source_dev": en, "mean_dev": (en + sw) / 2, "validation/f1/en": en, "validation/f1/sw": sw}


def test_each_ranking_has_its_best_and_the_last_its_latest() -> None:
    found = after(scores(0.5, 0.6), scores(0.8, 0.2), scores(0.7, 0.5), scores(0.6, 0.3), scores(0.4, 0.1))

    assert found == {
        "source_dev": [20, 30],
        "mean_dev": [30],
        "validation/f1/en": [20],
        "validation/f1/sw": [10],
        "last": [50, 40, 30],
    }


def test_of_equal_scores_the_earlier_wins() -> None:
    found = after(scores(0.5, 0.5), scores(0.5, 0.5), scores(0.5, 0.5))

    assert {name: steps[0] for name, steps in found.items()} == dict.fromkeys(found, 10) | {"last": 30}


def test_without_a_comparison_the_source_mean_alone_is_ranked() -> None:
    assert kept(keep=3, compared=[], metric="f1", average=None) == {"source_dev": 3}
    assert kept(keep=1, compared=["sw"], metric="f1", average=None)["last"] == 1


def test_the_steps_and_languages_of_rankings_are_found() -> None:
    rankings = {"source_dev": [Ranked(step=3, score=0.1), Ranked(step=1, score=0.0)],
                "validation/accuracy/sw": [Ranked(step=2, score=0.5)]}  # fmt: skip

    assert steps_of(rankings) == {1, 2, 3}
    assert by_language(rankings) == {"sw": 2}
