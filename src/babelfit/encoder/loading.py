"""From a path to a tokenizer, a config and a model that is ready for ragged batches; what it computes is not here."""

import copy
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.logging import set_verbosity_error

from babelfit import mini
from babelfit.encoder.agreement import assume_attention, choose_attention
from babelfit.encoder.encoder import max_tokens
from babelfit.errors import UserError, first_line
from babelfit.files import hub
from babelfit.files.atomic_files import sha256
from babelfit.files.untrusted_files import check_shards, refusal
from babelfit.heads.heads import Head
from babelfit.heads.labels import has_labels, has_own_labels, label_order

log = logging.getLogger(__name__)

MINI = "mini"
"""The path that names the bundled encoder."""

NOT_IN_FP16 = ("deberta-v2",)
"""Model types whose activations overflow fp16, so that training gives NaN (microsoft/DeBERTa#77)."""

NO_NAMES = ("LABEL_0", "LABEL_1")

CONFIG_AND_TOKENIZER = (
    "config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "s*.model",  # sentencepiece.bpe.model, spm.model, spiece.model
)
WEIGHTS = (
    ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
)
"""Files of a Hugging Face repository that hold the weights, the first kind that there is."""


def located(path: str, *, revision: str | None = None, weights: bool = False) -> str:
    """Name the folder of `encoder.path`: the bundled encoder, a folder, or a Hub id, which is downloaded first."""
    if path == MINI:
        return str(Path(mini.__file__).parent)
    folder = Path(path).expanduser()
    if folder.exists():
        if not (folder / "config.json").is_file():
            raise UserError(f"{path} is no encoder folder: it has no config.json")
        return str(folder)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise UserError(f"no encoder at {path}: give a folder with config.json, a Hub id such as OWNER/NAME, or {MINI}")
    snapshot = hub.download(path, kind="model", revision=revision, patterns=CONFIG_AND_TOKENIZER)
    if not (snapshot / "config.json").is_file():
        raise UserError(f"{path} at {snapshot.name} is no encoder: it has no config.json")
    if weights:
        for patterns in WEIGHTS:
            hub.download(path, kind="model", revision=snapshot.name, patterns=patterns)
            if any(any(snapshot.glob(pattern)) for pattern in patterns):
                break
        else:
            raise UserError(f"{path} at {snapshot.name} has no weights: neither {WEIGHTS[0][0]} nor {WEIGHTS[1][0]}")
    return str(snapshot)


