"""Files of scores say what they are of, older ones are told what they were, and damaged ones are named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_scores import document
from made_tasks import NER, NLI, RATINGS, TOKENS

from babelfit.errors import UserError
from babelfit.scoring import scores as score_files
from babelfit.tasks import Task

VALUES: dict[str, dict[str, float]] = {
    "classification": {"accuracy": 0.5, "f1": 0.25},
    "tagging": {"f1": 0.5, "precision": 0.25, "recall": 0.75, "f1_strict": 0.125},
    "masked_tokens": {"log_likelihood": -1.0, "perplexity": 2.718, "accuracy": 0.5},
    "regression": {"pearson": -0.25, "spearman": -0.5, "mse": 2.0},
}
KINDS = [NLI, NER, TOKENS, RATINGS]
DATA = {"classification": "xnli", "tagging": "wikiann", "masked_tokens": "text"}


def made(task: Task, **more: Any) -> dict[str, Any]:
    values = {one: {**VALUES[task.name], "examples": 8} for one in ("en", "de")}
    return document(task, values, data=DATA.get(task.name, "mine"), **more)


def old(task: Task, **more: Any) -> dict[str, Any]:
    """Return a document as it was before files said what they are of."""
    new = made(task)
    kept = ("data", "split", "metric", "source_languages", "transfer")
    languages = {
        one: {key: value for key, value in values.items() if key != "interval"}
        for one, values in new["languages"].items()
    }
    return {"schema": 1, **{key: new[key] for key in kept if key in new}, "languages": languages, **more}


SCORED = {"accuracy": 0.5, "f1": 0.5, "examples": 8, "interval": None}
BINS = {"count": [3, 5], "confidence": [0.5, 0.9], "accuracy": [0.4, 0.8]}
ALIKE = {
    "languages": ["en", "de"],
    "items": 8,
    "left_out": 0,
    "different_gold": {"items": 0},
    "alike": [[1.0, 0.5], [0.5, 1.0]],
    "alike_if_right": [[1.0, 0.5], [0.5, 1.0]],
    "all_alike": 0.5,
    "all_right": 0.5,
    "all_alike_if_right": {"en": 0.5},
}
HIDDEN = {"key": "accuracy", "title": "a", "unit": "percent", "better": "higher", "shown": "nowhere"}


@pytest.mark.parametrize("task", KINDS, ids=lambda task: task.name)
def test_what_is_written_is_read_back(tmp_path: Path, task: Task) -> None:
    scores = score_files.from_document(made(task, synthetic=True, unscored_languages=["sw"]))
    score_files.write(scores, tmp_path)

    assert score_files.read_all(tmp_path) == [scores]
    assert (
        json.loads((tmp_path / "scores" / "test.json").read_text())["languages"]["de"].items()
        >= {
            **VALUES[task.name],
            "examples": 8,
            "interval": None,
        }.items()
    )


@pytest.mark.parametrize("task", KINDS[:3], ids=lambda task: task.name)
def test_an_older_file_is_read_as_if_it_said_what_it_is_of(task: Task) -> None:
    new = score_files.from_document(made(task, parallel=task is NLI))

    assert score_files.from_document(old(task)) == new


def test_an_older_file_of_data_that_somebody_added_knows_the_labels_that_were_counted() -> None:
    confusion = {"labels": ["O", "X"], "counts": [[1, 0], [0, 1]]}
    for task, labels in ((NLI, ["O", "X"]), (NER, ["O", "B-X", "I-X"])):
        document = old(task, data="mine")
        document["languages"]["en"]["confusion"] = confusion
        scores = score_files.from_document(document)
        assert (scores.task, scores.labels, scores.parallel) == (task.name, labels, False)


def test_an_older_file_has_groups_without_intervals() -> None:
    groups = {"family": {"Germanic": {"languages": ["de"], "mean": 0.5, "gap": 0.25}}}
    scores = score_files.from_document(old(NLI, groups=groups))

    assert scores.groups is not None
    assert scores.groups.family["Germanic"].interval is None
    assert scores.groups.size_correlation is None
    groups["family"]["Germanic"]["interval"] = [1]
    with pytest.raises(ValueError, match="interval"):
        score_files.from_document(old(NLI, groups=groups))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 3}, "schema 3 is not known here"),
        ({"metric": "rouge"}, "metric 'rouge' is not one of its measures accuracy, f1"),
        ({"measures": []}, "metric 'accuracy' is not one of its measures"),
        ({"measures": [{"key": "accuracy"}]}, "measures.0.title"),
        (
            {
                "measures": [
                    {"key": "accuracy", "title": "a", "unit": "percent", "better": "higher", "shown": "nowhere"}
                ]
            },
            "none of its measures is shown",
        ),
        (
            {"measures": [{"key": "accuracy", "title": "a", "unit": "furlongs", "better": "higher"}]},
            "measures.0.unit",
        ),
        ({"languages": []}, "languages is"),
        ({"languages": {"en": {"accuracy": 0.5, "examples": 8, "interval": None}}}, "languages.en has no f1"),
        ({"languages": {"en": {"accuracy": "high", "f1": 0.5, "examples": 8, "interval": None}}}, "accuracy"),
        ({"languages": {"en": {"accuracy": True, "f1": 0.5, "examples": 8, "interval": None}}}, "accuracy"),
        ({"languages": {"en": 0.5}}, "languages.en"),
        ({"task": None}, "it.task"),
        ({"split": "x/../../../../precious"}, "it.split: String should be a word of letters, digits, - and _"),
        ({"split": "<meta http-equiv=refresh>"}, "it.split: "),
        ({"split": "validation"}, "split is 'validation', and the file's name 'test'"),
        ({"source_languages": ["../en"]}, "it.source_languages.0: "),
        ({"unscored_languages": ["\x1b[2J"]}, "it.unscored_languages.0: "),
        ({"contaminated": {"languages": ["<b>"], "why": "x"}}, "it.contaminated.languages.0: "),
        ({"few_shot": {"k": -1, "languages": None}}, "it.few_shot.k: "),
        ({"languages": {}}, "it.languages: "),
        ({"languages": {"\x1b[2J": SCORED}}, "it.languages.'\\x1b[2J'"),
        ({"languages": {"../../en": SCORED}}, "it.languages."),
        ({"languages": {"en": SCORED | {"accuracy": 1e200}}}, "no farther from zero"),
        ({"languages": {"en": SCORED | {"examples": -8}}}, "it.languages.en.examples: "),
        ({"languages": {"en": SCORED | {"ece": 3}}}, "it.languages.en.ece: "),
        ({"languages": {"en": SCORED | {"interval": [0.1, 1e300]}}}, "it.languages.en.interval.1: "),
        ({"languages": {"en": SCORED | {"calibration": BINS | {"count": [1]}}}}, "do not have as many bins"),
        ({"languages": {"en": SCORED | {"calibration": BINS | {"accuracy": [None, 1]}}}}, "has no confidence or no"),
        ({"languages": {"en": SCORED | {"confusion": {"labels": ["a"], "counts": []}}}}, "a row and a column for each"),
        ({"languages": {"en": SCORED | {"confusion": {"labels": [], "counts": []}}}}, "en.confusion.labels: "),
        (
            {"languages": {"en": SCORED | {"confusion": {"labels": ["a", "b"], "counts": [[1, 2], [3]]}}}},
            "for each of the 2 labels",
        ),
        ({"consistency": ALIKE | {"alike": [[1.0]]}}, "alike does not have a row and a column for each of the 2"),
        ({"consistency": ALIKE | {"alike_if_right": []}}, "need a row for each language"),
        ({"consistency": ALIKE | {"alike": [[1.0, 2.0], [2.0, 1.0]]}}, "it.consistency.alike.0.1"),
        ({"consistency": ALIKE | {"languages": ["en", "a b"]}}, "it.consistency.languages.1"),
        ({"resamples": {"number": -1, "of": "items"}}, "it.resamples.number"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    file = tmp_path / "scores" / "test.json"
    file.parent.mkdir()
    file.write_text(json.dumps(made(NLI) | change))

    with pytest.raises(UserError, match=r"test\.json holds no scores .* delete it") as raised:
        score_files.read_all(tmp_path)
    assert told in str(raised.value)


def test_a_folder_is_of_one_dataset(tmp_path: Path) -> None:
    for split, data in (("test", "xnli"), ("validation", "pawsx")):
        scores = score_files.from_document(made(NLI) | {"split": split, "data": data})
        score_files.write(scores, tmp_path)

    with pytest.raises(UserError, match=r"validation\.json has scores of 'pawsx' .* move the one that is not its own"):
        score_files.read_all(tmp_path)


def test_scores_are_written_nowhere_else(tmp_path: Path) -> None:
    scores = score_files.from_document(made(NLI))
    for split in ("../../precious", "/tmp/precious", "a/b"):
        with pytest.raises(UserError, match="names no file in"):
            score_files.write(replace(scores, split=split), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_known_is_left_out() -> None:
    scores = score_files.from_document(made(NLI, later={"key": 1}))

    assert "later" not in score_files.as_document(scores)


@pytest.mark.parametrize("task", KINDS, ids=lambda task: task.name)
def test_scores_say_which_measure_selects_and_which_tables_begin_with(task: Task) -> None:
    scores = score_files.from_document(made(task))

    assert scores.measure.key == task.selecting.key
    assert scores.headline.key == task.headline.key
    assert scores.main == dict.fromkeys(("en", "de"), VALUES[task.name][task.selecting.key])
