"""Encoders on batches without padding: hidden states, and which parameters lie how deep. Knows no task and no data.

Where an encoder's attention cannot be ragged, the batch is padded inside `encode`, and nobody else need know.
"""

import inspect
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from babelfit.batches.ragged import RaggedBatch
from babelfit.encoder import attention
from babelfit.errors import UserError


def padding_id(model: PreTrainedModel) -> int:
    """Return the id that fills up rectangles; any will do, because nothing reads it."""
    return getattr(model.config, "pad_token_id", None) or 0


TARGETS_ALONE = "_babelfit_targets_alone"
"""Name of a model's attribute: there where its highest layer computes targets alone when asked."""


def encode(model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
    """Run an encoder on a ragged batch: hidden states as (tokens, hidden)."""
    return _hidden(model, batch, targets=None)


def encode_targets(model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
    """Run an encoder for what is read of a ragged batch: hidden states of the targets, (targets, hidden)."""
    if not getattr(model, TARGETS_ALONE, False):
        return encode(model, batch)[batch.targets]
    return _hidden(model, batch, targets=batch.targets)


def _hidden(model: PreTrainedModel, batch: RaggedBatch, *, targets: torch.Tensor | None) -> torch.Tensor:
    rows = {"input_ids": batch.input_ids}
    if takes_token_types(model):
        rows["token_type_ids"] = batch.token_type_ids
    borders = attention.Borders(lengths=batch.lengths, cu_seqlens=batch.cu_seqlens, targets=targets)
    hidden: torch.Tensor
    if is_ragged(model):
        rows["position_ids"] = _positions(model, batch)
        (hidden,) = model.base_model(**{name: row.unsqueeze(0) for name, row in rows.items()}, borders=borders)[0]
        return hidden
    # Positions are left to the model, which may count them from the padding.
    padding = padding_id(model)
    whole = borders.whole
    padded = {name: whole.padded(row, filler=padding if name == "input_ids" else 0) for name, row in rows.items()}
    hidden = model.base_model(**padded, attention_mask=whole.mask.long())[0]
    return whole.ragged(hidden)


def _positions(model: PreTrainedModel, batch: RaggedBatch) -> torch.Tensor:
    """Return each token's row in the position table, as the model itself would count: (tokens,).

    RoBERTa's kind counts no padding, and text may read like the padding token: that stands where padding does, and what
    follows it counts on as if it were not there.
    """
    first = _first_position(model)
    positions: torch.Tensor = batch.position_ids
    if not first:
        return positions
    # The position table has padding where the embeddings of tokens have it.
    is_padding = (batch.input_ids == first - 1).long()
    so_far = is_padding.cumsum(0)
    # Before the token at which counting began: a batch has many sequences, and a sequence may begin again within.
    begins = torch.arange(len(so_far), device=so_far.device) - positions
    inside = so_far - (so_far - is_padding)[begins]
    return torch.where(is_padding.bool(), first - 1, positions - inside + first)


def take_targets_alone(model: PreTrainedModel) -> bool:
    """Let a model's highest layer compute, after its attention, the targets alone, which is what a head reads.

    Of a layer's operations, those are two thirds. Returns whether there is such a place; that nothing else comes out is
    for the caller to check, and to undo with `leave_targets_alone`.
    """
    place = getattr(layers(model)[-1], "attention", None) if layers(model) else None
    if not isinstance(place, torch.nn.Module):
        return False
    handle = place.register_forward_hook(_targets_alone, with_kwargs=True)
    setattr(model, TARGETS_ALONE, handle)
    return True


def leave_targets_alone(model: PreTrainedModel) -> None:
    """Let the highest layer compute all tokens again."""
    getattr(model, TARGETS_ALONE).remove()
    delattr(model, TARGETS_ALONE)


def _targets_alone(_: torch.nn.Module, __: Any, options: dict[str, Any], outputs: Any) -> Any:
    borders = options.get("borders")
    if borders is None or borders.targets is None:
        return outputs
    return outputs[0][:, borders.targets], *outputs[1:]


def is_ragged(model: PreTrainedModel) -> bool:
    """Return whether a model's attention takes batches without padding."""
    return model.config._attn_implementation in attention.NAMES


def choose_kernels(model: PreTrainedModel, *, attention_kernel: str, compiled: bool) -> None:
    """Choose what computes a model's layers, in training and evaluation alike."""
    use_kernel(model, attention_kernel)
    if compiled:
        compile_layers(model)


def use_kernel(model: PreTrainedModel, kernel: str) -> None:
    """Choose what computes a ragged model's attention; one that is padded inside keeps its own."""
    if is_ragged(model):
        model.set_attn_implementation(attention.name(kernel))


def layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Return a model's layers, lowest first."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def compile_layers(model: PreTrainedModel) -> None:
    """Compile a model's layers, each alike and for any number of tokens, so that it is done once for all of them."""
    if not layers(model):
        raise UserError(
            f"trainer.compile=true: {model.config.model_type} has no layers that can be compiled; set it to false"
        )
    # The highest layer may compute targets alone, which torch does not look at when it takes what is compiled for
    # another; attention, which is not compiled, parts what they share from what they do not.
    for layer in layers(model):
        layer.compile(dynamic=True)


def takes_token_types(model: PreTrainedModel) -> bool:
    """Return whether a model has more than one token type; to the others a tokenizer's types mean nothing."""
    return (getattr(model.config, "type_vocab_size", None) or 0) > 1 and "token_type_ids" in inspect.signature(
        model.base_model.forward
    ).parameters


def max_tokens(model: PreTrainedModel) -> int | None:
    """Return how many tokens a sequence may have; None where the model sets no bound."""
    table = _position_table(model)
    if table is not None:
        return table.num_embeddings - _first_position(model)
    length: int | None = getattr(model.config, "max_position_embeddings", None)
    return length


def _first_position(model: PreTrainedModel) -> int:
    """Return the first token's row in the position table: RoBERTa's kind keeps rows up to the padding's."""
    table = _position_table(model)
    return 0 if table is None or table.padding_idx is None else table.padding_idx + 1


def _position_table(model: PreTrainedModel) -> torch.nn.Embedding | None:
    """Return the table of absolute positions; None for rotary and relative positions."""
    tables = (module for name, module in model.base_model.named_modules() if name.endswith("position_embeddings"))
    return next((table for table in tables if isinstance(table, torch.nn.Embedding)), None)


def depths(model: PreTrainedModel) -> dict[str, int]:
    """Return the depth of each parameter, by name: 0 for embeddings, 1 for the lowest layer, and so on.

    What stands above the highest layer shares the number after it: a last norm, the pooler and the head. Raises
    UserError where the model has no stack of layers.
    """
    stack, num_layers = _layers(model)
    # A masked language model has its embeddings in its head as well, and maybe by that name alone.
    embeddings = list(model.get_input_embeddings().parameters())

    def depth(name: str, parameter: torch.nn.Parameter) -> int:
        if name.startswith(stack):
            return int(name.removeprefix(stack).partition(".")[0]) + 1
        is_embedding = any(part.endswith("embeddings") for part in name.split("."))
        return 0 if is_embedding or any(parameter is one for one in embeddings) else num_layers + 1

    return {name: depth(name, parameter) for name, parameter in model.named_parameters()}


def _layers(model: PreTrainedModel) -> tuple[str, int]:
    """Return the stack of layers: the prefix of its parameters' names, and how many layers it has."""
    num_layers = int(getattr(model.config, "num_hidden_layers", 0))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == num_layers:
            return f"{name}.", num_layers
    raise UserError(
        f"{model.config.model_type} has no stack of {num_layers} layers: leave encoder.freeze_layers at 0, "
        "encoder.freeze_embeddings at false and optimization.layer_decay at 1.0"
    )
