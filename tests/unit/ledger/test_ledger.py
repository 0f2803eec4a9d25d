"""What a sweep found: ranks, groups of seeds, the price of source dev, curves, and what is left out with its reason."""

import json
import math
from pathlib import Path

import pytest
from made_sweeps import MadeSweep, write_metrics, write_scores

from babelfit.errors import UserError
from babelfit.ledger.ledger import collect

RATE = "optimization.learning_rate"


@pytest.fixture
def made(in_folder: Path) -> MadeSweep:
    """An empty sweep."""
    return MadeSweep(in_folder / "outputs")


def numbers(made: MadeSweep) -> list[int]:
    return [row.trial.number for row in collect(made.sweep).rows]


def test_trials_are_in_order_of_the_objective_with_their_ranks_under_the_others(made: MadeSweep) -> None:
    made.add({RATE: "1e-5"}, source_dev=0.9, mean_dev=0.5, worst_dev=0.2)
    made.add({RATE: "2e-5"}, source_dev=0.8, mean_dev=0.7, worst_dev=0.1)
    made.add({RATE: "3e-5"}, source_dev=0.7, mean_dev=0.6, worst_dev=0.3)
    ledger = collect(made.sweep)

    assert [row.trial.number for row in ledger.rows] == [1, 2, 0]
    assert ledger.objectives == ["mean_dev", "source_dev", "worst_dev"]
    assert [row.ranks for row in ledger.rows] == [
        {"mean_dev": 1, "source_dev": 2, "worst_dev": 3},
        {"mean_dev": 2, "source_dev": 3, "worst_dev": 1},
        {"mean_dev": 3, "source_dev": 1, "worst_dev": 2},
    ]


def test_equal_scores_share_a_rank_and_the_next_is_behind_them_all(made: MadeSweep) -> None:
    for value in (0.5, 0.7, 0.7, 0.6):
        made.add({RATE: str(value)}, source_dev=0.5, mean_dev=value)

    assert [row.ranks["mean_dev"] for row in collect(made.sweep).rows] == [1, 1, 3, 4]
    assert numbers(made) == [1, 2, 3, 0]


def test_pruned_and_failed_trials_are_at_the_end_with_their_reasons_and_without_rank(made: MadeSweep) -> None:
    made.add({RATE: "1"}, state="failed", why="a NaN")
    made.add({RATE: "2"}, state="waiting")
    made.add({RATE: "3"}, state="running")
    made.add({RATE: "4"}, state="pruned", why="below the median")
    made.add({RATE: "5"}, source_dev=0.5, mean_dev=0.5)
    ledger = collect(made.sweep)

    assert [(row.trial.state, row.trial.why) for row in ledger.rows] == [
        ("complete", None),
        ("pruned", "below the median"),
        ("failed", "a NaN"),
        ("running", None),
        ("waiting", None),
    ]
    assert ledger.counts == {"complete": 1, "pruned": 1, "failed": 1, "running": 1, "waiting": 1}
    assert [row.ranks for row in ledger.rows[1:]] == [{}] * 4
    assert "Not all trials have ended: ranks and groups will change." in ledger.remarks


def test_a_sweep_without_complete_trials_says_so(made: MadeSweep) -> None:
    assert collect(made.sweep).rows == []
    made.add({RATE: "1"}, state="failed", why="a NaN", folder=made.folder / "gone").rename(made.folder / "elsewhere")
    ledger = collect(made.sweep)

    assert ledger.remarks == ["No trial is complete yet: there is nothing to rank."]
    assert (ledger.picked, ledger.prices, ledger.comparison) == (None, {}, None)
    assert ledger.importance.why_not == "needs at least 4 complete trials"
    assert [group.states for group in ledger.groups] == [{"failed": 1}]


def test_trials_that_share_a_folder_count_once_and_the_complete_one_is_taken(made: MadeSweep) -> None:
    shared = made.add({RATE: "1", "seed": "1"}, state="failed", why="full disk")
    made.add({RATE: "1", "seed": "1"}, folder=shared, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "1", "seed": "1"}, folder=shared, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "1", "seed": "2"}, source_dev=0.5, mean_dev=0.7)
    ledger = collect(made.sweep)

    assert [(row.trial.number, row.repeats) for row in ledger.rows] == [(3, []), (1, [0, 2])]
    assert ledger.groups[0].objectives["mean_dev"].values == [0.5, 0.7]
    assert ledger.num_proposed == 4
    assert ledger.counts == {"complete": 2}


def test_of_repeats_that_are_not_complete_the_last_is_taken(made: MadeSweep) -> None:
    shared = made.add({RATE: "1"}, state="failed", why="full disk")
    made.add({RATE: "1"}, folder=shared, state="running")

    assert [(row.trial.state, row.repeats) for row in collect(made.sweep).rows] == [("running", [0])]


