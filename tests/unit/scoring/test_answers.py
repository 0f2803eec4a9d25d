"""Calibration, confusion and the parts of a score are those counted by hand and by other libraries."""

import numpy as np
import pytest
from babelfit.scoring.answers import answers, calibration, confusion, parts
from seqeval.metrics import f1_score
from sklearn.metrics import confusion_matrix

from babelfit.predictions.prediction_files import Prediction, TagPrediction

NAMES = ("yes", "no", "maybe")
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


def sequence(index: int, predicted: str, gold: str | None, confidence: float | None = None) -> Prediction:
    shares = {} if confidence is None else {predicted: confidence}
    return Prediction(index=index, gold=gold, predicted=predicted, probabilities=shares)


def random_tags(sentences: int) -> list[TagPrediction]:
    generator = np.random.default_rng(0)
    records = []
    for index in range(sentences):
        length = int(generator.integers(1, 12))
        gold = generator.choice(TAGS, length)
        predicted = np.where(generator.random(length) < 0.7, gold, generator.choice(TAGS, length))
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
    found = calibration(answers(records, label_names=NAMES))

    # Bin 15, above 14/15: confidence 0.96, half right. Bin 8, above 7/15: 0.5, right. Bin 6, above 5/15: 0.35, wrong.
    assert found["ece"] == pytest.approx(2 / 4 * 0.46 + 1 / 4 * 0.5 + 1 / 4 * 0.35)
    assert found["calibration"]["count"] == [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 2]
    assert found["calibration"]["confidence"][14] == pytest.approx(0.96)
    assert found["calibration"]["accuracy"][14] == 0.5
    assert found["calibration"]["accuracy"][0] is None


def test_a_bin_holds_its_upper_end() -> None:
    records = [sequence(0, "yes", "yes", 1 / 15), sequence(1, "yes", "yes", 1.0), sequence(2, "yes", "yes", 0.0)]
    counts = calibration(answers(records, label_names=NAMES))["calibration"]["count"]

    assert counts == [2, *[0] * 13, 1]


def test_the_calibration_of_tags_is_over_words() -> None:
    records = [TagPrediction(index=0, gold=["O", "B-PER"], predicted=["O", "O"], probabilities=[0.9, 0.7])]
    found = calibration(answers(records, label_names=TAGS))

    assert found["ece"] == pytest.approx((0.1 + 0.7) / 2)


def test_without_all_probabilities_there_is_no_calibration() -> None:
    records = [sequence(0, "yes", "yes", 0.9), sequence(1, "no", "no")]

    assert calibration(answers(records, label_names=NAMES)) == {}


def test_confusion_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    gold, predicted = generator.choice(NAMES, 200), generator.choice(NAMES, 200)
    given = answers(
        [sequence(n, *map(str, pair)) for n, pair in enumerate(zip(predicted, gold, strict=True))], label_names=NAMES
    )

    assert confusion(given, head="sequence_classification", label_names=NAMES) == {
        "labels": list(NAMES),
        "counts": confusion_matrix(gold, predicted, labels=NAMES).tolist(),
    }


def test_confusion_of_tags_is_over_words_by_type() -> None:
    records = random_tags(100)
    found = confusion(answers(records, label_names=TAGS), head="token_classification", label_names=TAGS)
    gold, predicted = (
        [tag.removeprefix("B-").removeprefix("I-") for record in records for tag in getattr(record, key)]
        for key in ("gold", "predicted")
    )

    assert found["labels"] == ["O", "PER", "ORG", "LOC"]
    assert found["counts"] == confusion_matrix(gold, predicted, labels=found["labels"]).tolist()


def test_the_parts_of_sentences_make_the_span_f1_of_any_choice_of_them() -> None:
    records = random_tags(200)
    given = parts(answers(records, label_names=TAGS), head="token_classification", label_names=TAGS)

    for chosen in (range(200), range(0, 200, 3), [5], range(190, 200)):
        expected = f1_score([records[one].gold for one in chosen], [records[one].predicted for one in chosen])
        picked = np.array(chosen)
        score = given.numerators[picked].sum() / max(given.denominators[picked].sum(), 1)
        assert score == pytest.approx(expected)


def test_a_row_without_gold_is_no_answer_and_keeps_the_others_index() -> None:
    given = answers([sequence(0, "yes", None), sequence(3, "no", "no")], label_names=NAMES)

    assert given.indices.tolist() == [3]
    assert parts(given, head="sequence_classification", label_names=NAMES).score == 1
