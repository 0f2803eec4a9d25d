"""From the path of an encoder to its folder, tokenizer and config; models are loaded with a head (heads/loading.py)."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from babelfit import mini
from babelfit.devices import preemption
from babelfit.errors import UserError, first_line
from babelfit.files import hub
from babelfit.files.atomic_files import sha256

MINI = "mini"
"""The path that names the bundled encoder."""

NOT_IN_FP16 = ("deberta-v2",)
"""Model types whose activations overflow fp16, so that training gives NaN (microsoft/DeBERTa#77)."""

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


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """What an encoder or a model consists of, as manifest.json says it."""

    path: str
    commit: str | None = None  # on the Hub
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 by name


def located(path: str, *, revision: str | None = None, weights: bool = False) -> str:
    """Return the folder of `encoder.path`: the bundled encoder, a folder, or a Hub id, which is downloaded first."""
    if path == MINI:
        return str(Path(mini.__file__).parent)
    folder = Path(path).expanduser()
    if folder.exists():
        if not (folder / "config.json").is_file():
            raise UserError(f"{path} is not an encoder folder: it has no config.json")
        return str(folder)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise UserError(f"no encoder at {path}: give a folder with config.json, a Hub id such as OWNER/NAME, or {MINI}")
    with preemption.break_off_at_once():
        snapshot = hub.download(path, kind="model", revision=revision, patterns=CONFIG_AND_TOKENIZER)
    if not (snapshot / "config.json").is_file():
        raise UserError(f"{path} at {snapshot.name} is not an encoder: it has no config.json")
    if weights:
        for patterns in WEIGHTS:
            with preemption.break_off_at_once():
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


def files_read(path: str, *, revision: str | None = None, weights: bool = True) -> ModelFiles:
    """Return what an encoder consists of, for the manifest: its files with their SHA-256, and its commit on the Hub.

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
    return ModelFiles(path=path, commit=commit, files={file.name: sha256(file) for file in files})


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
    # An untrusted config may name code: Python files beside it, and an attention kernel to fetch from the Hub.
    vars(config).pop("auto_map", None)
    config._attn_implementation = None
    fields = config.to_dict()
    for name, value in overrides.items():
        if name not in fields:
            raise UserError(
                f"encoder.overrides.{name}: {type(config).__name__} has no such field; it has {_names(fields)}"
            )
        try:
            setattr(config, name, _of_kind(fields[name], value))
        except (TypeError, ValueError, StrictDataclassError) as error:
            what = " ".join(str(error).split())
            raise UserError(f"encoder.overrides.{name}={value!r}: {what}") from error
    return config


def _of_kind(before: Any, value: Any) -> Any:
    """Return a value for a field in the type that it has; raises TypeError for another. What is None has no type."""
    kind = type(before)
    if kind is float and type(value) is int:
        return float(value)
    if before is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise TypeError(f"must be a {kind.__name__}")
    return value


def _names(fields: dict[str, Any]) -> str:
    hidden = {"architectures", "id2label", "label2id", "dtype", "transformers_version"}
    return ", ".join(sorted(name for name in fields if name not in hidden and not name.startswith("_")))