def test_groups_differ_in_more_than_the_seed_and_have_hand_computed_spreads(made: MadeSweep) -> None:
    for seed, value in ((1, 0.70), (2, 0.72), (3, 0.74)):
        made.add({RATE: "1e-5", "seed": str(seed)}, source_dev=0.8, mean_dev=value)
    made.add({RATE: "2e-5", "seed": "1"}, source_dev=0.8, mean_dev=0.9)
    made.add({RATE: "1e-5", "seed": "4"}, state="failed", why="a NaN")
    made.add({RATE: "1e-5", "seed": "5"}, state="pruned", why="below the median")
    best, other = collect(made.sweep).groups

    assert (best.number, best.settings, best.trials, best.states) == (1, {RATE: "2e-5"}, [3], {"complete": 1})
    assert best.objectives["mean_dev"].sd is None
    assert (other.number, other.settings, other.trials) == (2, {RATE: "1e-5"}, [0, 1, 2, 4, 5])
    assert other.states == {"complete": 3, "failed": 1, "pruned": 1}
    spread = other.objectives["mean_dev"]
    assert (spread.count, spread.low, spread.high) == (3, 0.70, 0.74)
    assert spread.mean == pytest.approx(0.72)
    assert spread.sd == pytest.approx(0.02), "of the sample: n - 1"


def test_a_run_over_seeds_alone_is_one_group(made: MadeSweep) -> None:
    for seed in range(1, 6):
        made.add({"seed": str(seed)}, source_dev=0.8, mean_dev=0.6 + seed / 100)
    ledger = collect(made.sweep)
    [group] = ledger.groups

    assert (group.settings, group.count) == ({}, 5)
    assert group.objectives["mean_dev"].mean == pytest.approx(0.63)
    assert group.objectives["mean_dev"].sd == pytest.approx(math.sqrt(0.00025))
    assert ledger.comparison is None


def test_a_number_written_in_two_ways_is_one_setting(made: MadeSweep) -> None:
    made.add({RATE: "2e-5", "seed": "1"}, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "0.00002", "seed": "2"}, source_dev=0.5, mean_dev=0.5)

    assert [group.trials for group in collect(made.sweep).groups] == [[0, 1]]


def test_languages_and_transfer_numbers_spread_over_seeds_by_split(made: MadeSweep) -> None:
    for seed, shift in ((1, 0.0), (2, 0.1)):
        folder = made.add({"seed": str(seed)}, source_dev=0.8, mean_dev=0.7)
        write_scores(folder, "validation", {"en": 0.8, "de": 0.6 + shift, "sw": 0.4})
        if seed == 1:
            write_scores(folder, "test", {"en": 0.82, "de": 0.5})
    failed = made.add({"seed": "3"}, state="failed", why="a NaN")
    write_scores(failed, "validation", {"en": 0.1, "de": 0.1, "sw": 0.1})
    [group] = collect(made.sweep).groups

    dev, test = group.languages["validation"], group.languages["test"]
    assert dev["de"].mean == pytest.approx(0.65)
    assert dev["de"].sd == pytest.approx(0.1 / math.sqrt(2))
    assert dev["sw"].values == [0.4, 0.4], "not of the failed one"
    assert (test["de"].values, test["de"].sd) == ([0.5], None)
    assert group.means["validation"]["worst"].values == [0.4, 0.4]
    assert group.means["validation"]["target_mean"].values == pytest.approx([0.5, 0.55])
    assert group.means["test"]["gap"].values == pytest.approx([0.32])


def test_test_scores_rank_nothing(made: MadeSweep) -> None:
    for number, (dev, test) in enumerate(((0.7, 0.1), (0.6, 0.9))):
        folder = made.add({RATE: str(number)}, source_dev=dev, mean_dev=dev)
        write_scores(folder, "test", {"en": test, "de": test})
    ledger = collect(made.sweep)

    assert [row.trial.number for row in ledger.rows] == [0, 1]
    assert [group.trials for group in ledger.groups] == [[0], [1]]
    assert ledger.picked == 0


def test_the_price_of_source_dev_is_the_best_less_what_source_dev_picks(made: MadeSweep) -> None:
    made.add({RATE: "1"}, source_dev=0.90, mean_dev=0.60, worst_dev=0.30)
    made.add({RATE: "2"}, source_dev=0.85, mean_dev=0.72, worst_dev=0.35)
    made.add({RATE: "3"}, source_dev=0.80, mean_dev=0.70, worst_dev=0.50)
    ledger = collect(made.sweep)

    assert ledger.picked == 0
    prices = {name: (price.best, price.value, price.picked_value) for name, price in ledger.prices.items()}
    assert prices == {"mean_dev": (1, 0.72, 0.60), "source_dev": (0, 0.90, 0.90), "worst_dev": (2, 0.50, 0.30)}
    assert ledger.prices["mean_dev"].difference == pytest.approx(0.12)


