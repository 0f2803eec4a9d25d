"""From a path to a model with a head, ready for ragged batches; what it computes is not here."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from babelfit.encoder.encoder import max_tokens
from babelfit.encoder.loading import load_config, located
from babelfit.encoder.model_files import AGAIN, WRAPPER, reading, weight_files
from babelfit.errors import UserError
from babelfit.files import hub
from babelfit.heads import stored
from babelfit.heads.head import Head
from babelfit.heads.labels import has_own_labels, label_order
from babelfit.heads.stored import Stored

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
    fits = pretrained and _fits(head, config, path=path, label_names=label_names, aliases=label_aliases)
    is_named, names = has_own_labels(config), [str(name) for name in (config.id2label or {}).values()]
    head.configure(config, label_names=label_names)
    with torch.random.fork_rng(devices=[]):
        model = _built(head, config, path=path, overrides=overrides, on_meta=True)
    _check_length(model, path=path, max_length=max_length)
    if pretrained:
        folder = Path(located(path, revision=revision, weights=not without_weights))
        if without_weights and hub.is_snapshot(str(folder)) and not weight_files(folder, path=path):
            known = Stored(wrapper="", has_head=False)  # they are not downloaded to be counted
        else:
            known = stored.compare(model, folder, path=path, keeps_head=fits)
    if not pretrained and not without_weights:
        model = _built(head, config, path=path, overrides=overrides, on_meta=False)
    if pretrained and not without_weights:
        is_dropped = not fits and (is_named or known.has_head)
        with torch.random.fork_rng(devices=[]) if is_dropped else nullcontext():
            model = _with_new_parts(head, folder, path=path, config=config, known=known, keeps_head=fits)
        if is_dropped:
            _warn_of_dropped(path, names=names, is_named=is_named)
            tuned = model.base_model.state_dict()
            model = _built(head, config, path=path, overrides=overrides, on_meta=False)
            model.base_model.load_state_dict(tuned)
    with _naming(path):
        head.ready(model, max_length=max_length)
    # from_pretrained switches dropout off, and the Trainer leaves that as it finds it.
    model.train()
    return model


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Say of which model it is that something is wrong."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _fits(
    head: Head, config: PreTrainedConfig, *, path: str, label_names: Sequence[str], aliases: Mapping[str, str]
) -> bool:
    """Return whether a model's head can go on; raise UserError for one of the same labels in another order."""
    if not head.fits(config, label_names=label_names, aliases=aliases):
        return False
    order = list(range(len(label_names)))
    if label_names:
        with _naming(path):
            order = label_order(config, label_names=label_names, aliases=aliases)
    if order != list(range(len(label_names))):
        raise UserError(
            f"{path} has a head with the labels {list((config.id2label or {}).values())}; the data have "
            f"{list(label_names)}: reorder the model's outputs, or start from an encoder without head"
        )
    return True


def _built(
    head: Head, config: PreTrainedConfig, *, path: str, overrides: Mapping[str, Any], on_meta: bool
) -> PreTrainedModel:
    """Build a model from its config; raise UserError for fields that are right one by one and do not fit together."""
    what = f"encoder.overrides={dict(overrides)}" if overrides else f"{path}: its config.json describes no model"
    then = "change them" if overrides else "correct it, or copy or download it again"
    with reading(what, then=then), torch.device("meta") if on_meta else nullcontext():
        model: PreTrainedModel = head.model_class.from_config(config, dtype=torch.float32, trust_remote_code=False)
    return model


def _warn_of_dropped(path: str, *, names: Sequence[str], is_named: bool) -> None:
    if is_named:
        log.warning(
            "%s was fine-tuned on other labels (%s): its head is dropped, and a new one starts", path, ", ".join(names)
        )
        return
    log.warning(
        "%s has a head for %s without names, and nobody knows what they are: it is dropped, and a new one starts. To "
        "go on with it, name them in its config.json (id2label, label2id)",
        path,
        "1 output" if len(names) == 1 else f"{len(names)} outputs",
    )


