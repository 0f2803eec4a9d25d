"""Scores follow from prediction files alone: right, complete and the same bytes every time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import Prediction
from babelfit.reports import words
from babelfit.reports.markdown import markdown
from babelfit.scoring import scoring

NAMES = ("yes", "no", "maybe")
Pair = tuple[str, str | None]

# Predicted and gold. en: 3 of 4 right; de: 2 of 4; sw: 1 of 2, and one row without gold.
GOLDEN: dict[str, list[Pair]] = {
    "de": [("yes", "yes"), ("yes", "no"), ("no", "maybe"), ("maybe", "maybe")],
    "en": [("yes", "yes"), ("no", "no"), ("maybe", "maybe"), ("no", "maybe")],
    "sw": [("no", "no"), ("maybe", None), ("no", "yes")],
}


def keep(folder: Path, language: str, pairs: Sequence[Pair]) -> None:
    records = [
        Prediction(index=index, gold=gold, predicted=predicted, probabilities={predicted: 1.0})
        for index, (predicted, gold) in enumerate(pairs)
    ]
    prediction_files.write(prediction_files.path(folder, split="test", language=language), records)


def score(folder: Path, *source_languages: str, is_parallel: bool = False, **notes: object) -> dict[str, Any]:
    return scoring.score(
        folder,
        data="xnli",
        split="test",
        head="sequence_classification",
        label_names=NAMES,
        is_parallel=is_parallel,
        source_languages=source_languages or ("en",),
        examples={},
        dropped={},
        notes=notes,
    )


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    for language, pairs in GOLDEN.items():
        keep(tmp_path, language, pairs)
    return tmp_path


def test_the_numbers_are_those_counted_by_hand(golden: Path) -> None:
    scores = score(golden)

    # F1 by class, yes, no, maybe. en: 1, 2/3, 2/3; de: 2/3, 0, 2/3; sw: 0, 2/3, and no maybe among those scored.
    counted = ("accuracy", "f1", "examples", "unlabelled")
    assert {
        language: {key: value for key, value in values.items() if key in counted}
        for language, values in scores["languages"].items()
    } == {
        "en": {"accuracy": 0.75, "f1": pytest.approx(7 / 9), "examples": 4},
        "de": {"accuracy": 0.5, "f1": pytest.approx(4 / 9), "examples": 4},
        "sw": {"accuracy": 0.5, "f1": pytest.approx(1 / 3), "examples": 2, "unlabelled": 1},
    }
    assert {key: value for key, value in scores["transfer"].items() if key != "intervals"} == {
        "source": 0.75,
        "target_mean": 0.5,
        "mean": pytest.approx(7 / 12),
        "gap": 0.25,
        "retention": pytest.approx(2 / 3),
        "worst": {"language": "de", "score": 0.5},
    }


def test_the_frame_says_what_was_scored(golden: Path) -> None:
    scores = score(golden)

    assert {key: scores[key] for key in ("schema", "data", "split", "metric", "source_languages")} == {
        "schema": 1,
        "data": "xnli",
        "split": "test",
        "metric": "accuracy",
        "source_languages": ["en"],
    }
    assert "synthetic" not in scores
    assert score(golden, synthetic=True)["synthetic"] is True


def test_a_prediction_without_gold_is_counted_and_moves_no_score(golden: Path) -> None:
    labelled = score(golden)["languages"]["de"]
    keep(golden, "de", [*GOLDEN["de"], ("yes", None), ("no", None)])

    assert score(golden)["languages"]["de"] == labelled | {"unlabelled": 2}


def test_a_language_without_any_gold_is_named_and_in_no_mean(golden: Path) -> None:
    keep(golden, "sw", [("yes", None), ("no", None)])
    scores = score(golden)

    assert scores["unscored_languages"] == ["sw"]
    assert list(scores["languages"]) == ["en", "de"]
    assert scores["transfer"]["target_mean"] == 0.5


def test_damaged_predictions_are_refused_with_their_file(golden: Path) -> None:
    file = prediction_files.path(golden, split="test", language="de")
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0] * 2)

    with pytest.raises(UserError, match=r"de\.jsonl, line 2: index 0 stands twice"):
        score(golden)


@pytest.mark.parametrize(
    ("source_languages", "order"),
    [
        (("en",), ["en", "de", "sw"]),
        (("sw", "de"), ["sw", "de", "en"]),
        (("fr", "sw"), ["sw", "de", "en"]),
    ],
)
def test_source_languages_stand_first_and_in_their_own_order(
    golden: Path, source_languages: tuple[str, ...], order: list[str]
) -> None:
    assert list(score(golden, *source_languages)["languages"]) == order


def test_the_same_predictions_give_the_same_bytes(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    scoring.write(score(golden), golden)
    again = tmp_path_factory.mktemp("again")
    for language in reversed(GOLDEN):
        keep(again, language, GOLDEN[language])
    scoring.write(score(again), again)

    assert (again / "scores" / "test.json").read_bytes() == (golden / "scores" / "test.json").read_bytes()
    assert [path.name for path in (again / "scores").iterdir()] == ["test.json"]


def test_the_order_of_lines_moves_no_score(golden: Path) -> None:
    before = score(golden)
    file = prediction_files.path(golden, split="test", language="de")
    file.write_bytes(b"".join(reversed(file.read_bytes().splitlines(keepends=True))))

    assert score(golden) == before


def test_the_scores_of_all_splits_are_read_back(golden: Path) -> None:
    scores = score(golden)
    for split in ("validation", "test"):
        scoring.write(scores | {"split": split}, golden)

    assert scoring.read_all(golden) == [scores, scores | {"split": "validation"}]


def test_a_file_that_lost_its_end_is_not_scored(golden: Path) -> None:
    with pytest.raises(UserError, match=r"de\.jsonl: 4 predictions for 5 examples"):
        scoring.score(
            golden,
            data="xnli",
            split="test",
            head="sequence_classification",
            label_names=NAMES,
            is_parallel=False,
            source_languages=["en"],
            examples={"de": 5},
            dropped={},
            notes={},
        )


@pytest.mark.parametrize(
    "damage", ["{", "[]", "{}", '{"schema": 1, "metric": "accuracy", "languages": [], "transfer": {}}']
)
def test_scores_that_are_none_are_named(golden: Path, damage: str) -> None:
    scoring.write(score(golden), golden)
    (golden / "scores" / "test.json").write_text(damage)

    with pytest.raises(UserError, match=r"test\.json holds no scores"):
        scoring.read_all(golden)


@pytest.mark.parametrize(
    ("key", "damage"),
    [
        ("consistency", {}),
        ("consistency", 1),
        ("groups", 1),
        ("groups", {"family": {"Germanic": 1}}),
        ("contaminated", []),
        ("not_parallel", {}),
        ("unscored_languages", "sw"),
        ("transfer", {"source": None}),
        (
            "transfer",
            {**dict.fromkeys(("source", "target_mean", "gap", "retention", "worst")), "intervals": {"gap": []}},
        ),
    ],
)
def test_a_part_of_the_scores_that_is_not_as_written_is_named(golden: Path, key: str, damage: object) -> None:
    scoring.write(score(golden, is_parallel=True) | {key: damage}, golden)

    with pytest.raises(UserError, match=rf"test\.json holds no scores \(it\.{key}"):
        scoring.read_all(golden)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 400, "9" * 5000])
def test_numbers_that_are_none_are_named(golden: Path, number: str) -> None:
    scoring.write(score(golden), golden)
    file = golden / "scores" / "test.json"
    file.write_text(file.read_text().replace('"accuracy": 0.75', f'"accuracy": {number}'))

    with pytest.raises(UserError, match=r"test\.json holds no scores"):
        scoring.read_all(golden)


def test_each_language_has_its_interval_calibration_and_confusion(golden: Path) -> None:
    scores = score(golden)["languages"]["en"]

    low, high = scores["interval"]
    assert 0 <= low < scores["accuracy"] < high <= 1
    assert scores["ece"] == 0.25, "sure of everything, and right in 3 of 4"
    assert scores["confusion"] == {"labels": list(NAMES), "counts": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]}


def test_predictions_without_probabilities_have_no_calibration(tmp_path: Path) -> None:
    records = [Prediction(index=0, gold="yes", predicted="yes", probabilities={})]
    prediction_files.write(prediction_files.path(tmp_path, split="test", language="en"), records)

    assert {"ece", "calibration"}.isdisjoint(score(tmp_path)["languages"]["en"])


def test_items_of_parallel_data_are_drawn_together_and_compared(golden: Path) -> None:
    keep(golden, "de", [("yes", "yes"), ("yes", "no"), ("no", "maybe"), ("maybe", "maybe")])
    keep(golden, "sw", [("no", "yes"), ("no", "no"), ("yes", "maybe"), ("yes", None)])
    together, apart = score(golden, is_parallel=True), score(golden)

    assert together["resamples"] == {"number": 2000, "of": "items"}
    assert apart["resamples"] == {"number": 2000, "of": "examples of each language"}
    assert together["transfer"]["intervals"] != apart["transfer"]["intervals"]
    assert together["consistency"]["languages"] == ["en", "de", "sw"]
    assert (together["consistency"]["items"], together["consistency"]["left_out"]) == (3, 1)
    assert "consistency" not in apart


def test_rows_that_are_not_parallel_after_all_are_scored_and_said_not_to_be(golden: Path) -> None:
    keep(golden, "sw", [*GOLDEN["de"], ("yes", "yes")])
    scores = score(golden, is_parallel=True)

    assert scores["not_parallel"].startswith("en and sw are not parallel: 1 rows stand in one of them only")
    assert "consistency" not in scores
    assert scores["resamples"]["of"] == "examples of each language"
    assert scores["languages"].keys() == {"en", "de", "sw"}


def test_scores_of_an_older_file_are_read_and_shown(golden: Path) -> None:
    new = score(golden)
    kept = ("accuracy", "f1", "examples")
    old = {key: new[key] for key in ("schema", "data", "split", "metric", "source_languages")} | {
        "languages": {one: {key: values[key] for key in kept} for one, values in new["languages"].items()},
        "transfer": {key: value for key, value in new["transfer"].items() if key != "intervals"},
    }
    scoring.write(old, golden)
    [again] = scoring.read_all(golden)

    assert words.table(again).row_count == 3
    page = markdown([again], facts={})
    assert "| en English | 75.0 | 77.8 | 4 | source |" in page
    assert "ECE" not in page


def test_groups_have_the_intervals_of_items_that_are_drawn_together(tmp_path: Path) -> None:
    right, wrong = ("yes", "yes"), ("no", "yes")
    # German is right where Dutch is wrong: whatever items are drawn, half of the answers are right.
    keep(tmp_path, "de", [right, wrong] * 20)
    keep(tmp_path, "nl", [wrong, right] * 20)
    keep(tmp_path, "ru", [right, wrong] * 20)
    together, apart = (score(tmp_path, is_parallel=one)["groups"]["family"] for one in (True, False))

    assert together["Germanic"]["interval"] == [0.5, 0.5]
    # Of 40 coins, the 95 % in the middle are 14 to 26 heads; of twice as many, 31 to 49. Give or take one.
    assert together["Slavic"]["interval"] == pytest.approx([14 / 40, 26 / 40], abs=0.026)
    assert apart["Germanic"]["interval"] == pytest.approx([31 / 80, 49 / 80], abs=0.026)


def test_groups_of_an_older_file_have_no_interval_and_are_read(golden: Path) -> None:
    old = score(golden)
    for grouping in ("family", "script", "pretraining"):
        for group in old["groups"][grouping].values():
            del group["interval"]
    scoring.write(old, golden)
    [again] = scoring.read_all(golden)

    assert "| Germanic | de | 50.0 | -25.0 |" in markdown([again], facts={})
    broken = old | {"groups": {"family": {"Germanic": {"languages": [], "mean": 0, "gap": None, "interval": [1]}}}}
    scoring.write(broken, golden)
    with pytest.raises(UserError, match="interval"):
        scoring.read_all(golden)
