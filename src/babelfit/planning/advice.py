"""What to change where a run does not fit into memory, and what it would need then."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from babelfit.config.schema import TrainConfig
from babelfit.config.values import WITHOUT_FSDP
from babelfit.errors import UserError
from babelfit.planning.footprint import Footprint, in_words

if TYPE_CHECKING:
    from babelfit.planning.plan import Plan


def memory_advice(planned: "Plan", found: Footprint, *, free: int) -> Iterator[str]:
    """Say what to change where a run does not fit, and how much it needs then."""
    sharing = planned.num_sharing
    if found.peak * sharing <= free:
        return
    processes = f" for {sharing} processes" if sharing > 1 else ""
    yield f"MEMORY: {in_words(found.peak * sharing)} needed{processes}, {in_words(free)} free. It does not fit."
    helpful, fits = [], False
    for change in _cheaper(planned.config):
        try:
            peak = planned.changed(change).footprint().peak * sharing
        except UserError:
            continue  # not every encoder can do it
        if peak < found.peak * sharing:
            helpful.append(change)
            fits = fits or peak <= free
            yield f"  with {change}: {in_words(peak)}{', which fits' if peak <= free else ''}"
    if helpful and not fits:
        peak = planned.changed(*helpful).footprint().peak * sharing
        yield f"  with all of these: {in_words(peak)}{', which fits' if peak <= free else '; else a smaller encoder'}"
    elif not helpful:
        yield "  use a smaller encoder, or a device with more memory"


def _cheaper(config: TrainConfig) -> Iterator[str]:
    """Name settings that take less memory, first those that change no result (but, first of all, with weight decay)."""
    if config.encoder.vocabulary == "full":
        yield "encoder.vocabulary=active"
    fewer = config.trainer.tokens_per_device // 4
    if fewer >= config.data.max_length:
        yield f"trainer.tokens_per_device={fewer}"
    if not config.encoder.gradient_checkpointing:
        yield "encoder.gradient_checkpointing=true"
    has_several = config.trainer.devices * config.trainer.num_nodes > 1
    if has_several and config.trainer.strategy != "fsdp" and config.trainer.precision not in WITHOUT_FSDP:
        yield "trainer.strategy=fsdp"
    if config.trainer.precision == "32-true":
        yield "trainer.precision=bf16-mixed"
    if not config.encoder.freeze_embeddings:
        yield "encoder.freeze_embeddings=true"
