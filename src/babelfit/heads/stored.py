"""Whether the weights in a folder are those of a model, by names and shapes alone: known before a number is read."""

import re
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from babelfit.encoder.model_files import AGAIN, WEIGHTS, Shapes, stored_shapes, weight_files, wrapper_of
from babelfit.errors import UserError

RENAMED = ((".gamma", ".weight"), (".beta", ".bias"))
"""How norms were called before, which transformers still reads."""

NAMED = 3
"""So many tensors are named where there are many."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What is known of a folder's weights for a model."""

    wrapper: str  # what stands before all names; "" where nothing does
    has_head: bool  # a tensor of it at least, of whatever size
    left_out: tuple[str, ...] = ()  # of layers that the model does not have


def compare(model: PreTrainedModel, folder: Path, *, path: str, keeps_head: bool) -> Stored:
    """Compare a folder's weights with a model, which may be on the meta device.

    Raises UserError where there are none, or where they are of another encoder, or of another size: a head may have any
    that is not kept.
    """
    if not weight_files(folder, path=path):
        raise UserError(f"no weights for {path}: it has neither {WEIGHTS[0][0]} nor {WEIGHTS[1][0]}; {AGAIN}")
    stored = stored_shapes(folder, path=path)
    wrapper = wrapper_of(stored)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    prefix = f"{model.base_model_prefix}."
    found = _found({name.removeprefix(wrapper): shape for name, shape in stored.items()}, expected, prefix=prefix)
    encoder = {name for name in expected if _is_encoder(name, prefix=prefix)}
    if encoder and not encoder & found.keys():
        raise UserError(
            f"{path} has no weights for the encoder that its config.json describes ({model.config.model_type}): its "
            f"tensors are called {_some(stored)}, where {_some(sorted(encoder))} are expected. Correct model_type, or "
            "give a folder that save_pretrained() wrote"
        )
    for name, shape in sorted(found.items()):
        if shape != expected[name] and (keeps_head or name in encoder):
            raise UserError(
                f"{path}: its weights have {name} as {_size(shape)}, and by its config.json it is "
                f"{_size(expected[name])}: {AGAIN}, both files from one place"
            )
    plain = {name.removeprefix(wrapper).removeprefix(prefix) for name in stored}
    alike = {_of_any_layer(name.removeprefix(prefix)) for name in expected}
    known = {name.removeprefix(prefix) for name in found}
    return Stored(
        wrapper=wrapper,
        has_head=any(not name.startswith(prefix) for name in found),
        left_out=tuple(sorted(name for name in plain - known if _of_any_layer(name) in alike)),
    )


def _found(stored: Shapes, expected: Shapes, *, prefix: str) -> Shapes:
    """Return the shapes that are stored of the expected tensors, under whichever of their names."""
    found = {}
    for name, shape in stored.items():
        for old, new in RENAMED:
            name = f"{name.removesuffix(old)}{new}" if name.endswith(old) else name
        for one in (name, f"{prefix}{name}", name.removeprefix(prefix)):
            if one in expected:
                found[one] = shape
                break
    return found


def _of_any_layer(name: str) -> str:
    """Return a tensor's name without the number of its layer."""
    return re.sub(r"\.[0-9]+\.", ".#.", name)


def _is_encoder(name: str, *, prefix: str) -> bool:
    """Return whether a tensor is the encoder's, less its pooler, which is a part of the head that stands there."""
    return name.startswith(prefix) and ".pooler." not in name


def _some(names: list[str] | Shapes) -> str:
    some = list(names)[:NAMED]
    return ", ".join(some) + (", ..." if len(names) > NAMED else "") or "nothing"


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