def test_of_equal_trials_source_dev_picks_the_first(made: MadeSweep) -> None:
    made.add({RATE: "1"}, source_dev=0.5, mean_dev=0.1)
    made.add({RATE: "2"}, source_dev=0.5, mean_dev=0.9)

    assert collect(made.sweep).picked == 0


def test_an_objective_that_some_trials_lack_ranks_the_others(made: MadeSweep) -> None:
    made.add({RATE: "1"}, source_dev=0.5, mean_dev=0.6)
    made.add({RATE: "2"}, source_dev=0.4, mean_dev=0.5, target_dev=0.3)
    ledger = collect(made.sweep)

    assert [row.ranks.get("target_dev") for row in ledger.rows] == [None, 1]
    assert "target_dev" not in ledger.prices, "what source dev picked has none"


def test_curves_follow_the_objective_or_source_dev_where_it_was_not_logged(made: MadeSweep) -> None:
    logged = made.add({RATE: "1"}, source_dev=0.5, mean_dev=0.5)
    write_metrics(logged, [(4, "source_dev", 0.1), (4, "mean_dev", 0.2), (8, "train/loss", 1), (8, "mean_dev", 0.3)])
    pruned = made.add({RATE: "2"}, state="pruned", why="below the median")
    write_metrics(pruned, [(8, "source_dev", 0.7), (4, "source_dev", 0.6)])
    made.add({RATE: "3"}, state="failed", why="a NaN")
    first, second, third = (row.curve for row in collect(made.sweep).rows)

    assert first is not None
    assert (first.metric, first.steps, first.values) == ("mean_dev", [4, 8], [0.2, 0.3])
    assert second is not None
    assert (second.metric, second.steps, second.values) == ("source_dev", [4, 8], [0.6, 0.7])
    assert third is None


def test_a_line_of_metrics_that_is_being_written_waits(made: MadeSweep) -> None:
    folder = made.add({RATE: "1"}, state="running")
    write_metrics(folder, [(4, "mean_dev", 0.25)])
    with (folder / "metrics.csv").open("a") as file:
        file.write("8,mean_dev,0.")
    [row] = collect(made.sweep).rows

    assert row.curve is not None
    assert row.curve.values == [0.25]


@pytest.mark.parametrize("line", ["8,mean_dev", "x,mean_dev,0.5", "8,mean_dev,x", "8,mean_dev,0.5,1", "\xff"])
def test_damaged_metrics_are_named(made: MadeSweep, line: str) -> None:
    folder = made.add({RATE: "1"}, state="running")
    (folder / "metrics.csv").write_bytes(b"step,metric,value\n" + line.encode("latin-1") + b"\n")
    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        collect(made.sweep)


@pytest.mark.parametrize(
    "change",
    [
        {"languages": {"en": {"accuracy": "high"}}},
        {"languages": {"en": {"f1": 0.5}}},
        {"languages": {"en": {"accuracy": math.nan}}},
        {"languages": {"en": 0.5}},
        {"transfer": {}},
        {"schema": 3},
        {"contaminated": {}},
    ],
)
def test_damaged_scores_are_named(made: MadeSweep, change: dict[str, object]) -> None:
    folder = made.add({RATE: "1"}, source_dev=0.5, mean_dev=0.5)
    write_scores(folder, "validation", {"en": 0.8, "de": 0.6})
    path = folder / "scores" / "validation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"validation\.json"):
        collect(made.sweep)


def test_synthetic_and_contaminated_scores_are_called_so(made: MadeSweep) -> None:
    for number in range(2):
        folder = made.add({RATE: str(number)}, source_dev=0.5, mean_dev=0.5)
        contaminated = {"languages": ["de"], "why": "trained on the validation split of en"}
        write_scores(folder, "validation", {"en": 0.8, "de": 0.6}, synthetic=True, contaminated=contaminated)
    synthetic, contaminated_too = collect(made.sweep).remarks

    assert synthetic.startswith("Synthetic data")
    assert "trained on the validation split of en" in contaminated_too


def test_the_name_is_the_place_below_outputs(in_folder: Path) -> None:
    assert collect(MadeSweep(in_folder / "outputs", name="a/b").sweep).name == "a/b"
    assert collect(MadeSweep(in_folder / "other", name="c").sweep).name == "c"
