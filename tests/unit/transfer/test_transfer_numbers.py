"""The transfer numbers are plain arithmetic over languages, and None where they are undefined."""

import pytest

from babelfit.transfer.numbers import transfer_numbers


def test_one_source_language() -> None:
    assert transfer_numbers({"en": 0.75, "de": 0.5, "sw": 0.25, "ur": 0.0}, source_languages=["en"]) == {
        "source": 0.75,
        "target_mean": 0.25,
        "mean": 0.375,
        "gap": 0.5,
        "retention": pytest.approx(1 / 3),
        "worst": {"language": "ur", "score": 0.0},
    }


def test_several_source_languages_count_the_same() -> None:
    assert transfer_numbers({"de": 1.0, "en": 0.5, "sw": 0.25}, source_languages=["en", "de"]) == {
        "source": 0.75,
        "target_mean": 0.25,
        "mean": pytest.approx(7 / 12),
        "gap": 0.5,
        "retention": pytest.approx(1 / 3),
        "worst": {"language": "sw", "score": 0.25},
    }


def test_targets_above_the_source_give_a_negative_gap() -> None:
    numbers = transfer_numbers({"en": 0.5, "de": 0.75}, source_languages=["en"])

    assert (numbers["gap"], numbers["retention"]) == (-0.25, 1.5)


def test_a_source_language_without_a_score_is_left_out() -> None:
    numbers = transfer_numbers({"en": 0.5, "de": 0.25}, source_languages=["en", "fr"])

    assert numbers["source"] == 0.5


def test_the_worst_is_a_target_and_the_first_by_name_among_equals() -> None:
    scores = {"en": 0.1, "sw": 0.25, "de": 0.25, "ur": 0.5}

    assert transfer_numbers(scores, source_languages=["en"])["worst"] == {"language": "de", "score": 0.25}


def test_without_targets_there_is_no_transfer() -> None:
    assert transfer_numbers({"en": 0.5}, source_languages=["en"]) == {
        "source": 0.5,
        "target_mean": None,
        "mean": 0.5,
        "gap": None,
        "retention": None,
        "worst": None,
    }


def test_without_a_source_there_is_nothing_to_transfer() -> None:
    assert transfer_numbers({"de": 0.5, "sw": 0.25}, source_languages=["en"]) == {
        "source": None,
        "target_mean": 0.375,
        "mean": 0.375,
        "gap": None,
        "retention": None,
        "worst": {"language": "sw", "score": 0.25},
    }


def test_nothing_is_retained_of_a_source_of_zero() -> None:
    numbers = transfer_numbers({"en": 0.0, "de": 0.5}, source_languages=["en"])

    assert (numbers["source"], numbers["gap"], numbers["retention"]) == (0.0, -0.5, None)


def test_without_scores_all_is_undefined() -> None:
    assert set(transfer_numbers({}, source_languages=["en"]).values()) == {None}
