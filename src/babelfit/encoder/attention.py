"""Attention over a ragged batch, registered with transformers by name; knows nothing of models or data.

Everything else in an encoder works row by row, so only attention needs to know where a sequence ends. Two kernels:

- padded: sequences of similar length together in a rectangle, each such rectangle by itself. Runs anywhere.
- nested: torch's jagged tensors, whose kernels for GPUs (flash, and memory-efficient in 32 bits) take sequences of any
  length and do dropout. On a CPU torch computes them sequence by sequence, which is slow.

`auto` takes nested on a GPU, but in 64 bits, and padded elsewhere.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch.nested import nested_tensor_from_jagged
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from babelfit.encoder.dropout import dropped

KERNELS = ("auto", "padded", "nested")

SIMILAR = 0.75
"""Sequences go into one rectangle until the shortest is less than this share of the longest."""

WITHOUT_EFFECT = ("position_ids", "deterministic", "use_cache")
"""Arguments that models hand to their attention and that change nothing here: positions are in the rows already."""


class NotRaggedError(Exception):
    """A model asks something of its attention that is not done on ragged batches."""


def name(kernel: str) -> str:
    """Return the name under which transformers knows the attention with this kernel."""
    return f"babelfit_ragged_{kernel}"


NAMES = {name(kernel) for kernel in KERNELS}


@dataclass(frozen=True, kw_only=True)
class Rectangle:
    """Some sequences of a ragged batch that follow each other, and where their tokens lie when they are padded."""

    slots: torch.Tensor  # (tokens of these sequences,): the row of each in a (sequences * longest) rectangle
    mask: torch.Tensor  # (sequences, longest): true where there is a token

    def padded(self, rows: torch.Tensor, *, filler: int = 0) -> torch.Tensor:
        """Turn (tokens of these sequences, ...) into (sequences, longest, ...)."""
        rectangle = rows.new_full((self.mask.numel(), *rows.shape[1:]), filler)
        return rectangle.index_copy_(0, self.slots, rows).view(*self.mask.shape, *rows.shape[1:])

    def ragged(self, rectangle: torch.Tensor) -> torch.Tensor:
        """Turn (sequences, longest, ...) into (tokens of these sequences, ...)."""
        return rectangle.flatten(0, 1)[self.slots]


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Where the sequences of a ragged batch begin and end; the same for every layer, so made once."""

    lengths: np.ndarray[Any, Any]  # (sequences,), on the host: a GPU would have to be waited for
    cu_seqlens: torch.Tensor  # (sequences + 1,)
    targets: torch.Tensor | None = None  # (targets,): the only tokens that are read in the end; None: all are

    @cached_property
    def rectangles(self) -> list[Rectangle]:
        """Put sequences of similar length together, as they follow each other; batches come longest first."""
        begin, shortest, longest = 0, self.lengths[0], self.lengths[0]
        rectangles = []
        for place, length in enumerate(self.lengths):
            shortest, longest = min(shortest, length), max(longest, length)
            if shortest < SIMILAR * longest:
                rectangles.append(self._rectangle(begin, place))
                begin, shortest, longest = place, length, length
        return [*rectangles, self._rectangle(begin, len(self.lengths))]

    @cached_property
    def whole(self) -> Rectangle:
        """Put all sequences together."""
        return self._rectangle(0, len(self.lengths))

    def _rectangle(self, begin: int, end: int) -> Rectangle:
        longest = int(self.lengths[begin:end].max())
        tokens = slice(int(self.lengths[:begin].sum()), int(self.lengths[:end].sum()))
        lengths = self.cu_seqlens[begin : end + 1].diff()
        rows = torch.repeat_interleave(lengths, output_size=tokens.stop - tokens.start)
        # Not by their positions, which may begin again within a sequence.
        places = torch.arange(tokens.start, tokens.stop, device=lengths.device) - self.cu_seqlens[begin:end][rows]
        return Rectangle(
            slots=rows * longest + places,
            mask=torch.arange(longest, device=lengths.device) < lengths.unsqueeze(1),
        )


@torch.compiler.disable
def ragged_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    kernel: str,
    scaling: float | None = None,
    borders: Borders | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each sequence of a ragged batch.

    Query, key and value are (1, heads, tokens, size), the output is (1, tokens, heads, size). Raises NotRaggedError for
    all that would change the outcome. It is not compiled: it would be anew for each division into rectangles.
    """
    if borders is None:
        raise NotRaggedError("it does not pass the borders of the sequences to its attention")
    if attention_mask is not None:
        raise NotRaggedError("it adds a mask or a bias to the attention scores")
    if getattr(module, "is_causal", False):
        raise NotRaggedError("its attention is causal")
    asked = [
        name
        for name, option in options.items()
        if name not in WITHOUT_EFFECT and option is not None and option is not False
    ]
    if asked:
        raise NotRaggedError(f"it has {', '.join(asked)} as options of its attention")
    if kernel == "auto":
        kernel = "nested" if query.is_cuda and query.dtype != torch.float64 else "padded"
    attend = _nested if kernel == "nested" else _padded
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))  # (tokens, heads, size)
    return attend(query, key, value, borders=borders, dropout=dropout, scaling=scaling).unsqueeze(0), None


def _padded(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    borders: Borders,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attend in rectangles; rows of padding are never read back."""
    attended = []
    # Split rather than sliced, because of each slice the backward pass would make a gradient as large as the batch.
    sizes = [len(rectangle.slots) for rectangle in borders.rectangles]
    parts = (rows.split(sizes) for rows in (query, key, value))
    for rectangle, *states in zip(borders.rectangles, *parts, strict=True):
        q, k, v = (rectangle.padded(rows).transpose(1, 2) for rows in states)
        mask = rectangle.mask[:, None, None, :]
        if dropout and not query.is_cuda:
            outputs = _with_dropout(q, k, v, mask=mask, dropout=dropout, scaling=scaling)
        else:
            outputs = scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scaling)
        attended.append(rectangle.ragged(outputs.transpose(1, 2)))
    return torch.cat(attended)


def _with_dropout(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    mask: torch.Tensor,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attend by the formula (Vaswani et al. 2017, equation 1), which is what torch does on a CPU with dropout, too."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query * scale) @ key.transpose(-2, -1)
    shares = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return dropped(shares, rate=dropout).to(value.dtype) @ value


def _nested(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    borders: Borders,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attend by kernels that take the sequences as they are."""
    shortest, longest = int(borders.lengths.min()), int(borders.lengths.max())

    def jagged(rows: torch.Tensor) -> torch.Tensor:
        # The kernels are refused, or slow, where rows lie otherwise.
        rows = rows.contiguous()
        sequences = nested_tensor_from_jagged(rows, borders.cu_seqlens, min_seqlen=shortest, max_seqlen=longest)
        return sequences.transpose(1, 2)

    attended = scaled_dot_product_attention(jagged(query), jagged(key), jagged(value), dropout_p=dropout, scale=scaling)
    return attended.transpose(1, 2).values()


def _no_mask(*_: Any, **__: Any) -> None:
    """Build no attention mask: the borders travel beside the batch."""


def _register(kernel: str) -> None:
    AttentionInterface.register(name(kernel), partial(ragged_attention, kernel=kernel))
    AttentionMaskInterface.register(name(kernel), _no_mask)


for _kernel in KERNELS:
    _register(_kernel)