def _with_new_parts(
    head: Head, folder: Path, *, path: str, config: PreTrainedConfig, known: Stored, keeps_head: bool
) -> PreTrainedModel:
    """Load weights, of an encoder at least; what the folder does not have starts from random ones."""
    model, missing = _from_pretrained(head, folder, path=path, config=config, known=known, keeps_head=keeps_head)
    # A pooler is a part of the head that stands in the encoder: masked language models are trained without.
    new_pooler = [name for name in missing if ".pooler." in name]
    if head.pretrained_for is not None and missing:
        log.warning(
            "%s has no head for %s, or only a part of one: what is missing starts from random weights",
            path,
            head.pretrained_for,
        )
    if new_pooler:
        log.warning("%s has no weights for its pooler: it starts from random ones, like the head", path)
    return model


def check_fine_tuned(
    head: Head, path: str, *, label_names: Sequence[str], label_aliases: Mapping[str, str], max_length: int
) -> None:
    """Raise UserError where a model's config and the names of its weights say that it is none for these labels."""
    config = load_config(path, overrides={})
    if label_names:
        with _naming(path):
            label_order(config, label_names=label_names, aliases=label_aliases)
    elif not head.fits(config, label_names=label_names, aliases=label_aliases):
        names = ", ".join(str(name) for name in (config.id2label or {}).values())
        raise UserError(
            f"{path} has a head of {config.num_labels} outputs ({names}, problem_type {config.problem_type}), and the "
            "data ask for one number: fine-tune it on them first, or give a model of one output"
        )
    with torch.random.fork_rng(devices=[]):
        model = _built(head, config, path=path, overrides={}, on_meta=True)
    _check_length(model, path=path, max_length=max_length)
    known = stored.compare(model, Path(located(path, weights=True)), path=path, keeps_head=True)
    if not known.has_head:
        parts = [name for name in model.state_dict() if not name.startswith(f"{model.base_model_prefix}.")]
        raise UserError(f"{path} has no trained head (no weights for {', '.join(parts)}): fine-tune it first")


def load_fine_tuned(head: Head, path: str, *, max_length: int) -> PreTrainedModel:
    """Load a Hugging Face model with its trained head; raises UserError where a part of it has no weights."""
    config = load_config(path, overrides={})
    folder = Path(located(path, weights=True))
    with torch.random.fork_rng(devices=[]):
        model = _built(head, config, path=path, overrides={}, on_meta=True)
    _check_length(model, path=path, max_length=max_length)
    known = stored.compare(model, folder, path=path, keeps_head=True)
    model, missing = _from_pretrained(head, folder, path=path, config=config, known=known, keeps_head=True)
    if missing:
        raise UserError(f"{path} has no trained head (no weights for {', '.join(missing)}): fine-tune it first")
    with _naming(path):
        head.ready(model, max_length=max_length)
    return model


def _from_pretrained(
    head: Head, folder: Path, *, path: str, config: PreTrainedConfig, known: Stored, keeps_head: bool
) -> tuple[PreTrainedModel, list[str]]:
    """Load weights, of an encoder at least; say which ones of the head the folder has not."""
    # What is missing is reported by the caller, in its own words.
    set_verbosity_error()
    disable_progress_bar()  # which lasts a fraction of a second
    if known.wrapper:
        log.info("%s: the names of all weights begin with %s, and are read without it", path, known.wrapper)
    if known.left_out:
        log.warning(
            "%s has %d tensors of layers that its config.json lacks, such as %s: they are left out (num_hidden_layers)",
            path,
            len(known.left_out),
            known.left_out[0],
        )
    with reading(f"no weights for {path}", then=AGAIN):
        model, report = head.model_class.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
            # A head that is dropped may have any size; all else has been compared.
            ignore_mismatched_sizes=not keeps_head,
            key_mapping={f"^{WRAPPER.pattern}": ""} if known.wrapper else None,
        )
    if known.wrapper:
        # By which save_pretrained() would put it before the names again.
        vars(model).pop("_weight_conversions", None)
    missing = sorted(report["missing_keys"])
    of_encoder = [name for name in missing if name.startswith(f"{model.base_model_prefix}.")]
    if any(".pooler." not in name for name in of_encoder):
        raise UserError(
            f"{path} has no weights for {len(of_encoder)} tensors of the encoder, such as {', '.join(of_encoder[:5])}: "
            f"{AGAIN}, or correct its config.json"
        )
    return model, missing


def _check_length(model: PreTrainedModel, *, path: str, max_length: int) -> None:
    """Raise UserError where sequences may be longer than a model takes."""
    longest = max_tokens(model)
    if longest is not None and max_length > longest:
        raise UserError(f"data.max_length={max_length}: {path} takes at most {longest} tokens")