def load_tokenizer(path: str, *, revision: str | None = None) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer of an encoder; raises UserError where there is none."""
    folder = Path(located(path, revision=revision))
    if not (folder / "tokenizer.json").is_file() and any(folder.glob("*.model")) and not find_spec("sentencepiece"):
        raise UserError(
            f"{path} has no tokenizer.json, and reading its {next(folder.glob('*.model')).name} needs sentencepiece: "
            "pip install 'babelfit[sentencepiece]'"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no tokenizer for {path}: {first_line(error)}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{path} has no fast tokenizer (tokenizer.json), which babelfit needs")
    return tokenizer


def files_read(path: str, *, revision: str | None = None, weights: bool = True) -> dict[str, Any]:
    """Name what an encoder consists of, for the manifest: its files with their SHA-256, and its commit on the Hub.

    Without weights, where random ones take their place.
    """
    folder = Path(located(path, revision=revision))
    files = sorted(
        file
        for kind in ("*.json", "*.model", *(("*.safetensors", "*.bin") if weights else ()))
        for file in folder.glob(kind)
        if file.is_file()
    )
    commit = folder.name if hub.is_snapshot(str(folder)) else None
    return {"path": path, "commit": commit, "files": {file.name: sha256(file) for file in files}}


def check_precision(path: str, *, revision: str | None = None, precision: str) -> None:
    """Refuse a precision in which an encoder of this kind cannot be computed."""
    model_type = load_config(path, revision=revision, overrides={}).model_type
    if precision == "16-mixed" and model_type in NOT_IN_FP16:
        raise UserError(
            f"trainer.precision=16-mixed: {path} is of type {model_type}, whose activations overflow fp16 and turn "
            "into NaN (microsoft/DeBERTa#77); use bf16-mixed, or 32-true"
        )


def load_config(path: str, *, revision: str | None = None, overrides: dict[str, Any]) -> PreTrainedConfig:
    """Load an encoder's config with some fields changed; raises UserError for a field that it does not have."""
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(located(path, revision=revision), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(f"no config for {path}: {first_line(error)}") from error
    # A stranger's config may name code: Python files beside it, and an attention kernel to fetch from the Hub.
    vars(config).pop("auto_map", None)
    config._attn_implementation = None
    fields = config.to_dict()
    for field, value in overrides.items():
        if field not in fields:
            raise UserError(
                f"encoder.overrides.{field}: {type(config).__name__} has no such field, but has {_names(fields)}"
            )
        try:
            setattr(config, field, _of_kind(fields[field], value))
        except (TypeError, ValueError, StrictDataclassError) as error:
            what = " ".join(str(error).split())
            raise UserError(f"encoder.overrides.{field}={value!r}: {what}") from error
    return config


def _of_kind(before: Any, value: Any) -> Any:
    """Return a value for a field in the type that it has; raises TypeError for another. What is None has no type."""
    kind = type(before)
    if kind is float and type(value) is int:
        return float(value)
    if before is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise TypeError(f"must be a {kind.__name__}")
    return value


def load_model(
    head: Head,
    path: str,
    *,
    revision: str | None = None,
    pretrained: bool,
    overrides: dict[str, Any],
    label_names: tuple[str, ...],
    label_aliases: Mapping[str, str] = {},
    max_length: int,
    without_weights: bool = False,
) -> PreTrainedModel:
    """Load a Hugging Face model with a head for these labels: pretrained weights, or random ones from its config.

    Without weights it is on the meta device, where parameters have sizes and no numbers, for whoever only counts.

    A head for other labels is left behind, with a warning. It gives its own numbers on ragged batches from here on, or
    UserError is raised; so it is where the folder or Hub id does not hold the like, or holds a head for these labels in
    another order.
    """
    if pretrained and overrides:
        raise UserError(
            f"encoder.overrides={overrides} changes the architecture, so the weights of {path} do not fit: "
            "drop it, or train from random weights with encoder.pretrained=false"
        )
    config = load_config(path, revision=revision, overrides=overrides)
    theirs = copy.deepcopy(config)
    is_tuned = pretrained and has_own_labels(config)
    if not label_names:
        # What transformers calls the labels of a model that has none.
        label_names, is_tuned = NO_NAMES, False
    is_of_other_labels = is_tuned and not has_labels(config, label_names=label_names, aliases=label_aliases)
    # A head that was trained already goes on only with the same labels in the same places.
    if is_tuned and not is_of_other_labels:
        order = label_order(config, label_names=label_names, aliases=label_aliases)
        if order != list(range(len(label_names))):
            raise UserError(
                f"{path} has a head with the labels {list((config.id2label or {}).values())}; the data have "
                f"{list(label_names)}: reorder the model's outputs, or start from an encoder without head"
            )
    config.id2label = dict(enumerate(label_names))
    config.label2id = {name: label_id for label_id, name in enumerate(label_names)}
    if pretrained and not without_weights:
        # Weights are loaded into the shapes that they have.
        model, missing = _from_pretrained(
            head, path, revision=revision, config=theirs if is_of_other_labels else config
        )
        encoders = [name for name in missing if name.startswith(f"{model.base_model_prefix}.")]
        # A pooler is a part of the head that stands in the encoder: masked language models are trained without.
        new_pooler = [name for name in encoders if ".pooler." in name]
        if len(encoders) > len(new_pooler):
            raise UserError(f"{path} has no weights for {', '.join(encoders[:5])} and {len(encoders)} in all")
        if label_names == NO_NAMES and missing:
            log.warning("%s has no head for masked tokens, or a part of it: it starts from random weights", path)
        if new_pooler:
            log.warning("%s has no weights for its pooler: like the head, it starts from random ones", path)
        if is_of_other_labels:
            names = ", ".join((theirs.id2label or {}).values())
            log.warning("%s was tuned on other labels (%s): its head is dropped, a new one starts", path, names)
            tuned = model.base_model.state_dict()
            model = head.model_class.from_config(config, dtype=torch.float32, trust_remote_code=False)
            model.base_model.load_state_dict(tuned)
    else:
        try:
            with torch.device("meta") if without_weights else nullcontext():
                model = head.model_class.from_config(config, dtype=torch.float32, trust_remote_code=False)
        except ValueError as error:
            # Fields that are right one by one and do not fit together, such as a width that the heads do not divide.
            raise UserError(f"encoder.overrides={overrides}: {first_line(error)}") from error
    _ready(model, path=path, head=head, max_length=max_length)
    # from_pretrained switches dropout off, and the Trainer leaves that as it finds it.
    model.train()
    return model


def load_fine_tuned(head: Head, path: str, *, max_length: int) -> PreTrainedModel:
    """Load a Hugging Face model with its trained head; raises UserError where a part of it has no weights."""
    config = load_config(path, overrides={})
    model, missing = _from_pretrained(head, path, revision=None, config=config)
    if missing:
        raise UserError(f"{path} has no trained head (no weights for {', '.join(missing)}): fine-tune it first")
    _ready(model, path=path, head=head, max_length=max_length)
    return model


def _from_pretrained(
    head: Head, path: str, *, revision: str | None, config: PreTrainedConfig
) -> tuple[PreTrainedModel, list[str]]:
    """Load weights; say which ones the model has and the folder has not."""
    # What is missing is told by the caller, in its own words.
    set_verbosity_error()
    folder = located(path, revision=revision, weights=True)
    check_shards(Path(folder))
    # A stranger's config may also name another file of weights than those that were looked at.
    vars(config).pop("transformers_weights", None)
    try:
        model, report = head.model_class.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except UnpicklingError as error:
        raise UserError(
            f"the weights of {path} hold more than plain data ({refusal(error)}): refused, and nothing in them was "
            "run; use an encoder with model.safetensors"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"no weights for {path}: {first_line(error)}") from error
    except SafetensorError as error:
        raise UserError(
            f"the weights of {path} are damaged ({first_line(error)}): copy or download this folder again"
        ) from error
    return model, sorted(report["missing_keys"])


def _ready(model: PreTrainedModel, *, path: str, head: Head, max_length: int) -> None:
    """Choose how a model runs on ragged batches; raises UserError where it cannot or sequences may be too long."""
    longest = max_tokens(model)
    if longest is not None and max_length > longest:
        raise UserError(f"data.max_length={max_length}: {path} takes at most {longest} tokens")
    if model.device.type == "meta":
        assume_attention(model, max_length=max_length)
        return
    choose_attention(model, head=head, max_length=max_length)


def _names(fields: dict[str, Any]) -> str:
    hidden = {"architectures", "id2label", "label2id", "dtype", "transformers_version"}
    return ", ".join(sorted(name for name in fields if name not in hidden and not name.startswith("_")))
