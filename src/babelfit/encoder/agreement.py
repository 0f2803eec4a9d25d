"""Whether an encoder without padding gives its own numbers: asked of every model when it is loaded, not assumed.

The reference is the model's own forward on one sequence at a time; what a model is for is no matter here.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import PreTrainedModel

from babelfit.batches.ragged import RaggedBatch
from babelfit.encoder import attention
from babelfit.encoder.encoder import (
    encode,
    encode_targets,
    leave_targets_alone,
    take_targets_alone,
    takes_token_types,
)
from babelfit.errors import UserError, first_line

TOLERANCE = 1e-4
"""Greatest difference, relative to the size of the outputs: rounding is far below, every real difference above."""

SHORT = 5
"""Tokens of the shorter probe; a batch of one length would not show what padding does."""

log = logging.getLogger(__name__)

Outputs = dict[str, torch.Tensor]

Logits = Callable[[PreTrainedModel, torch.Tensor], torch.Tensor]
"""What maps a model's hidden states, (rows, hidden), to its logits."""


@torch.no_grad()
def choose_attention(model: PreTrainedModel, *, logits: Logits, max_length: int) -> None:
    """Make a model's attention ragged if its outputs stay the same, else leave it and pad inside the encoder.

    Two random sequences decide, one of them `max_length` long, so that a window in the attention shows. Raises
    UserError where both ways differ from what the model itself gives.
    """
    with _evaluating(model):
        batch = _probe(model, lengths=[min(SHORT, max_length), max_length])
        expected = _own_outputs(model, batch)
        why = _ragged_difference(model, batch, logits=logits, expected=expected)
        if why is None:
            log.info("%s runs without padding", model.config.model_type)
            _try_targets_alone(model, batch, expected=expected)
            return
        difference = _difference(model, batch, logits=logits, expected=expected)
        if difference is not None:
            raise _refusal(model, f"in a padded batch, {difference}")
        log.info("%s runs with padding, inside the encoder alone: %s", model.config.model_type, why)


@torch.no_grad()
def assume_attention(model: PreTrainedModel, *, max_length: int) -> None:
    """Make a model's attention ragged if it runs so: without weights there are no outputs to compare."""
    if not model._supports_attention_backend:
        return
    batch = _probe(model, lengths=[min(SHORT, max_length), max_length]).to(model.device)
    own = model.config._attn_implementation
    model.set_attn_implementation(attention.name("auto"))
    if take_targets_alone(model) and not _runs(model, batch):
        leave_targets_alone(model)
    if not _runs(model, batch):
        model.set_attn_implementation(own)


def _runs(model: PreTrainedModel, batch: RaggedBatch) -> bool:
    try:
        encode_targets(model, batch)
    except Exception:
        # Any code of any model, as below.
        return False
    return True


def _refusal(model: PreTrainedModel, why: str) -> UserError:
    return UserError(
        f"encoder.path: {model.config.model_type} ({type(model).__name__}) works in a way that babelfit does not "
        f"follow: {why}. Choose another encoder"
    )


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout off, and leave the model's mode and the state of the random numbers as they were."""
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        model.train(was_training)


