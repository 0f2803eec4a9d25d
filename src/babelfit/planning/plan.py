"""What a run of a configuration would read, do, hold and write, and how long it would take; trains nothing.

Rows are read and tokenized as for the run itself; weights are neither loaded nor downloaded, but for the probe of the
time, and nothing is written to outputs/. How memory is found: memory.py; how time is: probe.py.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from transformers import PreTrainedModel

from babelfit.batches import mixing
from babelfit.changes import vocabulary
from babelfit.config.schema import TrainConfig
from babelfit.encoder.encoder import depths
from babelfit.errors import UserError
from babelfit.files.escaping import printable
from babelfit.finetuning.prepared import Prepared, prepare
from babelfit.planning import footprint, memory
from babelfit.planning import probe as probing
from babelfit.planning.footprint import Devices, Footprint, in_words
from babelfit.reports import sheets
from babelfit.reports.sheets import OnTerminal, Sheet
from babelfit.rows import leaks
from babelfit.run.run import OUTPUTS

log = logging.getLogger(__name__)

KEPT_BESIDES_THE_BEST = 3
"""Checkpoints on the disk while one is written: that one, the last, and the one before it."""


def plan(config: TrainConfig, *, probe: bool) -> None:
    """Print what a run of this configuration would read, do, hold and write, and with a probe how long it would take.

    Raises UserError for the mistakes that the run itself would end with before it opens its folder.
    """
    # What it says once for each model that is built stands in a table here.
    logging.getLogger(vocabulary.__name__).setLevel(logging.WARNING)
    prepared = prepare(config)
    process = footprint.resident()
    console = Console()
    model = memory.model_without_weights(prepared)
    for table in (_rows(prepared), _steps(prepared), _parameters(model)):
        console.print(table)
    for leak in leaks.in_words(prepared.data.leaks(), dataset=prepared.data.data_name):
        console.print(f"[bold red]LEAK: {escape(printable(leak))}[/]", highlight=False, soft_wrap=True)
    needed = memory.needed(prepared, process=process)
    devices = memory.devices_of(config.trainer)
    free = footprint.available(devices.kind)
    console.print(_memory(needed, devices=devices, free=free))
    advice = list(memory.advice(prepared, needed, process=process, free=free))
    disk, written, room = _disk(prepared, needed)
    console.print(disk)
    if written > room:
        advice.append(
            f"DISK: {in_words(written)} would be written, and {in_words(room)} are free: make room, keep fewer "
            f"(checkpoint.keep={config.checkpoint.keep}, checkpoint.compare=false), or move outputs/ to another disk"
        )
    for line in advice:
        console.print(f"[bold red]{line}[/]", highlight=False, soft_wrap=True)
    if probe and devices.number > 1:
        needed = memory.needed(memory.changed(prepared, *probing.ON_ONE_DEVICE), process=process)
    if probe and needed.peak > free:
        log.warning("the time is not measured: the whole run does not fit in the memory of one device")
    elif probe:
        console.print(_table("time, from a short measured probe", probing.measure(prepared), "part", "takes"))
    if not advice:
        console.print(f"It fits. To train: babelfit train with the same settings, into {OUTPUTS / config.name}")


def _rows(prepared: Prepared) -> OnTerminal:
    """Lay out what each language of each split consists of."""
    read: dict[tuple[str, str], None] = {}
    for split, languages in (
        ("train", prepared.data.trained_languages),
        ("validation", prepared.data.validated_languages),
        *prepared.scored.items(),
    ):
        read |= dict.fromkeys((split, language) for language in languages)
    lines = []
    for split, language in read:
        facts = prepared.data.read[split][language]
        counts = facts.tokens
        lines.append(
            (
                split,
                language,
                f"{facts.rows:,}",
                f"{facts.examples:,}",
                f"{sum(map(len, facts.dropped.values())):,}",
                f"{facts.windows:,}",
                f"{prepared.num_tokens(split, [language]):,}",
                f"{facts.truncated:,} ({100 * facts.truncated / facts.examples:.2f} %)",
                f"{counts.subwords / max(1, counts.words):.2f}",
            )
        )
    columns = ("split", "language", "rows", "examples", "dropped", "sequences", "tokens", "cut", "subwords a word")
    return _table(f"{prepared.data.data_name}, cut at {prepared.data.max_length} tokens", lines, *columns)


def _steps(prepared: Prepared) -> OnTerminal:
    """Lay out how much is computed."""
    config, data = prepared.config, prepared.data
    validated = prepared.num_tokens("validation", data.validated_languages)
    last = [
        f"{prepared.num_tokens(split, languages):,} tokens of {split} in {len(languages)} languages"
        for split, languages in prepared.scored.items()
    ]
    heaviest = data.training_steps().heaviest(num_steps=prepared.num_steps)
    every = prepared.steps_between_validations
    num_devices = memory.devices_of(config.trainer).number
    devices = f", on {num_devices} devices" if num_devices > 1 else ""
    lines = [
        ("batch", f"{config.optimization.batch_size} examples{devices}"),
        ("steps", f"{prepared.num_steps:,}, of {data.steps_per_epoch:,} in an epoch"),
        ("examples", f"{mixing.in_words(data.trained_sizes, exponent=data.sampling_exponent)} in an epoch"),
        ("tokens", f"{round(data.training_steps().tokens_per_epoch):,} in an epoch"),
        (
            "heaviest step",
            f"{sum(batch.num_tokens for batch in heaviest.micro_batches):,} tokens, at most "
            f"{config.trainer.tokens_per_device:,} at once",
        ),
        ("validations", f"{prepared.num_validations:,}, every {every:,} steps, of {validated:,} tokens each"),
        ("last evaluation", ", ".join(last)),
    ]
    return _table("steps", lines, "what", "how much")


def _parameters(model: PreTrainedModel) -> OnTerminal:
    """Lay out where the parameters are, which of them are trained, and how much of the vocabulary is."""
    try:
        depth_of = depths(model)
    except UserError:
        depth_of = {}  # no stack of layers
    top = max(depth_of.values(), default=0)
    names = {0: "embeddings", **dict.fromkeys(range(1, top), f"{top - 1} layers"), top: "above them, and head"}
    trained: Counter[str] = Counter()
    frozen: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        part = names[depth_of[name]] if depth_of else "model"
        (trained if parameter.requires_grad else frozen)[part] += parameter.numel()
    parts = list(dict.fromkeys(names.values())) if depth_of else ["model"]
    lines = [(part, f"{trained[part]:,}", f"{frozen[part]:,}") for part in parts]
    lines.append(("all", f"{trained.total():,}", f"{frozen.total():,}"))
    rows = len(next(model.get_input_embeddings().parameters()))
    share = f"{rows:,} of {model.config.vocab_size:,} token ids"
    return _table(f"parameters, with embeddings of {share}", lines, "part", "trained", "frozen")


def _memory(found: Footprint, *, devices: Devices, free: int) -> OnTerminal:
    """Lay out what is held at once."""
    where = "GPU" if devices.kind == "cuda" else "process on the CPU" if devices.number > 1 else "CPU"
    lines = [(part, in_words(size)) for part, size in found.parts.items() if size]
    lines += [(f"at once: {moment}", in_words(size)) for moment, size in found.moments.items()]
    lines.append((f"free{' for all processes' if devices.sharing > 1 else ''}", in_words(free)))
    return _table(f"memory, estimated for each {where}", lines, "part", "at most")


def _disk(prepared: Prepared, found: Footprint) -> tuple[OnTerminal, int, int]:
    """Lay out what is written; return with it how much of that at once, and how much room there is, in bytes."""
    config = prepared.config
    every = config.checkpoint.every
    validated = prepared.steps_between_validations
    saved = {*range(validated, prepared.num_steps + 1, validated), prepared.num_steps}
    num_saved = len(saved | set(range(every, prepared.num_steps + 1, every) if every else ()))
    ranked = sum(prepared.ranked_steps.values())
    at_once = min(num_saved, ranked + KEPT_BESIDES_THE_BEST)
    kept = min(prepared.num_validations, config.checkpoint.keep)
    most = max(at_once * found.checkpoint, (at_once - 1) * found.checkpoint + found.exported)
    place = next(path for path in (OUTPUTS / config.name).absolute().parents if path.exists())
    room = shutil.disk_usage(place).free
    splits = [prepared.data.open(split, language) for split, of in prepared.data.read.items() for language in of]
    caches = {Path(file["filename"]) for dataset in splits for file in dataset.cache_files}
    lines = [
        ("a checkpoint", in_words(found.checkpoint)),
        (f"checkpoints while it runs, {at_once} at most", in_words(at_once * found.checkpoint)),
        (f"checkpoints at the end, {kept}", in_words(kept * found.checkpoint)),
        ("model/", in_words(found.exported)),
        ("token cache, written already", in_words(sum(path.stat().st_size for path in caches))),
        (f"free in {OUTPUTS}/", in_words(room)),
    ]
    return _table("disk", lines, "what", "size"), most, room


def _table(title: str, lines: Sequence[Sequence[str]], *columns: str) -> OnTerminal:
    """Lay out a table; columns without a number are words."""
    words = [
        column
        for place, column in enumerate(columns)
        if len(columns) == 2 or not any(line[place][0].isdecimal() for line in lines)
    ]
    return sheets.terminal(Sheet(title=title, columns=columns, rows=lines, words=words))
