"""Encoders on ragged batches: from token ids to hidden states. Knows no task and no data."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.logging import set_verbosity_error

from babelfit import attention, mini
from babelfit.data.batching import RaggedBatch
from babelfit.errors import UserError
from babelfit.labels import has_own_labels, label_order
from babelfit.trust import refusal

MINI = "mini"
"""The path that names the bundled encoder."""

TESTED_TYPES = ("xlm-roberta",)
"""Model types whose ragged outputs are known to equal their padded ones; others may be wrong without a word."""


def located(path: str) -> str:
    """Resolve `encoder.path`: the bundled encoder, a folder, or a Hub id left as it is."""
    if path == MINI:
        return str(Path(mini.__file__).parent)
    folder = Path(path).expanduser()
    if folder.exists():
        if not (folder / "config.json").is_file():
            raise UserError(f"{path} is no encoder folder: it has no config.json")
        return str(folder)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise UserError(f"no encoder at {path}: give a folder with config.json, a Hub id such as OWNER/NAME, or {MINI}")
    return path


def load_tokenizer(path: str) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer of an encoder; raises UserError where there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(located(path), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no tokenizer for {path}: {_first_line(error)}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{path} has no fast tokenizer (tokenizer.json), which babelfit needs")
    return tokenizer


def files_read(path: str) -> dict[str, Any]:
    """Name what an encoder consists of, for the manifest: its files with their SHA-256, or its Hub revision."""
    folder = Path(located(path))
    if not folder.is_dir():
        return {"path": path, "revision": load_config(path, overrides={})._commit_hash}
    files = sorted(file for kind in ("*.json", "*.safetensors", "*.bin", "*.model") for file in folder.glob(kind))
    return {"path": path, "files": {file.name: _sha256(file) for file in files}}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_config(path: str, *, overrides: dict[str, Any]) -> PreTrainedConfig:
    """Load an encoder's config with some fields changed; raises UserError for a field that it does not have."""
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(located(path), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no config for {path}: {_first_line(error)}") from error
    # A stranger's config may name code: Python files beside it, and an attention kernel to fetch from the Hub.
    vars(config).pop("auto_map", None)
    config._attn_implementation = None
    fields = config.to_dict()
    for field, value in overrides.items():
        if field not in fields:
            raise UserError(
                f"encoder.overrides.{field}: {type(config).__name__} has no such field, but has {_names(fields)}"
            )
        if fields[field] is not None and not isinstance(value, type(fields[field])):
            raise UserError(f"encoder.overrides.{field}={value!r}: must be a {type(fields[field]).__name__}")
        setattr(config, field, value)
    return config


def load_model(
    model_class: Any,
    path: str,
    *,
    pretrained: bool,
    overrides: dict[str, Any],
    label_names: tuple[str, ...],
    max_length: int,
) -> PreTrainedModel:
    """Load a Hugging Face model with a head for these labels: pretrained weights, or random ones from its config.

    Attention is ragged from here on. Raises UserError where the folder or Hub id does not hold the like, or holds a
    head for these labels in another order.
    """
    if pretrained and overrides:
        raise UserError(
            f"encoder.overrides={overrides} changes the architecture, so the weights of {path} do not fit: "
            "drop it, or train from random weights with encoder.pretrained=false"
        )
    config = load_config(path, overrides=overrides)
    # A head that was trained already goes on only with the same labels in the same places.
    if pretrained and has_own_labels(config):
        order = label_order(config, label_names=label_names, aliases={})
        if order != list(range(len(label_names))):
            raise UserError(
                f"{path} has a head with the labels {list((config.id2label or {}).values())}; the data have "
                f"{list(label_names)}: reorder the model's outputs, or start from an encoder without head"
            )
    config.id2label = dict(enumerate(label_names))
    config.label2id = {name: label_id for label_id, name in enumerate(label_names)}
    if pretrained:
        model, missing = _from_pretrained(model_class, path, config=config)
        of_encoder = [name for name in missing if name.startswith(f"{model.base_model_prefix}.")]
        if of_encoder:
            raise UserError(f"{path} has no weights for {', '.join(of_encoder[:5])} and {len(of_encoder)} in all")
    else:
        try:
            model = model_class.from_config(config, trust_remote_code=False)
        except ValueError as error:
            # Fields that are right one by one and do not fit together, such as a width that the heads do not divide.
            raise UserError(f"encoder.overrides={overrides}: {_first_line(error)}") from error
    return _made_ragged(model, path=path, max_length=max_length)


def load_fine_tuned(model_class: Any, path: str, *, max_length: int) -> PreTrainedModel:
    """Load a Hugging Face model with its trained head; raises UserError where a part of it has no weights."""
    config = load_config(path, overrides={})
    model, missing = _from_pretrained(model_class, path, config=config)
    if missing:
        raise UserError(f"{path} has no trained head (no weights for {', '.join(missing)}): fine-tune it first")
    return _made_ragged(model, path=path, max_length=max_length)


def _from_pretrained(model_class: Any, path: str, *, config: PreTrainedConfig) -> tuple[PreTrainedModel, list[str]]:
    """Load weights; say which ones the model has and the folder has not."""
    # What is missing is told by the caller, in its own words.
    set_verbosity_error()
    try:
        model, report = model_class.from_pretrained(
            located(path),
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except pickle.UnpicklingError as error:
        raise UserError(
            f"the weights of {path} hold more than plain data ({refusal(error)}): refused, and nothing in them was "
            "run; ask for safetensors"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"no weights for {path}: {_first_line(error)}") from error
    return model, sorted(report["missing_keys"])


def _made_ragged(model: PreTrainedModel, *, path: str, max_length: int) -> PreTrainedModel:
    if model.config.model_type not in TESTED_TYPES:
        raise UserError(f"{path} is of type {model.config.model_type}; an encoder must be {' or '.join(TESTED_TYPES)}")
    longest = int(model.config.max_position_embeddings) - _first_position(model)
    if max_length > longest:
        raise UserError(f"data.max_length={max_length}: {path} takes at most {longest} tokens")
    model.set_attn_implementation(attention.NAME)
    return model


def encode(model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
    """Run an encoder on a ragged batch: hidden states as (tokens, hidden)."""
    borders = attention.Borders.of(batch.cu_seqlens, batch.position_ids, longest=batch.longest)
    outputs = model.base_model(
        input_ids=batch.input_ids.unsqueeze(0),
        token_type_ids=batch.token_type_ids.unsqueeze(0),
        position_ids=batch.position_ids.unsqueeze(0) + _first_position(model),
        borders=borders,
    )
    hidden: torch.Tensor = outputs.last_hidden_state.squeeze(0)
    return hidden


def _first_position(model: PreTrainedModel) -> int:
    """Name the row of the position table that the first token takes: RoBERTa's kind keeps rows up to the padding's."""
    table: Any = model.base_model.get_submodule("embeddings.position_embeddings")
    return 0 if table.padding_idx is None else int(table.padding_idx) + 1


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _names(fields: dict[str, Any]) -> str:
    hidden = {"architectures", "id2label", "label2id", "dtype", "transformers_version"}
    return ", ".join(sorted(name for name in fields if name not in hidden and not name.startswith("_")))
