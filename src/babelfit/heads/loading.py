"""From a path to a model with a head, ready for ragged batches; what it computes is not here."""

import copy
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from babelfit.encoder.encoder import max_tokens
from babelfit.encoder.loading import load_config, located
from babelfit.errors import UserError, first_line
from babelfit.files.untrusted_files import check_shards, refusal
from babelfit.heads.head import Head
from babelfit.heads.labels import has_labels, has_own_labels, label_order

log = logging.getLogger(__name__)


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

    Without weights it is on the meta device, where parameters have sizes and no numbers, for callers that only count.

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
    has_others = pretrained and _has_other_labels(config, path=path, label_names=label_names, aliases=label_aliases)
    head.configure(config, label_names=label_names)
    if pretrained and not without_weights:
        # Weights are loaded into the shapes that they have.
        model = _with_new_parts(head, path, revision=revision, config=theirs if has_others else config)
        if has_others:
            names = ", ".join((theirs.id2label or {}).values())
            log.warning(
                "%s was fine-tuned on other labels (%s): its head is dropped, and a new one starts", path, names
            )
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


def _has_other_labels(
    config: PreTrainedConfig, *, path: str, label_names: Sequence[str], aliases: Mapping[str, str]
) -> bool:
    """Return whether a model was fine-tuned on other labels; raise UserError for the same ones in another order."""
    if not label_names or not has_own_labels(config):
        return False
    if not has_labels(config, label_names=label_names, aliases=aliases):
        return True
    if label_order(config, label_names=label_names, aliases=aliases) != list(range(len(label_names))):
        raise UserError(
            f"{path} has a head with the labels {list((config.id2label or {}).values())}; the data have "
            f"{list(label_names)}: reorder the model's outputs, or start from an encoder without head"
        )
    return False


def _with_new_parts(head: Head, path: str, *, revision: str | None, config: PreTrainedConfig) -> PreTrainedModel:
    """Load weights, of an encoder at least; what the folder does not have starts from random ones."""
    model, missing = _from_pretrained(head, path, revision=revision, config=config)
    encoders = [name for name in missing if name.startswith(f"{model.base_model_prefix}.")]
    # A pooler is a part of the head that stands in the encoder: masked language models are trained without.
    new_pooler = [name for name in encoders if ".pooler." in name]
    if len(encoders) > len(new_pooler):
        raise UserError(
            f"{path} has no weights for {len(encoders)} tensors of the encoder, such as {', '.join(encoders[:5])}"
        )
    if head.pretrained_for is not None and missing:
        log.warning(
            "%s has no head for %s, or only a part of one: what is missing starts from random weights",
            path,
            head.pretrained_for,
        )
    if new_pooler:
        log.warning("%s has no weights for its pooler: it starts from random ones, like the head", path)
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
    # What is missing is reported by the caller, in its own words.
    set_verbosity_error()
    disable_progress_bar()  # which lasts a fraction of a second
    folder = located(path, revision=revision, weights=True)
    check_shards(Path(folder))
    # An untrusted config may also name another file of weights than those that were looked at.
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
    head.ready(model, max_length=max_length)
