"""What the files of weights say by names and shapes: which encoder, whether a head, and of which size."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from others_models import NLI, Shapes, edited, encoder, named, reweighted, with_head
from transformers import PreTrainedModel

from babelfit.errors import UserError
from babelfit.heads import HEADS, Head
from babelfit.heads.loading import check_fine_tuned, load_model

SEQUENCES = HEADS["sequence_classification"]


def loaded(
    folder: Path, *, head: Head = SEQUENCES, label_names: tuple[str, ...] = NLI, without_weights: bool = False
) -> PreTrainedModel:
    return load_model(
        head,
        str(folder),
        pretrained=True,
        overrides={},
        label_names=label_names,
        max_length=16,
        without_weights=without_weights,
    )


@pytest.mark.parametrize("without_weights", [False, True])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weights: {f"foo.{name}": one for name, one in weights.items()}, "its tensors are called foo.lm_head"),
        (
            lambda weights: {name: one for name, one in weights.items() if "lm_head" in name},
            "has no weights for the enc",
        ),
        (lambda _: {"x": torch.zeros(1)}, "its tensors are called x, where roberta."),
        (
            lambda weights: weights | {"roberta.embeddings.word_embeddings.weight": torch.zeros(9, 128)},
            "word_embeddings.weight as 9 x 128, and by its config.json it is 3527 x 128",
        ),
        (
            lambda weights: weights | {"roberta.embeddings.LayerNorm.weight": torch.tensor(1.0)},
            "LayerNorm.weight as a number, and by its config.json it is 128",
        ),
    ],
)
def test_weights_of_another_encoder_are_known_by_their_names_and_shapes(
    tmp_path: Path, change: Callable[[Shapes], Shapes], told: str, without_weights: bool
) -> None:
    folder = reweighted(encoder(tmp_path / "theirs"), change)
    with pytest.raises(UserError) as refused:
        loaded(folder, without_weights=without_weights)
    assert told in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize("change", [lambda name: name.removeprefix("roberta."), lambda name: name])
def test_an_encoder_is_known_with_and_without_its_own_prefix(tmp_path: Path, change: Callable[[str], str]) -> None:
    folder = reweighted(
        encoder(tmp_path / "theirs"),
        lambda weights: {change(name): one for name, one in weights.items() if name.startswith("roberta.")},
    )
    found = loaded(folder).base_model.state_dict()
    expected = loaded(encoder(tmp_path / "plain")).base_model.state_dict()
    assert all(torch.equal(found[name], one) for name, one in expected.items())


def test_layers_that_the_config_lacks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = edited(encoder(tmp_path / "theirs"), "config.json", num_hidden_layers=2)
    loaded(folder)
    assert "has 16 tensors of layers that its config.json lacks, such as encoder.layer.2." in caplog.text
    caplog.clear()
    loaded(encoder(tmp_path / "plain"))
    assert "layers" not in caplog.text


UNNAMED = [
    ("sequence_classification", NLI, 5, False),
    ("sequence_classification", NLI, 2, False),
    ("sequence_classification", NLI, 1, False),
    ("sequence_classification", NLI, 3, False),
    ("token_classification", ("O", "B-X", "I-X"), 9, True),
    ("token_classification", ("O", "B-X", "I-X"), 3, True),
    ("sequence_regression", (), 3, False),
]


@pytest.mark.parametrize(("head", "label_names", "num_labels", "of_tokens"), UNNAMED)
def test_a_head_without_names_is_dropped_and_this_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    head: str,
    label_names: tuple[str, ...],
    num_labels: int,
    of_tokens: bool,
) -> None:
    folder = with_head(tmp_path / "theirs", num_labels, of_tokens=of_tokens)
    found = loaded(folder, head=HEADS[head], label_names=label_names)

    said = [message for message in caplog.messages if "without names" in message]
    assert len(said) == 1
    assert f"{folder} has a head for {num_labels} output" in said[0]
    assert "name them in its config.json (id2label, label2id)" in said[0]
    assert found.num_labels == max(len(label_names), 1)
    assert list(found.config.id2label.values()) == list(label_names or ("LABEL_0",))


def test_the_head_that_is_dropped_gives_no_weights_to_the_new_one(tmp_path: Path) -> None:
    folder = with_head(tmp_path / "theirs", 3)
    same = edited(with_head(tmp_path / "ours", 3), "config.json", **named(*NLI))
    dropped, kept = (loaded(one).state_dict() for one in (folder, same))

    name = "classifier.out_proj.weight"
    assert not torch.equal(dropped[name], kept[name])
    assert torch.equal(dropped["roberta.embeddings.LayerNorm.weight"], kept["roberta.embeddings.LayerNorm.weight"])


def test_an_encoder_without_head_is_not_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded(encoder(tmp_path / "theirs"))
    assert "head" not in caplog.text


@pytest.mark.parametrize("names", [NLI, ("a", "b"), ("O", "B-X", "I-X", "B-Y", "I-Y")])
def test_a_number_is_learned_from_a_model_of_any_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: tuple[str, ...]
) -> None:
    folder = edited(with_head(tmp_path / "theirs", len(names)), "config.json", **named(*names))
    found = loaded(folder, head=HEADS["sequence_regression"], label_names=())

    assert f"was fine-tuned on other labels ({', '.join(names)}): its head is dropped" in caplog.text
    assert (found.num_labels, found.config.problem_type) == (1, "regression")


@pytest.mark.parametrize("problem_type", [None, "regression"])
def test_a_head_for_a_number_goes_on(tmp_path: Path, problem_type: str | None) -> None:
    folder = edited(with_head(tmp_path / "theirs", 1), "config.json", problem_type=problem_type)
    found = loaded(folder, head=HEADS["sequence_regression"], label_names=()).state_dict()

    expected = HEADS["sequence_regression"].model_class.from_pretrained(folder).state_dict()
    assert torch.equal(found["classifier.out_proj.weight"], expected["classifier.out_proj.weight"])


@pytest.mark.parametrize("problem_type", ["multi_label_classification", "regression", "single_label_classification"])
@pytest.mark.parametrize("names", [("toxic", "rude", "kind", "dull"), NLI])
def test_the_problem_of_a_model_s_past_is_not_that_of_the_new_one(
    tmp_path: Path, problem_type: str, names: tuple[str, ...]
) -> None:
    fields = named(*names) | {"problem_type": problem_type}
    folder = edited(with_head(tmp_path / "theirs", len(names)), "config.json", **fields)

    assert loaded(folder).config.problem_type is None


@pytest.mark.parametrize(
    ("num_labels", "names", "told"),
    [
        (5, NLI, "as 5, and by its config.json it is 3"),
        (3, ("a", "b", "c"), "label names do not match"),
        (3, (), "label names do not match"),
        (3, ("contradiction", "entailment"), "label names do not match"),
    ],
)
def test_a_head_that_is_not_the_data_s_is_known_before_it_is_loaded(
    tmp_path: Path, num_labels: int, names: tuple[str, ...], told: str
) -> None:
    folder = edited(with_head(tmp_path / "theirs", num_labels), "config.json", **(named(*names) if names else {}))
    with pytest.raises(UserError) as refused:
        check_fine_tuned(SEQUENCES, str(folder), label_names=NLI, label_aliases={}, max_length=16)
    assert told in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (named(*NLI) | {"label2id": {"entailment": 0, "neutral": 2, "contradiction": 1}}, "contradict each other"),
        (named(*NLI) | {"pad_token_id": None}, "works in a way that babelfit does not follow"),
        (named(*NLI[::-1]), "reorder the model's outputs"),
    ],
)
def test_whatever_is_wrong_with_a_model_its_folder_is_named(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    folder = edited(with_head(tmp_path / "theirs", 3), "config.json", **fields)
    if "pad_token_id" in fields:
        content = json.loads((folder / "config.json").read_text()) | {"pad_token_id": None}
        (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"^{folder}.*{told}"):
        loaded(folder)


def test_a_missing_head_and_too_long_sequences_are_known_before_it_is_loaded(tmp_path: Path) -> None:
    bare = edited(encoder(tmp_path / "bare"), "config.json", **named(*NLI))
    with pytest.raises(UserError, match=r"has no trained head \(no weights for classifier"):
        check_fine_tuned(SEQUENCES, str(bare), label_names=NLI, label_aliases={}, max_length=16)
    whole = edited(with_head(tmp_path / "whole", 3), "config.json", **named(*NLI))
    check_fine_tuned(SEQUENCES, str(whole), label_names=NLI, label_aliases={}, max_length=512)
    with pytest.raises(UserError, match=r"data.max_length=513: .* takes at most 512 tokens"):
        check_fine_tuned(SEQUENCES, str(whole), label_names=NLI, label_aliases={}, max_length=513)


@pytest.mark.parametrize(
    ("num_labels", "fields"), [(3, {}), (2, {}), (1, {"problem_type": "multi_label_classification"})]
)
def test_a_model_of_labels_predicts_no_number(tmp_path: Path, num_labels: int, fields: dict[str, str]) -> None:
    folder = edited(with_head(tmp_path / "theirs", num_labels), "config.json", **fields)
    with pytest.raises(UserError, match=f"has a head of {num_labels} outputs .* one number"):
        check_fine_tuned(HEADS["sequence_regression"], str(folder), label_names=(), label_aliases={}, max_length=16)
