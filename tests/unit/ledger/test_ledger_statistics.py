"""Seed noise by Welch's test, and importance by Optuna: the numbers, and the cases in which there is none to give."""

import logging
import math
import random
import shlex
from pathlib import Path

import optuna
import pytest
from made_sweeps import MadeSweep
from scipy import stats

from babelfit.ledger.comparison import LARGER, NO_NOISE, NOISE, TOO_FEW, Comparison
from babelfit.ledger.importance import Importance, importance
from babelfit.ledger.ledger import collect
from babelfit.reports.sweep_tables import sentences


def compared(outputs: Path, *groups: list[float]) -> Comparison:
    """Compare groups of these values."""
    made = MadeSweep(outputs)
    for rate, values in enumerate(groups, start=1):
        for seed, value in enumerate(values):
            made.add({"optimization.learning_rate": f"{rate}e-5", "seed": str(seed)}, source_dev=0.5, mean_dev=value)
    found = collect(made.sweep).comparison
    assert found is not None
    return found


def test_the_two_best_groups_are_compared_as_scipy_does_with_unequal_variances(tmp_path: Path) -> None:
    best, worst, second = [0.71, 0.75, 0.73], [0.2, 0.3], [0.60, 0.68, 0.61, 0.66]
    found = compared(tmp_path, worst, second, best)
    expected = stats.ttest_ind(best, second, equal_var=False)

    assert (found.groups, found.counts, found.chosen_from) == ((1, 2), (3, 4), 3)
    assert found.difference == pytest.approx(0.73 - 0.6375)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p != pytest.approx(stats.ttest_ind(best, second).pvalue)
    assert found.verdict == LARGER
    assert found.seeds_command is None


def test_a_small_difference_is_not_distinguishable(tmp_path: Path) -> None:
    found = compared(tmp_path, [0.70, 0.74], [0.69, 0.73])

    assert found.p is not None
    assert found.p > 0.05
    assert found.verdict == NOISE


@pytest.mark.parametrize("groups", [([0.7], [0.6]), ([0.7, 0.8], [0.6]), ([0.7], [0.6, 0.5])])
def test_one_seed_cannot_tell(tmp_path: Path, groups: tuple[list[float], list[float]]) -> None:
    found = compared(tmp_path, *groups)

    assert (found.verdict, found.p, found.interval) == (TOO_FEW, None, None)
    assert found.seeds_command is not None


def test_the_command_trains_both_groups_with_more_seeds_as_the_sweep_did(in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs", name="a/b")
    fixed = ("experiment=xnli_zero_shot", "+encoder.overrides.x=1", "seed=7", "sweep=optuna", "sweep.trials=9", "-m")
    for rate, value in (("1e-5", 0.7), ("2e-5", 0.5), ("3e-5", 0.6)):
        swept = {"optimization.learning_rate": rate, "data.train_languages": "[en,de]"}
        made.add(swept, fixed=fixed, source_dev=0.5, mean_dev=value)
    found = collect(made.sweep).comparison

    assert found is not None
    assert found.seeds_command is not None
    assert shlex.split(found.seeds_command) == [
        *("babelfit", "train", "-m", "name=a/b-seeds", "experiment=xnli_zero_shot", "+encoder.overrides.x=1"),
        *("optimization.learning_rate=1e-5,3e-5", "data.train_languages=[en,de]", "seed=1,2,3,4,5"),
    ]
    assert found.num_seed_runs == 10


def test_the_command_names_a_folder_of_the_users_own_where_it_is_not_found_without(in_folder: Path) -> None:
    for name in ("options", "babelfit.conf"):
        made = MadeSweep(in_folder / "outputs", name=f"of-{name}")
        for rate, value in (("1e-5", 0.7), ("2e-5", 0.5)):
            fixed = ("--config-dir", f"/somewhere/{name}", "experiment=mine")
            made.add({"optimization.learning_rate": rate}, fixed=fixed, source_dev=0.5, mean_dev=value)
        found = collect(made.sweep).comparison
        assert found is not None
        assert found.seeds_command is not None
        assert ("--config-dir=/somewhere/options" in found.seeds_command) == (name == "options")
        assert "experiment=mine" in found.seeds_command


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"command": 1}', '{"command": []}', "\xff"])
def test_the_command_is_told_without_what_the_folder_does_not_say(in_folder: Path, text: str | None) -> None:
    made = MadeSweep(in_folder / "outputs")
    for rate, value in (("1", 0.7), ("2", 0.5)):
        folder = made.add({"optimization.learning_rate": rate}, source_dev=0.5, mean_dev=value)
        path = folder / "environment.json"
        path.unlink() if text is None else path.write_bytes(text.encode("latin-1"))
    found = collect(made.sweep).comparison

    assert found is not None
    assert found.seeds_command == ("babelfit train -m name=made-seeds optimization.learning_rate=1,2 seed=1,2,3,4,5")


