"""Models of others begin runs and are scored, or are refused before any row is read; what is exported says the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from others_models import NLI, POINTER, edited, encoder, named, reweighted, with_head
from safetensors.torch import load_file
from transformers import pipeline

from babelfit.data import MultilingualDataModule

SMALL = (
    "data.limit={train: 16, validation: 8, test: 8}",
    "data.languages=[en]",
    "optimization.max_steps=2",
    "optimization.batch_size=8",
    "name=mine",
)
RUN = Path("outputs/mine")
Command = Callable[..., Any]


@pytest.fixture
def train_on(command: Command) -> Command:
    """Run `python train.py` with a folder as encoder, in a moment."""
    return lambda folder, *arguments: command("train.py", f"encoder.path={folder}", *SMALL, *arguments)


@pytest.fixture
def evaluate(command: Command) -> Command:
    """Run `python evaluate.py` on a folder as model, in a moment."""
    return lambda folder, *arguments: command(
        "evaluate.py", f"model={folder}", "data=xnli_sample", *SMALL[:2], "name=theirs", *arguments
    )


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no row be read."""

    def prepare(*_: Any, **__: Any) -> None:
        raise AssertionError("rows are read before what is wrong is told")

    monkeypatch.setattr(MultilingualDataModule, "prepare", prepare)


def records(language: str) -> list[dict[str, Any]]:
    path = RUN / "predictions" / "test" / f"{language}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def probabilities(texts: list[dict[str, str]]) -> list[dict[str, float]]:
    """Return what `pipeline` makes of pairs of texts with the exported model."""
    classify = pipeline("text-classification", model=str(RUN / "model"), device=-1)
    return [{one["label"]: one["score"] for one in classify(text, top_k=None)} for text in texts]


@pytest.mark.parametrize("num_labels", [5, 2, 3])
def test_a_head_without_names_gives_way_to_a_new_one(train_on: Command, tmp_path: Path, num_labels: int) -> None:
    outcome = train_on(with_head(tmp_path / "theirs", num_labels))

    assert outcome.status == 0, outcome.err
    assert f"has a head for {num_labels} outputs without names" in outcome.err
    assert json.loads((RUN / "model" / "config.json").read_text())["id2label"]["0"] == "entailment"


def test_a_head_of_tags_without_names_gives_way_to_a_new_one(train_on: Command, tmp_path: Path) -> None:
    folder = with_head(tmp_path / "theirs", 9, of_tokens=True)
    outcome = train_on(folder, "data=wikiann", "data.folder=sample")

    assert outcome.status == 0, outcome.err
    assert "has a head for 9 outputs without names" in outcome.err


@pytest.mark.parametrize("problem_type", ["multi_label_classification", "regression"])
def test_pipeline_gives_the_predicted_probabilities_whatever_the_model_was_for(
    train_on: Command, tmp_path: Path, cache: Path, problem_type: str
) -> None:
    names = named("toxic", "rude", "kind", "dull")
    outcome = train_on(edited(with_head(tmp_path / "theirs", 4), "config.json", **names, problem_type=problem_type))

    assert outcome.status == 0, outcome.err
    (sample,) = (cache / "sample").glob("xnli-*")
    rows = [line.split("\t") for line in (sample / "xnli" / "test-en.tsv").read_text().splitlines()[:8]]
    expected = probabilities([{"text": premise, "text_pair": hypothesis} for premise, hypothesis, _ in rows])
    assert [pytest.approx(one, abs=1e-5) for one in expected] == [row["probabilities"] for row in records("en")]


SPECIAL = (
    ("Nina lives in Ardo <pad> now", "She lives in Ardo", "entailment"),
    ("<pad> <pad> Omar left", "Omar <pad>", "contradiction"),
    ("Omar left </s> the city", "Omar stayed", "contradiction"),
    ("The <mask> boat", "A <s> boat is <unk> new", "neutral"),
)


