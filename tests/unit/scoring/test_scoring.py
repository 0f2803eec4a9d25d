"""Scores follow from prediction files alone: right, complete and the same bytes every time."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_tasks import RATINGS
from scipy.stats import pearsonr, spearmanr

from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.rows.read import RowsRead
from babelfit.scoring import scores as score_files
from babelfit.scoring import scoring
from babelfit.scoring.scores import Resamples, Scores
from babelfit.scoring.scoring import SplitFacts
from babelfit.tasks import Classification
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.regression import NumberPrediction
from babelfit.transfer.numbers import transfer_numbers

NAMES = ("yes", "no", "maybe")
FACTS = SplitFacts(
    data="xnli", split="test", task=Classification(labels=NAMES), is_parallel=False, source_languages=("en",)
)
Pair = tuple[str, str | None]

# Predicted and gold. en: 3 of 4 right; de: 2 of 4; sw: 1 of 2, and one row without gold.
GOLDEN: dict[str, list[Pair]] = {
    "de": [("yes", "yes"), ("yes", "no"), ("no", "maybe"), ("maybe", "maybe")],
    "en": [("yes", "yes"), ("no", "no"), ("maybe", "maybe"), ("no", "maybe")],
    "sw": [("no", "no"), ("maybe", None), ("no", "yes")],
}


def keep(folder: Path, language: str, pairs: Sequence[Pair]) -> None:
    records = [
        LabelPrediction(index=index, gold=gold, predicted=predicted, probabilities={predicted: 1.0})
        for index, (predicted, gold) in enumerate(pairs)
    ]
    prediction_files.write(prediction_files.path(folder, split="test", language=language), records)


def score(folder: Path, *source_languages: str, **facts: Any) -> Scores:
    return scoring.score(folder, replace(FACTS, source_languages=source_languages or ("en",), **facts))


def written(scores: Scores, folder: Path, **changes: object) -> Path:
    """Write scores, with parts of the document changed."""
    score_files.write(scores, folder)
    file = folder / "scores" / f"{scores.split}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return file


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    for language, pairs in GOLDEN.items():
        keep(tmp_path, language, pairs)
    return tmp_path


def test_the_numbers_are_those_counted_by_hand(golden: Path) -> None:
    scores = score(golden)

    # F1 by class, yes, no, maybe. en: 1, 2/3, 2/3; de: 2/3, 0, 2/3; sw: 0, 2/3, and no maybe among those scored.
    assert {
        language: (values.values, values.examples, values.unlabelled) for language, values in scores.languages.items()
    } == {
        "en": ({"accuracy": 0.75, "f1": pytest.approx(7 / 9)}, 4, None),
        "de": ({"accuracy": 0.5, "f1": pytest.approx(4 / 9)}, 4, None),
        "sw": ({"accuracy": 0.5, "f1": pytest.approx(1 / 3)}, 2, 1),
    }
    transfer = score_files.as_document(scores)["transfer"]
    assert {key: value for key, value in transfer.items() if key != "intervals"} == {
        "source": 0.75,
        "target_mean": 0.5,
        "mean": pytest.approx(7 / 12),
        "gap": 0.25,
        "retention": pytest.approx(2 / 3),
        "worst": {"language": "de", "score": 0.5},
    }


def test_the_frame_says_what_was_scored(golden: Path) -> None:
    said = score_files.as_document(score(golden))

    keys = ("schema", "data", "task", "labels", "parallel", "split", "metric", "source_languages", "few_shot_unit")
    assert {key: said[key] for key in keys} == {
        "schema": 2,
        "data": "xnli",
        "task": "classification",
        "labels": ["yes", "no", "maybe"],
        "parallel": False,
        "split": "test",
        "metric": "accuracy",
        "source_languages": ["en"],
        "few_shot_unit": "examples of each label",
    }
    assert said["measures"] == [
        {"key": "accuracy", "title": "accuracy", "unit": "percent", "better": "higher"},
        {"key": "f1", "title": "macro F1", "unit": "percent", "better": "higher"},
    ]
    assert said["languages"]["en"].keys() >= {"accuracy", "f1", "examples", "interval"}
    assert "synthetic" not in said
    assert score(golden, synthetic=True).synthetic is True


def test_a_prediction_without_gold_is_counted_and_moves_no_score(golden: Path) -> None:
    labelled = score(golden).languages["de"]
    keep(golden, "de", [*GOLDEN["de"], ("yes", None), ("no", None)])

    assert score(golden).languages["de"] == replace(labelled, unlabelled=2)


def test_a_language_without_any_gold_is_named_and_in_no_mean(golden: Path) -> None:
    keep(golden, "sw", [("yes", None), ("no", None)])
    scores = score(golden)

    assert scores.unscored_languages == ["sw"]
    assert list(scores.languages) == ["en", "de"]
    assert scores.transfer is not None
    assert scores.transfer.target_mean == 0.5


def test_damaged_predictions_are_refused_with_their_file(golden: Path) -> None:
    file = prediction_files.path(golden, split="test", language="de")
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0] * 2)

    with pytest.raises(UserError, match=r"de\.jsonl, line 2: index 0 occurs twice"):
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
    assert list(score(golden, *source_languages).languages) == order


def test_the_same_predictions_give_the_same_bytes(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    score_files.write(score(golden), golden)
    again = tmp_path_factory.mktemp("again")
    for language in reversed(GOLDEN):
        keep(again, language, GOLDEN[language])
    score_files.write(score(again), again)

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
        score_files.write(replace(scores, split=split), golden)

    assert score_files.read_all(golden) == [scores, replace(scores, split="validation")]


def test_a_file_that_lost_its_end_is_not_scored(golden: Path) -> None:
    with pytest.raises(UserError, match=r"de\.jsonl: 4 predictions for 5 examples"):
        score(golden, read={"de": RowsRead(files=[], examples=5)})


@pytest.mark.parametrize(
    "damage", ["{", "[]", "{}", '{"schema": 1, "metric": "accuracy", "languages": [], "transfer": {}}']
)
def test_scores_that_are_none_are_named(golden: Path, damage: str) -> None:
    written(score(golden), golden).write_text(damage)

    with pytest.raises(UserError, match=r"test\.json holds no scores"):
        score_files.read_all(golden)


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
    written(score(golden, is_parallel=True), golden, **{key: damage})

    with pytest.raises(UserError, match=rf"test\.json holds no scores \(it\.{key}"):
        score_files.read_all(golden)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 400, "9" * 5000])
def test_numbers_that_are_none_are_named(golden: Path, number: str) -> None:
    file = written(score(golden), golden)
    file.write_text(file.read_text().replace('"accuracy": 0.75', f'"accuracy": {number}'))

    with pytest.raises(UserError, match=r"test\.json holds no scores"):
        score_files.read_all(golden)


def test_each_language_has_its_interval_calibration_and_confusion(golden: Path) -> None:
    scores = score(golden).languages["en"]

    assert scores.interval is not None
    low, high = scores.interval
    assert 0 <= low < scores.values["accuracy"] < high <= 1
    assert scores.ece == 0.25, "sure of everything, and right in 3 of 4"
    assert scores.confusion is not None
    assert (scores.confusion.labels, scores.confusion.counts) == (list(NAMES), [[1, 0, 0], [0, 1, 0], [0, 1, 1]])


def test_predictions_without_probabilities_have_no_calibration(tmp_path: Path) -> None:
    records = [LabelPrediction(index=0, gold="yes", predicted="yes", probabilities={})]
    prediction_files.write(prediction_files.path(tmp_path, split="test", language="en"), records)

    english = score(tmp_path).languages["en"]
    assert (english.ece, english.calibration) == (None, None)


def test_items_of_parallel_data_are_drawn_together_and_compared(golden: Path) -> None:
    keep(golden, "de", [("yes", "yes"), ("yes", "no"), ("no", "maybe"), ("maybe", "maybe")])
    keep(golden, "sw", [("no", "yes"), ("no", "no"), ("yes", "maybe"), ("yes", None)])
    together, apart = score(golden, is_parallel=True), score(golden)

    assert (together.resamples, apart.resamples) == (
        Resamples(number=2000, of="items"),
        Resamples(number=2000, of="examples of each language"),
    )
    assert together.transfer is not None
    assert apart.transfer is not None
    assert together.transfer.intervals != apart.transfer.intervals
    assert together.consistency is not None
    assert together.consistency.languages == ["en", "de", "sw"]
    assert (together.consistency.items, together.consistency.left_out) == (3, 1)
    assert apart.consistency is None


def test_rows_that_are_not_parallel_after_all_are_scored_and_said_not_to_be(golden: Path) -> None:
    keep(golden, "sw", [*GOLDEN["de"], ("yes", "yes")])
    scores = score(golden, is_parallel=True)

    assert str(scores.not_parallel).startswith("en and sw are not parallel: 1 rows are in only one of the two")
    assert scores.consistency is None
    assert scores.resamples == Resamples(number=2000, of="examples of each language")
    assert scores.languages.keys() == {"en", "de", "sw"}


def test_groups_have_the_intervals_of_items_that_are_drawn_together(tmp_path: Path) -> None:
    right, wrong = ("yes", "yes"), ("no", "yes")
    # German is right where Dutch is wrong: whatever items are drawn, half of the answers are right.
    keep(tmp_path, "de", [right, wrong] * 20)
    keep(tmp_path, "nl", [wrong, right] * 20)
    keep(tmp_path, "ru", [right, wrong] * 20)
    together, apart = (score(tmp_path, is_parallel=one).groups for one in (True, False))

    assert together is not None
    assert apart is not None
    assert together.family["Germanic"].interval == [0.5, 0.5]
    # Of 40 coins, the 95 % in the middle are 14 to 26 heads; of twice as many, 31 to 49. Give or take one.
    assert together.family["Slavic"].interval == pytest.approx([14 / 40, 26 / 40], abs=0.026)
    assert apart.family["Germanic"].interval == pytest.approx([31 / 80, 49 / 80], abs=0.026)


def test_scores_of_numbers_are_correlations_and_may_be_below_zero(tmp_path: Path) -> None:
    gold = [0.0, 1.0, 2.0, 3.0, 5.0, 4.5]
    said = {"en": [0.1, 1.0, 1.5, 3.0, 4.0, 5.0], "de": [5.0, 4.0, 4.5, 2.0, 1.0, 3.0]}
    for language, numbers in said.items():
        records = [
            NumberPrediction(index=index, gold=pair[0], predicted=pair[1])
            for index, pair in enumerate(zip(gold, numbers, strict=True))
        ]
        prediction_files.write(
            prediction_files.path(tmp_path, split="test", language=language),
            [*records, NumberPrediction(index=len(gold), gold=None, predicted=1.0)],
        )
    scores = score(tmp_path, task=RATINGS, is_parallel=True)

    for language, numbers in said.items():
        values = scores.languages[language]
        assert values.values == {
            "pearson": pytest.approx(pearsonr(gold, numbers).statistic),
            "spearman": pytest.approx(spearmanr(gold, numbers).statistic),
            "mse": pytest.approx(sum((one - other) ** 2 for one, other in zip(gold, numbers, strict=True)) / len(gold)),
        }
        assert (values.examples, values.unlabelled) == (6, 1)
        assert values.interval is not None
        assert values.interval[0] <= values.values["pearson"] <= values.interval[1]
    assert scores.transfer is not None
    assert scores.transfer.gap == pytest.approx(scores.main["en"] - scores.main["de"])
    assert scores.transfer.gap > 1
    assert scores.consistency is None, "no two numbers are the same answer"
    assert scores.resamples == Resamples(number=2000, of="items")
    score_files.write(scores, tmp_path)
    assert score_files.read_all(tmp_path) == [scores]


@pytest.mark.parametrize("source", [0.0, -0.25])
def test_of_a_source_that_is_not_above_zero_nothing_is_retained(source: float) -> None:
    numbers = transfer_numbers({"en": source, "de": 0.5}, source_languages=["en"])

    assert (numbers["retention"], numbers["gap"]) == (None, source - 0.5)