@pytest.mark.parametrize(
    ("groups", "verdict"),
    [
        (([0.7, 0.7], [0.6, 0.6]), NO_NOISE),
        (([0.7, 0.7], [0.7, 0.7]), NOISE),
        (([0.1 + 0.2, 0.3], [0.3, 0.3]), NOISE),
    ],
)
def test_seeds_that_score_the_same_give_no_test(
    tmp_path: Path, groups: tuple[list[float], list[float]], verdict: str
) -> None:
    found = compared(tmp_path, *groups)

    assert (found.verdict, found.p, found.interval) == (verdict, None, None)


def test_one_group_without_spread_is_tested_against_the_other(tmp_path: Path) -> None:
    found = compared(tmp_path, [0.7, 0.7, 0.7], [0.5, 0.6, 0.55])

    assert found.p is not None
    assert 0 < found.p < 0.05
    assert found.verdict == LARGER


def searched(num_trials: int, *, planted: str = "optimization.learning_rate") -> Importance:
    """Ask for the importance in a search where one key decides."""
    draw = random.Random(0)
    settings, values = [], []
    for number in range(num_trials):
        drawn = {
            "optimization.learning_rate": 10 ** draw.uniform(-6, -3),
            "optimization.batch_size": draw.choice([8, 16, 32, 64, 128]),
            "encoder": draw.choice(["mini", "mbert"]),
            "seed": number,
        }
        score = {
            "optimization.learning_rate": -abs(math.log10(drawn["optimization.learning_rate"]) + 4.5),
            "encoder": float(drawn["encoder"] == "mbert") + draw.uniform(0, 0.01),
        }[planted]
        settings.append({key: str(value) for key, value in drawn.items()})
        values.append(score)
    return importance(settings, values=values)


@pytest.mark.parametrize("planted", ["optimization.learning_rate", "encoder"])
def test_importance_finds_what_decides(planted: str) -> None:
    found = searched(60, planted=planted)

    assert next(iter(found.shares)) == planted
    assert sum(found.shares.values()) == pytest.approx(1)
    assert set(found.shares) == {"optimization.learning_rate", "optimization.batch_size", "encoder", "seed"}
    assert (found.num_trials, found.num_best, found.why_not) == (60, 6, None)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)


def test_importance_is_what_optuna_says_of_the_same_trials() -> None:
    settings = [{"a": str(a), "b": b} for a in (1, 2, 3) for b in ("x", "y", "null")]
    values = [0.1, 0.5, 0.2, 0.3, 0.9, 0.4, 0.1, 0.6, 0.2]
    study = optuna.create_study(direction="maximize")
    distributions = {
        "a": optuna.distributions.IntDistribution(1, 3),
        "b": optuna.distributions.CategoricalDistribution(["null", "x", "y"]),
    }
    for one, value in zip(settings, values, strict=True):
        params = {"a": int(one["a"]), "b": one["b"]}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))

    assert importance(settings, values=values).shares == pytest.approx(optuna.importance.get_param_importances(study))


@pytest.mark.parametrize(
    ("settings", "values", "why"),
    [
        ([{"a": "1", "b": "1"}, {"a": "2", "b": "2"}, {"a": "3", "b": "3"}], [1, 2, 3], "at least 4 complete trials"),
        ([{"a": str(a), "b": "1"} for a in range(5)], [1, 2, 3, 4, 5], "at least two keys"),
        ([{"a": one, "b": one} for one in ("1", "1.0", "1e0", "1")], [1, 2, 3, 4], "at least two keys"),
        ([{"a": str(a), "b": str(a)} for a in range(5)], [0.5] * 5, "all trials score the same"),
        ([], [], "at least 4 complete trials"),
    ],
)
def test_importance_is_left_out_with_the_reason(settings: list[dict[str, str]], values: list[float], why: str) -> None:
    found = importance(settings, values=values)

    assert found.shares == {}
    assert found.why_not is not None
    assert why in found.why_not


def test_values_that_are_no_finite_numbers_and_absent_ones_are_names() -> None:
    values = ["null", "inf", "nan", "1", ""]
    settings = [{"a": value, "b": str(row)} if value else {"b": str(row)} for row, value in enumerate(values)]

    assert set(importance(settings, values=[0.1, 0.2, 0.3, 0.4, 0.5]).shares) == {"a", "b"}


def test_optuna_is_quiet_and_as_loud_as_before_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    with caplog.at_level(logging.INFO):
        searched(10)
    optuna.logging.disable_propagation()

    assert caplog.records == []
    assert optuna.logging.get_verbosity() == before


def test_where_groups_differ_in_several_keys_the_command_trains_all_combinations(in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs")
    made.add({"optimization.learning_rate": "1e-5", "encoder": "mini"}, source_dev=0.5, mean_dev=0.5)
    made.add({"optimization.learning_rate": "2e-5", "encoder": "mbert"}, source_dev=0.5, mean_dev=0.6)
    found = collect(made.sweep).comparison

    assert found is not None
    assert found.seeds_command is not None
    assert "optimization.learning_rate=2e-5,1e-5 encoder=mbert,mini seed=1,2,3,4,5" in found.seeds_command
    assert found.num_seed_runs == 20
    assert "all combinations of their settings, with seeds 1, 2, 3, 4, 5 (20 runs)" in "".join(
        sentences(collect(made.sweep))
    )
