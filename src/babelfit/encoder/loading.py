"""From the path of an encoder to its folder, tokenizer and config; models are loaded with a head (heads/loading.py)."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from babelfit import mini
from babelfit.devices import preemption
from babelfit.encoder.label_tables import with_label_tables
from babelfit.encoder.model_files import AGAIN, OF_TOKENIZERS, WEIGHTS, read_object, reading
from babelfit.errors import UserError
from babelfit.files import hub
from babelfit.files.atomic_files import sha256

MINI = "mini"
"""The path that names the bundled encoder."""

NOT_IN_FP16 = ("deberta-v2",)
"""Model types whose activations overflow fp16, so that training gives NaN (microsoft/DeBERTa#77)."""

SAVE_TOKENIZER = "save one there with AutoTokenizer.from_pretrained(...).save_pretrained(...)"

NEVER_READ = ("auto_map", "transformers_weights")
"""Fields of a config.json that name code, or another file of weights than those that are looked at."""

CONFIG_AND_TOKENIZER = (
    "config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "s*.model",  # sentencepiece.bpe.model, spm.model, spiece.model
)


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
            raise UserError(
                f"{path} is not an encoder folder: it has no config.json; give one that save_pretrained() wrote"
            )
        return str(folder)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise UserError(f"no encoder at {path}: give a folder with config.json, a Hub id such as OWNER/NAME, or {MINI}")
    with preemption.break_off_at_once():
        snapshot = hub.download(path, kind="model", revision=revision, patterns=CONFIG_AND_TOKENIZER)
    if not (snapshot / "config.json").is_file():
        raise UserError(f"{path} at {snapshot.name} is not an encoder: it has no config.json; give another Hub id")
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
    config = load_config(path, revision=revision, overrides={})
    folder = Path(located(path, revision=revision))
    if not (folder / "tokenizer.json").is_file() and any(folder.glob("*.model")) and not find_spec("sentencepiece"):
        raise UserError(
            f"{path} has no tokenizer.json, and reading its {next(folder.glob('*.model')).name} needs sentencepiece: "
            "pip install 'babelfit[sentencepiece]'"
        )
    for file in sorted({file for pattern in OF_TOKENIZERS for file in folder.glob(pattern)}):
        read_object(file, path=path)
    if not any(file for pattern in CONFIG_AND_TOKENIZER[1:] for file in folder.glob(pattern)):
        raise UserError(f"no tokenizer for {path}: it has no tokenizer.json; {SAVE_TOKENIZER}")
    newer = f"{AGAIN}; where its files are of a newer version, `pip install -U tokenizers transformers`"
    with reading(f"no tokenizer for {path}", then=newer):
        tokenizer = AutoTokenizer.from_pretrained(folder, config=config, trust_remote_code=False)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{path} has no fast tokenizer (tokenizer.json), which babelfit needs: {SAVE_TOKENIZER}")
    return tokenizer


def check_ids(
    tokenizer: PreTrainedTokenizerFast, path: str, *, revision: str | None = None, overrides: dict[str, Any]
) -> None:
    """Raise UserError where an encoder's tokenizer has ids that its model has no embeddings for."""
    token, highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", -1))
    num_rows = getattr(load_config(path, revision=revision, overrides=overrides), "vocab_size", None)
    if num_rows is not None and highest >= num_rows:
        raise UserError(
            f"{path}: its tokenizer has ids up to {highest} ({token!r}), and its model has embeddings for {num_rows} "
            "(vocab_size in its config.json): take both from one place, or add rows with "
            "model.resize_token_embeddings() and save that"
        )


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
    folder = Path(located(path, revision=revision))
    document = with_label_tables(read_object(folder / "config.json", path=path), path=path)
    if document.get("quantization_config") is not None:
        raise UserError(
            f"{path} is quantized (quantization_config in its config.json), and babelfit computes in floating point: "
            "take the model that it was made of"
        )
    kind = document.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise UserError(
            f"no config for {path}: model_type={kind!r} in its config.json is none that transformers knows; set it to "
            "the right one, such as xlm-roberta, or where it is newer `pip install -U transformers`"
        )
    # An untrusted config may name code: Python files beside it, and an attention kernel to fetch from the Hub.
    document = {key: value for key, value in document.items() if key not in NEVER_READ}
    with reading(f"no config for {path}", then="correct its config.json, or copy or download it again"):
        config: PreTrainedConfig = CONFIG_MAPPING[kind].from_dict(document, name_or_path=str(folder))
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
    num_layers = getattr(config, "num_hidden_layers", None)
    if isinstance(num_layers, int) and num_layers < 1:
        where = "encoder.overrides" if "num_hidden_layers" in overrides else f"{path}: its config.json"
        raise UserError(f"{where} has num_hidden_layers={num_layers}: it must be at least 1")
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
