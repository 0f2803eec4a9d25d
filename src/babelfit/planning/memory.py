"""How much memory a prepared run needs, and what to change where it does not fit. How it is found: footprint.py."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import yaml
from transformers import PreTrainedModel

from babelfit.batches.ragged import RaggedBatch
from babelfit.config.schema import TrainConfig, TrainerConfig
from babelfit.config.values import WITHOUT_FSDP
from babelfit.devices.launch import check_devices
from babelfit.errors import UserError
from babelfit.finetuning.prepared import Prepared
from babelfit.heads import HEADS
from babelfit.planning import footprint
from babelfit.planning.footprint import Devices, Footprint, Heaviest, in_words


def devices_of(trainer: TrainerConfig) -> Devices:
    """Return what a run computes on."""
    kind = {"cpu": "cpu", "gpu": "cuda"}[check_devices(trainer)]
    return Devices(
        kind=kind,
        number=trainer.devices * trainer.num_nodes,
        sharing=trainer.devices if kind == "cpu" else 1,
        is_sharded=trainer.strategy == "fsdp",
        precision=str(trainer.precision),
        tokens=trainer.tokens_per_device,
    )


def model_without_weights(prepared: Prepared) -> PreTrainedModel:
    """Build the model to train on the meta device."""
    # Neither what is compiled nor what is nested runs on tensors without numbers; they hold much the same.
    trainer = replace(prepared.config.trainer, compile=False, attention="padded")
    return replace(prepared, config=replace(prepared.config, trainer=trainer)).model(without_weights=True)


def needed(prepared: Prepared, *, process: int) -> Footprint:
    """Return the memory of one device; `process` is what a process with these data holds by itself, in bytes."""
    data, devices = prepared.data, devices_of(prepared.config.trainer)
    evaluations = [_longest(prepared, split, languages=languages) for split, languages in prepared.scored.items()]
    return footprint.footprint(
        model_without_weights(prepared),
        whole=prepared.whole_model(without_weights=True),
        head=HEADS[prepared.config.head.name],
        heaviest=Heaviest(
            step=data.training_steps(num_ranks=devices.number).heaviest(num_steps=prepared.num_steps),
            validation=_longest(prepared, "validation", languages=data.validated_languages),
            evaluation=max(evaluations, key=lambda batch: batch.num_tokens),
        ),
        devices=devices,
        process=process if devices.kind == "cpu" else 0,
    )


def _longest(prepared: Prepared, split: str, *, languages: Sequence[str]) -> RaggedBatch:
    """Read the batch of the longest sequences."""
    batch: RaggedBatch = prepared.data.evaluation_dataloader(split, languages=languages).dataset[0]
    return batch


def changed(prepared: Prepared, *settings: str) -> Prepared:
    """Return the same run with other settings of encoder or trainer, written as for the command line."""
    config = prepared.config
    for setting in settings:
        key, _, value = setting.partition("=")
        section, _, field = key.partition(".")
        new: dict[str, Any] = {field: yaml.safe_load(value)}
        config = replace(config, **{section: replace(getattr(config, section), **new)})
    return replace(prepared, config=config)


def advice(prepared: Prepared, found: Footprint, *, process: int, free: int) -> Iterator[str]:
    """Yield lines that say what to change where a run does not fit, and how much it needs then; none where it fits."""
    sharing = devices_of(prepared.config.trainer).sharing
    if found.peak * sharing <= free:
        return
    processes = f" for {sharing} processes" if sharing > 1 else ""
    yield f"MEMORY: {in_words(found.peak * sharing)} needed{processes}, {in_words(free)} free. It does not fit."
    helpful, fits = [], False
    for setting in _cheaper(prepared.config):
        try:
            peak = needed(changed(prepared, setting), process=process).peak * sharing
        except UserError:
            continue  # not every encoder can do it
        if peak < found.peak * sharing:
            helpful.append(setting)
            fits = fits or peak <= free
            yield f"  with {setting}: {in_words(peak)}{', which fits' if peak <= free else ''}"
    if helpful and not fits:
        peak = needed(changed(prepared, *helpful), process=process).peak * sharing
        yield f"  with all of these: {in_words(peak)}{', which fits' if peak <= free else '; else a smaller encoder'}"
    elif not helpful:
        yield "  use a smaller encoder, or a device with more memory"


def _cheaper(config: TrainConfig) -> Iterator[str]:
    """Yield settings that save memory, first those that change no result (but, first of all, with weight decay)."""
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
