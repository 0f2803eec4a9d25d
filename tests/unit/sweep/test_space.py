"""What a sweep varies, as it is written on the command line or in conf/sweep/."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from babelfit.errors import UserError
from babelfit.sweep.space import Space


def read(*arguments: str, **space: str) -> Space:
    dotted = {key.replace("__", "."): value for key, value in space.items()}
    return Space.read(arguments, space=dotted, parser=OverridesParser.create())


def test_a_grid_is_every_combination_the_last_key_fastest() -> None:
    space = read("data=pawsx", "seed=1,2", "optimization.learning_rate=1e-5,2e-5")

    assert space.fixed == ["data=pawsx"]
    assert space.grid() == [
        {"seed": "1", "optimization.learning_rate": "1e-05"},
        {"seed": "1", "optimization.learning_rate": "2e-05"},
        {"seed": "2", "optimization.learning_rate": "1e-05"},
        {"seed": "2", "optimization.learning_rate": "2e-05"},
    ]


def test_a_grid_takes_ranges_and_lists() -> None:
    assert [one["seed"] for one in read("seed=range(1,7,2)").grid()] == ["1", "3", "5"]
    lists = read("data.train_languages=[en],[en,de]").grid()
    assert [one["data.train_languages"] for one in lists] == ["[en]", "[en,de]"]


def test_nothing_swept_is_a_grid_of_one() -> None:
    assert read("data=pawsx").grid() == [{}]


def test_settings_of_the_sweep_itself_are_none_of_its_trials() -> None:
    space = read("sweep=optuna", "sweep.trials=3", "name=here", "resume=auto", "seed=2")
    assert (space.fixed, space.swept) == (["seed=2"], {})


def test_a_search_draws_from_intervals_ranges_and_choices() -> None:
    space = read(
        "optimization.learning_rate=tag(log, interval(1e-5, 1e-3))",
        "optimization.warmup=interval(0, 0.2)",
        "optimization.epochs=int(interval(1, 4))",
        "optimization.batch_size=range(16, 65, 16)",
        "encoder=mini,xlmr_base",
    )
    assert space.distributions() == {
        "optimization.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
        "optimization.warmup": FloatDistribution(0, 0.2),
        "optimization.epochs": IntDistribution(1, 4),
        "optimization.batch_size": IntDistribution(16, 64, step=16),
        "encoder": CategoricalDistribution(["mini", "xlmr_base"]),
    }


def test_every_bound_and_every_choice_is_tried_before_the_first_trial() -> None:
    space = read("optimization.warmup=interval(0, 0.2)", "encoder=mini,xlmr_base,mbert")
    assert space.samples() == [
        {"optimization.warmup": "0.0", "encoder": "mini"},
        {"optimization.warmup": "0.2", "encoder": "mini"},
        {"optimization.warmup": "0.0", "encoder": "xlmr_base"},
        {"optimization.warmup": "0.0", "encoder": "mbert"},
    ]


def test_the_command_line_goes_before_the_space_of_a_config() -> None:
    space = read("seed=7", seed="choice(1, 2)", optimization__warmup="choice(0.0, 0.1)")
    assert (space.fixed, list(space.swept)) == (["seed=7"], ["optimization.warmup"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optimization.warmup=interval(0.2, 0.1)"], "empty interval"),
        (["optimization.warmup=interval(0.2, 0.2)"], "empty interval"),
        (["optimization.learning_rate=tag(log, interval(0, 1))"], "must begin above 0"),
        (["optimization.learning_rate=tag(logarithmic, interval(1, 2))"], "unknown tag logarithmic; there is only log"),
        (["optimization.batch_size=tag(log, choice(1, 2))"], "tag log is for intervals"),
        (["optimization.batch_size=range(5, 1)"], "no value at all"),
        (["seed=1,2", "optimization.warmup=interval(0, 1)"], "luckiest"),
        ([], "nothing to search"),
    ],
)
def test_a_space_in_which_nothing_can_be_searched_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(*arguments).distributions()


def test_a_grid_of_an_interval_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimization.warmup=interval\(0,1\).*takes values, not an interval"):
        read("optimization.warmup=interval(0,1)").grid()


@pytest.mark.parametrize("key", ["name", "resume", "objective", "objective_languages"])
def test_what_a_sweep_is_cannot_differ_between_its_trials(key: str) -> None:
    with pytest.raises(UserError, match=f"{key} is the same for all trials"):
        read(f"{key}=a,b")


def test_what_is_no_override_is_told() -> None:
    with pytest.raises(UserError, match="interval"):
        read("optimization.warmup=interval(0,")
