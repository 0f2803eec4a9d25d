"""Attention over a ragged batch, registered with transformers by name; knows nothing of models or data.

Everything else in an encoder works row by row, so only attention needs to know where a sequence ends.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "babelfit_ragged"


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Where the sequences of a ragged batch lie in a padded rectangle; the same for every layer, so made once."""

    slots: torch.Tensor  # (tokens,): the row of token t in a (sequences * longest) rectangle
    mask: torch.Tensor  # (sequences, 1, 1, longest): true where a key is a token

    @classmethod
    def of(cls, cu_seqlens: torch.Tensor, position_ids: torch.Tensor, *, longest: int) -> "Borders":
        """Lay out sequences with the given borders, 0-based positions and greatest length."""
        lengths = cu_seqlens.diff()
        sequence_of_token = torch.repeat_interleave(lengths, output_size=position_ids.numel())
        mask = torch.arange(longest, device=lengths.device) < lengths.unsqueeze(1)
        return cls(slots=sequence_of_token * longest + position_ids, mask=mask[:, None, None, :])


def ragged_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    borders: Borders,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each sequence of a ragged batch.

    Query, key and value are (1, heads, tokens, size), the output is (1, tokens, heads, size). Only these are padded,
    and only here; rows of padding are never read back.
    """
    sequences, longest = borders.mask.shape[0], borders.mask.shape[-1]

    def padded(states: torch.Tensor) -> torch.Tensor:
        rows = states[0].transpose(0, 1)  # (tokens, heads, size)
        rectangle = rows.new_zeros(sequences * longest, *rows.shape[1:])
        rectangle = rectangle.index_copy(0, borders.slots, rows)
        return rectangle.view(sequences, longest, *rows.shape[1:]).transpose(1, 2)

    attended = scaled_dot_product_attention(
        padded(query),
        padded(key),
        padded(value),
        attn_mask=borders.mask,
        dropout_p=dropout,
        scale=scaling,
    )  # (sequences, heads, longest, size)
    rows = attended.transpose(1, 2).flatten(0, 1)[borders.slots]
    return rows.unsqueeze(0), None


def _no_mask(*_: Any, **__: Any) -> None:
    """Build no attention mask: the borders travel beside the batch."""


AttentionInterface.register(NAME, ragged_attention)
AttentionMaskInterface.register(NAME, _no_mask)
