"""Prediction files hold every example once, with label names; anything else is refused with its line."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from babelfit.errors import UserError
from babelfit.predictions import prediction_files
from babelfit.tasks import Classification, Tagging
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.tagging import TagPrediction

TASK = Classification(labels=("no", "да"))
RECORDS = [
    LabelPrediction(index=0, gold="да", predicted="no", probabilities={"no": 0.75, "да": 0.25}),
    LabelPrediction(index=1, gold=None, predicted="да", probabilities={"no": 0.125, "да": 0.875}),
    LabelPrediction(index=2, gold="no", predicted="no", probabilities={"no": 1.0, "да": 0.0}),
]


def line(**changes: Any) -> str:
    values = {"index": 0, "gold": "no", "predicted": "no", "probabilities": {"no": 1.0, "да": 0.0}}
    return json.dumps(values | changes)


def refusal(folder: Path, *lines: str | bytes) -> str:
    file = folder / "de.jsonl"
    file.write_bytes(b"".join((one.encode() if isinstance(one, str) else one) + b"\n" for one in lines))
    with pytest.raises(UserError) as caught:
        prediction_files.read(file, TASK)
    message = str(caught.value)
    assert message.startswith(str(file))
    return message


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = prediction_files.path(tmp_path, split="test", language="de")
    prediction_files.write(file, RECORDS)

    assert file == tmp_path / "predictions" / "test" / "de.jsonl"
    assert prediction_files.read(file, TASK) == RECORDS
    assert [path.name for path in file.parent.iterdir()] == ["de.jsonl"], "no temporary file stays"


def test_records_come_back_in_order_of_index_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    prediction_files.write(tmp_path / "de.jsonl", reversed(RECORDS))

    assert prediction_files.read(tmp_path / "de.jsonl", TASK) == RECORDS


def test_a_file_is_lines_of_json_that_people_can_read(tmp_path: Path) -> None:
    prediction_files.write(tmp_path / "de.jsonl", RECORDS[:1])

    assert (tmp_path / "de.jsonl").read_bytes().decode() == (
        '{"index": 0, "gold": "да", "predicted": "no", "probabilities": {"no": 0.75, "да": 0.25}}\n'
    )


def test_probabilities_are_rounded_to_six_digits(tmp_path: Path) -> None:
    record = LabelPrediction(index=0, gold=None, predicted="no", probabilities={"no": 2 / 3, "да": 1 / 3})
    prediction_files.write(tmp_path / "de.jsonl", [record])

    [read] = prediction_files.read(tmp_path / "de.jsonl", TASK)
    assert read.probabilities == {"no": 0.666667, "да": 0.333333}


def test_an_interrupted_writing_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "de.jsonl"
    prediction_files.write(file, RECORDS)
    before = file.read_bytes()

    with pytest.raises(TypeError):
        prediction_files.write(file, [RECORDS[0], None])  # type: ignore[list-item]
    assert file.read_bytes() == before


def test_languages_are_those_that_have_a_file_in_the_split(tmp_path: Path) -> None:
    for split, language in (("test", "sw"), ("test", "de"), ("validation", "fr")):
        prediction_files.write(prediction_files.path(tmp_path, split=split, language=language), RECORDS)
    (tmp_path / "predictions" / "test" / "en.jsonl.tmp").touch()

    assert prediction_files.languages(tmp_path, split="test") == ["de", "sw"]
    assert prediction_files.languages(tmp_path, split="train") == []


def test_an_example_that_stands_twice_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, line(), line(index=1), line())

    assert "line 3: index 0 occurs twice" in message


@pytest.mark.parametrize(("indices", "missing"), [((0, 2), 1), ((1,), 0), ((0, 1, 5, 7), 2)])
def test_an_example_that_is_left_out_is_refused(tmp_path: Path, indices: tuple[int, ...], missing: int) -> None:
    message = refusal(tmp_path, *(line(index=index) for index in indices))

    assert f"no prediction for index {missing};" in message


def test_a_far_index_costs_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        refusal(tmp_path, line(), line(index=1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "holds no predictions" in refusal(tmp_path)


@pytest.mark.parametrize(
    "damaged",
    [
        '{"index": 1, "gold": "no"',
        "",
        "not json",
        "7",
        "null",
        "[0, 1]",
        "[" * 100_000,
        b"\xff",
        line(index=1).replace(', "predicted": "no"', ""),
        line(index=1).replace(', "gold": "no"', ""),
        line(index=1, score=0.5),
    ],
)
def test_a_line_that_is_no_record_is_refused_with_its_number(tmp_path: Path, damaged: str | bytes) -> None:
    message = refusal(tmp_path, line(), damaged)

    assert "line 2: not a prediction (" in message
    assert '{"index", "gold", "predicted", "probabilities"}' in message


@pytest.mark.parametrize("index", [-1, "1", 1.0, True, None, [1]])
def test_an_index_that_is_no_row_number_is_refused(tmp_path: Path, index: Any) -> None:
    assert f"line 2: index {index!r} is not a row number" in refusal(tmp_path, line(), line(index=index))


@pytest.mark.parametrize("label", ["maybe", "NO", "", 0, 1.5, True, ["no"]])
@pytest.mark.parametrize("key", ["gold", "predicted"])
def test_an_unknown_label_is_refused_with_the_known_ones(tmp_path: Path, key: str, label: Any) -> None:
    message = refusal(tmp_path, line(), line(index=1, **{key: label}))

    assert f"line 2: {key} {label!r} is not a label; expected one of no, да" in message


def test_a_prediction_is_never_empty(tmp_path: Path) -> None:
    assert "line 1: predicted None is not a label" in refusal(tmp_path, line(predicted=None))


@pytest.mark.parametrize("probabilities", [None, 0.5, ["no"], {"maybe": 1.0}, {"no": "high"}, {"no": 1.5}])
def test_probabilities_are_shares_of_known_labels(tmp_path: Path, probabilities: Any) -> None:
    assert "line 2: probabilities" in refusal(tmp_path, line(), line(index=1, probabilities=probabilities))


def test_a_file_gets_its_name_once_its_bytes_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "de.jsonl"
    prediction_files.write(tmp_path / "whole.jsonl", RECORDS)
    synced: list[tuple[int, bool]] = []

    def fsync(number: int) -> None:
        synced.append((os.fstat(number).st_size, file.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    prediction_files.write(file, RECORDS)

    assert synced[0] == ((tmp_path / "whole.jsonl").stat().st_size, False)


def test_a_file_that_lost_its_end_is_refused_where_the_number_is_known(tmp_path: Path) -> None:
    file = tmp_path / "de.jsonl"
    prediction_files.write(file, RECORDS[:2])

    assert len(prediction_files.read(file, TASK)) == 2
    with pytest.raises(UserError, match="2 predictions for 3 examples"):
        prediction_files.read(file, TASK, num_examples=3)


def test_rows_that_are_no_examples_leave_no_hole(tmp_path: Path) -> None:
    file = tmp_path / "de.jsonl"
    prediction_files.write(file, [RECORDS[0], RECORDS[2]])

    assert prediction_files.read(file, TASK, num_examples=2, dropped={1}) == [
        RECORDS[0],
        RECORDS[2],
    ]
    with pytest.raises(UserError, match="no prediction for index 1"):
        prediction_files.read(file, TASK)


TAGGING = Tagging(labels=("O", "B-PER"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"predicted": ["O"]}, "1 predicted tags for 2 gold ones"),
        ({"predicted": "O"}, "predicted 'O' is not a list of tags"),
        ({"predicted": []}, "predicted [] is not a list of tags"),
        ({"gold": ["O", "B-LOC"]}, "gold 'B-LOC' is not a tag; expected one of O, B-PER"),
        ({"probabilities": [0.5]}, "probabilities are not 2 shares from 0 to 1"),
        ({"probabilities": [0.5, 2]}, "probabilities are not 2 shares from 0 to 1"),
    ],
)
def test_tags_stand_one_a_word(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    values = {"index": 0, "gold": ["O", "B-PER"], "predicted": ["O", "O"], "probabilities": [0.5, 1]}
    (tmp_path / "de.jsonl").write_text(json.dumps(values | changes) + "\n")

    with pytest.raises(UserError) as caught:
        prediction_files.read(tmp_path / "de.jsonl", TAGGING)
    assert told in str(caught.value)


def test_a_sentence_without_gold_is_read_back(tmp_path: Path) -> None:
    record = TagPrediction(index=0, gold=None, predicted=["O", "B-PER"], probabilities=[0.5, 2 / 3])
    prediction_files.write(tmp_path / "de.jsonl", [record])

    [read] = prediction_files.read(tmp_path / "de.jsonl", TAGGING)
    assert read == TagPrediction(index=0, gold=None, predicted=["O", "B-PER"], probabilities=[0.5, 0.666667])
