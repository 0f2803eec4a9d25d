"""What a configuration would do, told before anything is trained: rows, steps, parameters, memory, disk, and time.

Rows are read and tokenized as for the run itself; weights are neither loaded nor downloaded, but for the probe of the
time, and nothing is written to outputs/. How memory is found: footprint.py; how time is: probe.py.
"""

import logging
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel

from babelfit.batches import mixing
from babelfit.batches.ragged import RaggedBatch
from babelfit.config.schema import TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices.launch import check_devices
from babelfit.encoder import vocabulary
from babelfit.encoder.encoder import depths
from babelfit.errors import UserError
from babelfit.finetuning import building
from babelfit.heads import HEADS
from babelfit.planning import footprint
from babelfit.planning.advice import memory_advice
from babelfit.planning.footprint import Devices, Footprint, Heaviest, in_words
from babelfit.rows import leaks
from babelfit.run.run import OUTPUTS

log = logging.getLogger(__name__)

KEPT_BESIDES_THE_BEST = 3
"""Checkpoints on the disk while one is written: that one, the last, and the one before it."""


ON_ONE_DEVICE = ("trainer.devices=1", "trainer.num_nodes=1", "trainer.strategy=auto")
"""How the probe runs, whatever the run will do."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A configuration with its data read."""

    config: TrainConfig
    data: MultilingualDataModule
    scored: Mapping[str, Sequence[str]]  # what the run ends with: split -> languages
    process: int  # bytes that a process with these data holds

    @property
    def num_steps(self) -> int:
        return building.count_steps(self.config, data=self.data)

    @property
    def num_validations(self) -> int:
        return -(-self.num_steps // building.steps_between_validations(self.config, data=self.data))

    @property
    def num_devices(self) -> int:
        return self.config.trainer.devices * self.config.trainer.num_nodes

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return {"cpu": "cpu", "gpu": "cuda"}[check_devices(self.config.trainer)]

    @property
    def num_sharing(self) -> int:
        """Count the processes that share one memory."""
        return self.config.trainer.devices if self.device == "cpu" else 1

    def model(self, *, whole: bool = False) -> PreTrainedModel:
        """Build the model to train, or the whole one that is exported, without weights."""
        build = building.whole_model if whole else building.build_model
        # Neither what is compiled nor what is nested runs on tensors without numbers; they hold much the same.
        trainer = replace(self.config.trainer, compile=False, attention="padded")
        return build(replace(self.config, trainer=trainer), data=self.data, without_weights=True)

    def changed(self, *settings: str) -> "Plan":
        """Return the same plan with other settings of encoder or trainer, written as for the command line."""
        config = self.config
        for setting in settings:
            key, _, value = setting.partition("=")
            section, _, field = key.partition(".")
            new: dict[str, Any] = {field: yaml.safe_load(value)}
            config = replace(config, **{section: replace(getattr(config, section), **new)})
        return replace(self, config=config)

    def footprint(self) -> Footprint:
        """Find the memory of one device."""
        trainer = self.config.trainer
        validation = self._longest("validation", self.data.validated_languages)
        evaluations = [self._longest(split, languages) for split, languages in self.scored.items()]
        return footprint.footprint(
            self.model(),
            whole=self.model(whole=True),
            head=HEADS[self.config.head.name],
            heaviest=Heaviest(
                step=self.data.training_steps(num_ranks=self.num_devices).heaviest(num_steps=self.num_steps),
                validation=validation,
                evaluation=max(evaluations, key=lambda batch: batch.num_tokens),
            ),
            devices=Devices(
                kind=self.device,
                number=self.num_devices,
                is_sharded=trainer.strategy == "fsdp",
                precision=str(trainer.precision),
                tokens=trainer.tokens_per_device,
            ),
            process=self.process if self.device == "cpu" else 0,
        )

    def _longest(self, split: str, languages: Sequence[str]) -> RaggedBatch:
        """Read the batch of the longest sequences."""
        batch: RaggedBatch = self.data.evaluation_dataloader(split, languages=languages).dataset[0]
        return batch

    def tokens(self, split: str, language: str) -> int:
        """Count the tokens of one language in one split."""
        return int(pc.sum(pc.list_value_length(self.data.open(split, language).data["input_ids"])).as_py())


def plan(config: TrainConfig, *, probe: bool) -> None:
    """Print what a run of this configuration would read, do, hold and write, and with a probe how long it would take.

    Raises UserError for the mistakes that the run itself would end with before it opens its folder.
    """
    # What it says once for each model that is built stands in a table here.
    logging.getLogger(vocabulary.__name__).setLevel(logging.WARNING)
    data, scored = building.prepared(config)
    planned = Plan(config=config, data=data, scored=scored, process=footprint.resident())
    console = Console()
    model = planned.model()
    for table in (_rows(planned), _steps(planned), _parameters(model)):
        console.print(table)
    for leak in leaks.told(data.leaks(), dataset=data.data_name):
        console.print(f"[bold red]LEAK: {escape(leak)}[/]", highlight=False, soft_wrap=True)
    found = planned.footprint()
    free = footprint.available(planned.device)
    console.print(_memory(planned, found, free=free))
    advice = list(memory_advice(planned, found, free=free))
    disk, written, room = _disk(planned, found)
    console.print(disk)
    if written > room:
        advice.append(
            f"DISK: {in_words(written)} would be written, and {in_words(room)} are free: make room, keep fewer "
            f"(checkpoint.keep={config.checkpoint.keep}, checkpoint.compare=false), or move outputs/ to another disk"
        )
    for line in advice:
        console.print(f"[bold red]{line}[/]", highlight=False, soft_wrap=True)
    if probe and planned.num_devices > 1:
        found = planned.changed(*ON_ONE_DEVICE).footprint()
    if probe and found.peak > free:
        log.warning("no probe of the time: a device cannot hold the whole run")
    elif probe:
        from babelfit.planning.probe import measured

        console.print(_table("time, from a short measured probe", measured(planned), "part", "takes"))
    if not advice:
        console.print(f"It fits. To train: python train.py with the same settings, into {OUTPUTS / config.name}")


def _rows(planned: Plan) -> Group:
    """Tell what each language of each split consists of."""
    read: dict[tuple[str, str], None] = {}
    for split, languages in (
        ("train", planned.data.trained_languages),
        ("validation", planned.data.validated_languages),
        *planned.scored.items(),
    ):
        read |= dict.fromkeys((split, language) for language in languages)
    lines = []
    for split, language in read:
        facts = planned.data.read[split][language]
        counts = facts["tokens"]
        lines.append(
            (
                split,
                language,
                *(f"{facts[count]:,}" for count in ("rows", "examples")),
                f"{sum(map(len, facts['dropped'].values())):,}",
                f"{facts['windows']:,}",
                f"{planned.tokens(split, language):,}",
                f"{facts['truncated']:,} ({100 * facts['truncated'] / facts['examples']:.2f} %)",
                f"{counts['subwords'] / max(1, counts['words']):.2f}",
            )
        )
    columns = ("split", "language", "rows", "examples", "dropped", "sequences", "tokens", "cut", "subwords a word")
    return _table(f"{planned.data.data_name}, cut at {planned.data.max_length} tokens", lines, *columns)


def _steps(planned: Plan) -> Group:
    """Tell how much is computed."""
    config, data = planned.config, planned.data
    validated = sum(planned.tokens("validation", language) for language in data.validated_languages)
    last = [
        f"{sum(planned.tokens(split, one) for one in languages):,} tokens of {split} in {len(languages)} languages"
        for split, languages in planned.scored.items()
    ]
    heaviest = data.training_steps().heaviest(num_steps=planned.num_steps)
    every = building.steps_between_validations(config, data=data)
    devices = f", on {planned.num_devices} devices" if planned.num_devices > 1 else ""
    lines = [
        ("batch", f"{config.optimization.batch_size} examples{devices}"),
        ("steps", f"{planned.num_steps:,}, of {data.steps_per_epoch:,} in an epoch"),
        ("examples", f"{mixing.in_words(data.trained_sizes, exponent=data.sampling_exponent)} in an epoch"),
        ("tokens", f"{round(data.training_steps().tokens_per_epoch):,} in an epoch"),
        (
            "heaviest step",
            f"{sum(batch.num_tokens for batch in heaviest.micro_batches):,} tokens, at most "
            f"{config.trainer.tokens_per_device:,} at once",
        ),
        ("validations", f"{planned.num_validations:,}, every {every:,} steps, of {validated:,} tokens each"),
        ("last evaluation", ", ".join(last)),
    ]
    return _table("steps", lines, "what", "how much")


def _parameters(model: PreTrainedModel) -> Group:
    """Tell where the parameters are, which of them are trained, and how much of the vocabulary is."""
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


def _memory(planned: Plan, found: Footprint, *, free: int) -> Group:
    """Tell what is held at once."""
    where = "GPU" if planned.device == "cuda" else "process on the CPU" if planned.num_devices > 1 else "CPU"
    lines = [(part, in_words(size)) for part, size in found.parts.items() if size]
    lines += [(f"at once: {moment}", in_words(size)) for moment, size in found.moments.items()]
    lines.append((f"free{' for all processes' if planned.num_sharing > 1 else ''}", in_words(free)))
    return _table(f"memory, estimated for each {where}", lines, "part", "at most")


def _disk(planned: Plan, found: Footprint) -> tuple[Group, int, int]:
    """Tell what is written, how much of it at once, and how much room there is."""
    config = planned.config
    every = config.checkpoint.every
    validated = building.steps_between_validations(config, data=planned.data)
    saved = {*range(validated, planned.num_steps + 1, validated), planned.num_steps}
    num_saved = len(saved | set(range(every, planned.num_steps + 1, every) if every else ()))
    ranked = sum(building.ranked_steps(config, data=planned.data).values())
    at_once = min(num_saved, ranked + KEPT_BESIDES_THE_BEST)
    kept = min(planned.num_validations, config.checkpoint.keep)
    most = max(at_once * found.checkpoint, (at_once - 1) * found.checkpoint + found.exported)
    place = next(path for path in (OUTPUTS / config.name).absolute().parents if path.exists())
    room = shutil.disk_usage(place).free
    splits = [planned.data.open(split, language) for split, of in planned.data.read.items() for language in of]
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


def _table(title: str, lines: Sequence[Sequence[str]], *columns: str) -> Group:
    """Lay out a table; the title above it may be longer than its lines."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for place, column in enumerate(columns):
        is_number = place and len(columns) > 2 and any(line[place][0].isdecimal() for line in lines)
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return Group(Text(title, style="italic"), table, "")
