"""Calibration and confusion are those counted by hand and by other libraries."""

from typing import Any

import numpy as np
import pytest
from made_tasks import NER
from sklearn.metrics import confusion_matrix

from babelfit.tasks import Classification
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.labelled import calibration
from babelfit.tasks.tagging import TagPrediction

THREE = Classification(labels=("yes", "no", "maybe"))


def sequence(index: int, predicted: str, gold: str | None, confidence: float | None = None) -> LabelPrediction:
    shares = {} if confidence is None else {predicted: confidence}
    return LabelPrediction(index=index, gold=gold, predicted=predicted, probabilities=shares)


def calibrated(records: list[LabelPrediction]) -> dict[str, Any]:
    return calibration(THREE.read(records).with_gold())


def random_tags(sentences: int) -> list[TagPrediction]:
    generator = np.random.default_rng(0)
    records = []
    for index in range(sentences):
        length = int(generator.integers(1, 12))
        gold = generator.choice(NER.labels, length)
        predicted = np.where(generator.random(length) < 0.7, gold, generator.choice(NER.labels, length))
        shares = generator.random(length).tolist()
        records.append(
            TagPrediction(index=index, gold=gold.tolist(), predicted=predicted.tolist(), probabilities=shares)
        )
    return records


def test_the_calibration_error_is_that_computed_by_hand() -> None:
    records = [
        sequence(0, "yes", "yes", 0.95),
        sequence(1, "yes", "no", 0.97),
        sequence(2, "no", "no", 0.5),
        sequence(3, "no", "maybe", 0.35),
        sequence(4, "no", None, 0.99),
    ]
    found = calibrated(records)

    # Bin 15, above 14/15: confidence 0.96, half right. Bin 8, above 7/15: 0.5, right. Bin 6, above 5/15: 0.35, wrong.
    assert found["ece"] == pytest.approx(2 / 4 * 0.46 + 1 / 4 * 0.5 + 1 / 4 * 0.35)
    assert found["calibration"]["count"] == [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert found["calibration"]["confidence"][14] == pytest.approx(0.96)
    assert found["calibration"]["accuracy"][14] == 0.5
    assert found["calibration"]["accuracy"][0] is None


def test_a_bin_holds_its_upper_end() -> None:
    records = [sequence(0, "yes", "yes", 1 / 15), sequence(1, "yes", "yes", 1.0), sequence(2, "yes", "yes", 0.0)]

    assert calibrated(records)["calibration"]["count"] == [2, *[0] * 13, 1]


def test_the_calibration_of_tags_is_over_words() -> None:
    records = [TagPrediction(index=0, gold=["O", "B-PER"], predicted=["O", "O"], probabilities=[0.9, 0.7])]
    found = NER.details(NER.read(records))

    assert found["ece"] == pytest.approx((0.1 + 0.7) / 2)
    assert (found["examples"], found["words"]) == (1, 2)


def test_without_all_probabilities_there_is_no_calibration() -> None:
    assert calibrated([sequence(0, "yes", "yes", 0.9), sequence(1, "no", "no")]) == {}


def test_confusion_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    gold, predicted = generator.choice(THREE.labels, 200), generator.choice(THREE.labels, 200)
    records = [sequence(number, *map(str, pair)) for number, pair in enumerate(zip(predicted, gold, strict=True))]

    assert THREE.details(THREE.read(records))["confusion"] == {
        "labels": list(THREE.labels),
        "counts": confusion_matrix(gold, predicted, labels=THREE.labels).tolist(),
    }


def test_confusion_of_tags_is_over_words_by_type() -> None:
    records = random_tags(100)
    found = NER.details(NER.read(records))["confusion"]
    gold, predicted = (
        [tag.removeprefix("B-").removeprefix("I-") for record in records for tag in getattr(record, key)]
        for key in ("gold", "predicted")
    )

    assert found["labels"] == ["O", "PER", "ORG", "LOC"]
    assert found["counts"] == confusion_matrix(gold, predicted, labels=found["labels"]).tolist()


def test_a_row_without_gold_is_no_answer_and_keeps_the_others_index() -> None:
    given = THREE.read([sequence(0, "yes", None), sequence(3, "no", "no")]).with_gold()

    assert given.indices.tolist() == [3]
    assert THREE.selecting.score(THREE.counts(given).rows) == 1


def test_a_sentence_without_gold_is_left_out_with_its_words() -> None:
    sentences = [
        TagPrediction(index=1, gold=["O"], predicted=["O"], probabilities=[]),
        TagPrediction(index=4, gold=None, predicted=["O", "B-PER"], probabilities=[]),
        TagPrediction(index=6, gold=["B-PER", "O"], predicted=["B-PER", "B-LOC"], probabilities=[]),
    ]
    given = NER.read(sentences).with_gold()

    assert (given.indices.tolist(), given.examples.tolist(), len(given.gold)) == ([1, 6], [0, 1, 1], 3)
    assert NER.counts(given).indices.tolist() == [1, 6]
