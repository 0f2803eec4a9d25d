"""Attention over a ragged batch, registered with transformers by name; knows nothing of models or data.

Everything else in an encoder works row by row, so only attention needs to know where a sequence ends.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

NAME = "babelfit_ragged"

WITHOUT_EFFECT = ("position_ids", "deterministic", "use_cache")
"""Arguments that models hand to their attention and that change nothing here: positions are in the rows already."""


class NotRaggedError(Exception):
    """A model asks something of its attention that is not done on ragged batches."""


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Where the sequences of a ragged batch lie in a padded rectangle; the same for every layer, so made once."""

    slots: torch.Tensor  # (tokens,): the row of token t in a (sequences * longest) rectangle
    mask: torch.Tensor  # (sequences, longest): true where there is a token

    @classmethod
    def of(cls, cu_seqlens: torch.Tensor, position_ids: torch.Tensor, *, longest: int) -> "Borders":
        """Lay out sequences with the given borders, 0-based positions and greatest length."""
        lengths = cu_seqlens.diff()
        sequence_of_token = torch.repeat_interleave(lengths, output_size=position_ids.numel())
        mask = torch.arange(longest, device=lengths.device) < lengths.unsqueeze(1)
        return cls(slots=sequence_of_token * longest + position_ids, mask=mask)

    def padded(self, rows: torch.Tensor, *, filler: int = 0) -> torch.Tensor:
        """Turn (tokens, ...) into (sequences, longest, ...)."""
        rectangle = rows.new_full((self.mask.numel(), *rows.shape[1:]), filler)
        return rectangle.index_copy(0, self.slots, rows).view(*self.mask.shape, *rows.shape[1:])

    def ragged(self, rectangle: torch.Tensor) -> torch.Tensor:
        """Turn (sequences, longest, ...) into (tokens, ...)."""
        return rectangle.flatten(0, 1)[self.slots]


def ragged_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    borders: Borders | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each sequence of a ragged batch.

    Query, key and value are (1, heads, tokens, size), the output is (1, tokens, heads, size). Only these are padded,
    and only here; rows of padding are never read back. Raises NotRaggedError for all that would change the outcome.
    """
    if borders is None:
        raise NotRaggedError("it keeps the borders of the sequences from its attention")
    if attention_mask is not None:
        raise NotRaggedError("it adds to the attention scores")
    if getattr(module, "is_causal", False):
        raise NotRaggedError("its tokens see only those before them")
    asked = [
        name
        for name, option in options.items()
        if name not in WITHOUT_EFFECT and option is not None and option is not False
    ]
    if asked:
        raise NotRaggedError(f"it has {', '.join(asked)} in its attention")
    query, key, value = (borders.padded(states[0].transpose(0, 1)).transpose(1, 2) for states in (query, key, value))
    attended = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=borders.mask[:, None, None, :],
        dropout_p=dropout,
        scale=scaling,
    )  # (sequences, heads, longest, size)
    return borders.ragged(attended.transpose(1, 2)).unsqueeze(0), None


def _no_mask(*_: Any, **__: Any) -> None:
    """Build no attention mask: the borders travel beside the batch."""


AttentionInterface.register(NAME, ragged_attention)
AttentionMaskInterface.register(NAME, _no_mask)