def test_pipeline_gives_the_predicted_probabilities_of_text_that_reads_like_special_tokens(
    command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "special"
    (folder / "xnli").mkdir(parents=True)
    for split in ("train", "dev", "test"):
        lines = "".join("\t".join(row) + "\n" for row in SPECIAL * 2)
        (folder / "xnli" / f"{split}-en.tsv").write_text(lines)
    outcome = command("train.py", "data=xnli", f"data.folder={folder}", *SMALL[1:])

    assert outcome.status == 0, outcome.err
    expected = probabilities([{"text": premise, "text_pair": hypothesis} for premise, hypothesis, _ in SPECIAL * 2])
    assert [pytest.approx(one, abs=1e-5) for one in expected] == [row["probabilities"] for row in records("en")]


@pytest.mark.parametrize(("wrapper", "as_bin"), [("module.", True), ("_orig_mod.", False), ("module._orig_mod.", True)])
def test_weights_of_a_wrapped_model_are_read_and_this_is_said(
    train_on: Command, tmp_path: Path, wrapper: str, as_bin: bool
) -> None:
    def wrapped(weights: dict[str, Any]) -> dict[str, Any]:
        return {f"{wrapper}{name}": one for name, one in weights.items()}

    outcome = train_on(reweighted(encoder(tmp_path / "theirs"), wrapped, as_bin=as_bin))

    assert outcome.status == 0, outcome.err
    assert f"begin with {wrapper}, and are read without it" in outcome.err
    assert {name.partition(".")[0] for name in load_file(RUN / "model" / "model.safetensors")} == {
        "roberta",
        "classifier",
    }


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "config.json"])
def test_a_pointer_of_git_lfs_is_known_before_rows_are_read(train_on: Command, tmp_path: Path, name: str) -> None:
    folder = encoder(tmp_path / "theirs")
    (folder / name).write_text(POINTER)
    outcome = train_on(folder)

    assert outcome.status == 2
    assert f"{folder}: its {name} is a Git LFS pointer" in outcome.err
    assert "git lfs pull" in outcome.err
    assert not Path("outputs").exists()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("fields", "arguments", "told"),
    [
        (named(*NLI[::-1]), (), "reorder the model's outputs"),
        ({}, ("data.max_length=1024",), "takes at most 512 tokens"),
        ({"model_type": "distilbert"}, (), "has no weights for the encoder that its config.json describes"),
        ({"vocab_size": 3000}, (), "its tokenizer has ids up to 3526"),
        ({"intermediate_size": 32}, (), "by its config.json it is 32"),
        ({"quantization_config": {"quant_method": "gptq"}}, (), "is quantized"),
    ],
)
def test_what_config_and_headers_say_is_known_before_rows_are_read(
    train_on: Command, tmp_path: Path, fields: dict[str, Any], arguments: tuple[str, ...], told: str
) -> None:
    folder = edited(with_head(tmp_path / "theirs", 3), "config.json", **fields)
    outcome = train_on(folder, *arguments)

    assert outcome.status == 2
    assert told in outcome.err
    assert str(folder) in outcome.err


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    ("fields", "arguments", "told"),
    [
        (named("a", "b", "c"), (), "label names do not match"),
        ({}, (), "label names do not match"),
        (named(*NLI), ("data.max_length=1024",), "takes at most 512 tokens"),
        (named(*NLI) | {"vocab_size": 3000}, (), "its tokenizer has ids up to 3526"),
    ],
)
def test_a_model_that_is_not_the_data_s_is_known_before_rows_are_read(
    evaluate: Command, tmp_path: Path, fields: dict[str, Any], arguments: tuple[str, ...], told: str
) -> None:
    folder = edited(with_head(tmp_path / "theirs", 3), "config.json", **fields)
    outcome = evaluate(folder, *arguments)

    assert outcome.status == 2
    assert told in outcome.err
    assert str(folder) in outcome.err


@pytest.mark.usefixtures("unread")
def test_a_missing_head_is_known_before_rows_are_read(evaluate: Command, tmp_path: Path) -> None:
    folder = edited(encoder(tmp_path / "theirs"), "config.json", **named(*NLI))
    outcome = evaluate(folder)

    assert outcome.status == 2
    assert f"{folder} has no trained head" in outcome.err


@pytest.mark.parametrize(
    "fields",
    [
        {"id2label": list(NLI), "label2id": None},
        {"id2label": dict(enumerate(NLI)), "label2id": None},
        {"id2label": None, "label2id": named(*NLI)["label2id"]},
        {"id2label": dict(enumerate(NLI))},
    ],
)
def test_names_on_one_side_name_the_outputs(evaluate: Command, tmp_path: Path, fields: dict[str, Any]) -> None:
    outcome = evaluate(edited(with_head(tmp_path / "theirs", 3), "config.json", **fields))

    assert outcome.status == 0, outcome.err