def _probe(model: PreTrainedModel, *, lengths: list[int]) -> RaggedBatch:
    """Make a batch of random sequences of random types, where the model has several, each with one padding token in it.

    Text may read like that token, and then it is no padding.
    """
    generator = torch.Generator().manual_seed(0)
    borders = torch.tensor([0, *lengths]).cumsum(0)
    num_tokens = int(borders[-1])
    ids = torch.randint(model.config.vocab_size - 1, (num_tokens,), generator=generator)
    padding = getattr(model.config, "pad_token_id", None)
    if padding is not None:
        ids += ids >= padding
        ids[borders[:-1] + min(lengths) // 2] = padding
    num_types = model.config.type_vocab_size if takes_token_types(model) else 1
    return RaggedBatch(
        input_ids=ids,
        token_type_ids=torch.randint(num_types, (num_tokens,), generator=generator),
        position_ids=torch.cat([torch.arange(length) for length in lengths]),
        cu_seqlens=borders,
        targets=borders[:-1],
        gold=torch.zeros(len(lengths), dtype=torch.long),
        indices=torch.arange(len(lengths)),
        languages=torch.zeros(len(lengths), dtype=torch.long),
        lengths=np.array(lengths),
    )


def _own_outputs(model: PreTrainedModel, batch: RaggedBatch) -> Outputs:
    """Run the model's own forward on each sequence alone; hidden states as (tokens, hidden)."""
    hidden: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    hook = model.base_model.register_forward_hook(lambda _, __, outputs: hidden.append(outputs[0][0]))
    sizes = batch.cu_seqlens.diff().tolist()
    try:
        for ids, types in zip(batch.input_ids.split(sizes), batch.token_type_ids.split(sizes), strict=True):
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            if takes_token_types(model):
                inputs["token_type_ids"] = types
            theirs = model(**{name: row.unsqueeze(0) for name, row in inputs.items()}).logits[0]
            # A row of logits for each token, of which some will do where a row is a whole vocabulary, or a single one.
            logits.append(theirs.reshape(-1, theirs.shape[-1])[:SHORT].clone())
    except Exception as error:
        raise _refusal(model, f"it cannot do without more than text ({first_line(error)})") from error
    finally:
        hook.remove()
    return {"hidden states": torch.cat(hidden), "logits": torch.cat(logits)}


def _ragged_difference(model: PreTrainedModel, batch: RaggedBatch, *, logits: Logits, expected: Outputs) -> str | None:
    """Make the attention ragged; return what then differs in words, and restore the model's own if anything does."""
    if not model._supports_attention_backend:
        return "transformers lets no other attention into it"
    own = model.config._attn_implementation
    model.set_attn_implementation(attention.name("auto"))
    difference = _difference(model, batch, logits=logits, expected=expected)
    if difference is not None:
        model.set_attn_implementation(own)
    return difference


def _try_targets_alone(model: PreTrainedModel, batch: RaggedBatch, *, expected: Outputs) -> None:
    """Compute in the highest layer what is read and no more, if the same comes out."""
    if not take_targets_alone(model):
        return
    try:
        rows = {"hidden states": encode_targets(model, batch)}
    except Exception:
        # Any code of any model, as below: here there is another way.
        leave_targets_alone(model)
        return
    if _first_unlike(rows, {"hidden states": expected["hidden states"][batch.targets]}) is not None:
        leave_targets_alone(model)


def _difference(model: PreTrainedModel, batch: RaggedBatch, *, logits: Logits, expected: Outputs) -> str | None:
    """Return in words where a model's outputs on our batches differ from the expected ones; None where they do not."""
    try:
        hidden = encode(model, batch)
        # As many of each sequence as there are.
        places = [torch.arange(len(expected["logits"]) // batch.num_sequences) + first for first in batch.targets]
        outputs = {"hidden states": hidden, "logits": logits(model, hidden[torch.cat(places)])}
    except Exception as error:
        # Any code of any model: what it raises on input that it was not made for cannot be listed.
        return first_line(error)
    return _first_unlike(outputs, expected)


def _first_unlike(outputs: Outputs, expected: Outputs) -> str | None:
    for name, ours in outputs.items():
        if ours.shape != expected[name].shape:
            return f"its {name} are {tuple(ours.shape)} instead of {tuple(expected[name].shape)}"
        # Weights that have diverged are reported elsewhere; here they compute the same as by themselves.
        ours, theirs = (states.nan_to_num(0.0, 0.0, 0.0) for states in (ours, expected[name]))
        relative = float((ours - theirs).norm(dim=-1).max() / theirs.norm(dim=-1).max().clamp(min=1e-30))
        if relative > TOLERANCE:
            return f"its {name} differ by {relative:.2g} of their size"
    return None
