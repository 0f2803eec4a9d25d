"""A folder of a stranger's model is read, or refused on one line that names it, what is wrong, and the next move."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from others_models import NLI, POINTER, edited, encoder, reweighted
from transformers import PreTrainedModel

from babelfit.encoder.loading import check_ids, load_config, load_tokenizer
from babelfit.encoder.model_files import reading, wrapper_of
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled encoder, to be spoilt."""
    return encoder(tmp_path / "theirs")


def loaded(folder: Path) -> PreTrainedModel:
    return load_model(
        HEADS["sequence_classification"],
        str(folder),
        pretrained=True,
        overrides={},
        label_names=NLI,
        max_length=16,
    )


def refusal(call: Callable[[], object], folder: Path) -> str:
    """Return what is said; it names the folder, on one line."""
    with pytest.raises(UserError) as refused:
        call()
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


OF_JSON = ("config.json", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.parametrize("name", OF_JSON)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (POINTER, "is a Git LFS pointer"),
        ("", "is empty"),
        ('{"model_type": ', "is not JSON"),
        ("<!DOCTYPE html>", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "holds no object but '[]'"),
        ("3", "holds no object but '3'"),
    ],
)
def test_a_json_file_that_is_none_is_named(folder: Path, name: str, content: str, told: str) -> None:
    (folder / name).write_text(content)
    message = refusal(lambda: load_tokenizer(str(folder)), folder)

    assert f"its {name} {told}" in message
    assert "git lfs pull" in message if content == POINTER else "copy or download this folder again" in message


@pytest.mark.parametrize("part", ["model", "normalizer", "pre_tokenizer", "post_processor"])
def test_a_tokenizer_of_a_newer_version_is_told_so(folder: Path, part: str) -> None:
    edited(folder, "tokenizer.json", **{part: {"type": "OfTomorrow"}})

    assert "pip install -U tokenizers transformers" in refusal(lambda: load_tokenizer(str(folder)), folder)


@pytest.mark.parametrize("id_of_new", [3527, 3530, 90_000])
def test_a_tokenizer_larger_than_its_model_is_refused(folder: Path, id_of_new: int) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    kind = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    new = [{"id": id_of_new + place, "content": f"<new{place}>", **kind} for place in range(2)]
    edited(folder, "tokenizer.json", added_tokens=[*content["added_tokens"], *new])
    message = refusal(lambda: check_ids(load_tokenizer(str(folder)), str(folder), overrides={}), folder)

    assert "its tokenizer has ids up to" in message
    assert "embeddings for 3527" in message
    assert "resize_token_embeddings" in message
    check_ids(load_tokenizer(str(folder)), str(folder), overrides={"vocab_size": 100_000})


@pytest.mark.parametrize(
    "quantized", [{"quant_method": "bitsandbytes", "load_in_8bit": True}, {"quant_method": "gptq"}, {"bits": 4}]
)
def test_a_quantized_model_is_refused(folder: Path, quantized: dict[str, Any]) -> None:
    edited(folder, "config.json", quantization_config=quantized)

    assert "take the model that it was made of" in refusal(lambda: load_config(str(folder), overrides={}), folder)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model_type": None}, "model_type=None"),
        ({"model_type": "of-tomorrow"}, "pip install -U transformers"),
        ({"model_type": ["bert"]}, "model_type=['bert']"),
        ({"hidden_size": "128"}, "hidden_size"),
        ({"vocab_size": 2.5}, "vocab_size"),
        ({"dtype": "float99"}, "float99"),
    ],
)
def test_a_config_of_no_model_is_refused(folder: Path, fields: dict[str, Any], told: str) -> None:
    edited(folder, "config.json", **fields)

    assert told in refusal(lambda: load_config(str(folder), overrides={}), folder)


@pytest.mark.parametrize("fields", [{"hidden_size": 127}, {"hidden_act": "foo"}, {"num_attention_heads": 0}])
def test_a_config_that_describes_no_model_is_refused(folder: Path, fields: dict[str, Any]) -> None:
    edited(folder, "config.json", **fields)

    assert "config.json describes no model" in refusal(lambda: loaded(folder), folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"])
@pytest.mark.parametrize(
    ("content", "told"),
    [(POINTER, "is a Git LFS pointer"), ("", "is empty"), ("<!DOCTYPE html>" + " " * 99, "")],
)
def test_weights_that_are_none_are_named(folder: Path, name: str, content: str, told: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_text(content)
    message = refusal(lambda: loaded(folder), folder)

    assert name in message
    assert told in message
    assert "plain data" not in message


@pytest.mark.parametrize("state", [{"state_dict": {}, "epoch": 3}, [1, 2], {0: torch.zeros(2)}, None])
def test_a_file_of_torch_that_holds_no_weights_is_named(folder: Path, state: Any) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")

    assert "pytorch_model.bin holds" in refusal(lambda: loaded(folder), folder)


def test_a_folder_without_weights_and_an_adapter_are_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert "merge it" in refusal(lambda: loaded(folder), folder)
    (folder / "adapter_config.json").unlink()
    (folder / "model.safetensors").unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in refusal(lambda: loaded(folder), folder)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_forward_module."])
@pytest.mark.parametrize("as_bin", [False, True])
def test_names_behind_a_wrapper_s_are_read_without_it(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, wrapper: str, as_bin: bool
) -> None:
    reweighted(folder, lambda weights: {f"{wrapper}{name}": one for name, one in weights.items()}, as_bin=as_bin)
    with caplog.at_level("INFO"):
        found = loaded(folder).base_model.state_dict()

    assert f"begin with {wrapper}, and are read without it" in caplog.text
    expected = loaded(encoder(tmp_path / "plain")).base_model.state_dict()
    assert all(torch.equal(found[name], one) for name, one in expected.items())


def test_a_wrapper_stands_before_all_names_or_is_none() -> None:
    assert wrapper_of(["module.a", "module.b.module.c"]) == "module."
    assert wrapper_of(["module.a", "b"]) == wrapper_of(["module.a", "_orig_mod.a"]) == wrapper_of([]) == ""
    assert wrapper_of(["modules.a"]) == ""


class PanicException(BaseException):
    """What a library written in Rust raises."""


@pytest.mark.parametrize("error", [KeyError("x"), AttributeError("y\nz"), PanicException("index out of range")])
def test_whatever_a_library_raises_is_told_on_one_line(error: BaseException) -> None:
    with pytest.raises(UserError, match=rf"^it: {type(error).__name__}: .*; do that$"), reading("it", then="do that"):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), UserError("as it is")])
def test_what_ends_a_command_goes_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, reading("it", then="do that"):
        raise error
    assert raised.value is error
