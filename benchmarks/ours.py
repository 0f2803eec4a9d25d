"""One process of speed.py on our side: what train.py and evaluate.py do, with a clock, and what both sides start from.

The clock stands in front of a run's own callbacks; everything else is the product's.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from measuring import machine, now, peak_memory, useful_operations
from pytorch_lightning import Callback, Trainer, seed_everything

from babelfit import evaluation, training
from babelfit.batches.ragged import StepBatch
from babelfit.batches.steps import epoch_order
from babelfit.commands.compose import compose_config
from babelfit.config.schema import EvaluateConfig, TrainConfig, checked
from babelfit.data import MultilingualDataModule
from babelfit.datasets.building import build_data
from babelfit.encoder.loading import load_tokenizer
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model

NO_LABEL = -100
DATA = {"xnli": ("xnli", "sequence_classification"), "panx": ("wikiann", "token_classification")}


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO)
    os.chdir(task["folder"])  # where outputs/ will be
    try:
        result = (prepare if task["side"] == "prepare" else measure)(task)
    except UserError as error:
        sys.exit(str(error))
    Path(task["result"]).write_text(json.dumps(result))


class Measured(Exception):  # noqa: N818 (it is no error)
    """All that is timed has been done."""


class Clock(Callback):
    """Time the second so many steps, or a prediction: the first steps are for allocators, caches and compilers."""

    def __init__(self, device: str, *, steps: int | None = None) -> None:
        self.device = device
        self.steps = steps
        self.rows: list[torch.Tensor] = []  # of each target that is trained on while the clock runs
        self.result: dict[str, Any] = {}

    def on_train_batch_start(self, trainer: Trainer, module: Any, step: StepBatch, *_: Any) -> None:
        if trainer.global_step == self.steps:
            self.started = now(self.device)
        if self.steps is not None and trainer.global_step >= self.steps:
            self.rows += [batch.indices for batch in step.micro_batches]

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.steps is not None and trainer.global_step == 2 * self.steps:
            self.stop()
            self.result["checksum"] = sum(int(rows.sum()) for rows in self.rows)
            # Validation, checkpoint, export and evaluation would follow.
            raise Measured

    def on_predict_start(self, *_: Any) -> None:
        self.started = now(self.device)

    def on_predict_end(self, *_: Any) -> None:
        self.stop()

    def stop(self) -> None:
        self.result = {"seconds": now(self.device) - self.started, **peak_memory(self.device)}


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Train or evaluate as the commands do."""
    if not is_evaluation(task):
        config = checked(compose_config("train", training_overrides(task)), TrainConfig)
        return timed_fit(config, device=task["device"], steps=task["steps"])
    clock = Clock(task["device"])
    with in_front(clock, of=evaluation):
        evaluation.evaluate(checked(compose_config("evaluate", evaluation_overrides(task)), EvaluateConfig))
    return clock.result


def timed_fit(config: TrainConfig, *, device: str, steps: int) -> dict[str, Any]:
    """Train as train.py does, twice so many steps, and time the second half."""
    clock = Clock(device, steps=steps)
    with in_front(clock, of=training), suppress(Measured):
        training.fit(config)
    return clock.result


@contextmanager
def in_front(clock: Clock, *, of: Any) -> Iterator[None]:
    """Put a clock in front of the callbacks of every Trainer that a module builds."""
    build = of.build_trainer

    def with_clock(*arguments: Any, callbacks: Sequence[Callback] = (), **options: Any) -> Trainer:
        trainer: Trainer = build(*arguments, callbacks=[clock, *callbacks], **options)
        return trainer

    of.build_trainer = with_clock
    yield
    of.build_trainer = build


def shared_overrides(task: dict[str, Any]) -> list[str]:
    name, _ = DATA[task["work"].split("_")[0]]
    return [
        f"data={name}",
        f"data.folder={task['data']}",
        "data.revision=null",
        f"trainer.accelerator={task['device']}",
        f"trainer.precision={task['precision']}",
    ]


def is_evaluation(task: dict[str, Any]) -> bool:
    return bool(task["work"].endswith("evaluation"))


def training_overrides(task: dict[str, Any]) -> list[str]:
    """Say what train.py would be given; the rest is as it ships.

    All rows are there to draw from, so that what depends on how many there are, such as the vocabulary in use, is that
    of a whole run.
    """
    return [
        "name=measured",
        "encoder=xlmr_base",
        f"encoder.path={task['model']}",
        "encoder.revision=null",
        f"optimization.batch_size={task['batch_size']}",
        "optimization.learning_rate=2e-5",
        "optimization.epochs=1000",
        f"optimization.max_steps={2 * task['steps']}",
        f"validation.every={2 * task['steps']}",
        *shared_overrides(task),
        *(["trainer.compile=true"] if task["compile"] else []),
        *task["ours"],
    ]


def evaluation_overrides(task: dict[str, Any]) -> list[str]:
    """Say what evaluate.py would be given, which knows fewer keys."""
    known = [one for one in task["ours"] if one.startswith(("data.", "trainer."))]
    return [
        f"model={task['model']}",
        "name=measured",
        "split=validation",
        *shared_overrides(task),
        f"data.languages=[{','.join(repr(one) for one in task['languages'])}]",
        f"data.limit.validation={task['examples']}",
        *known,
    ]


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Write what all sides start from, weights and tokenized rows, and count what is in the rows."""
    _, head = DATA[task["work"].split("_")[0]]
    tokenizer = load_tokenizer(task["encoder"])
    config = checked(compose_config("train", training_overrides(task | {"compile": False})), TrainConfig)
    data = build_data(
        config.data,
        head=head,
        languages=config.data.languages,
        tokenizer=tokenizer,
        tokens_per_device=config.trainer.tokens_per_device,
        batch_size=task["batch_size"],
        seed=config.seed,
    )
    if is_evaluation(task):
        splits = {one: data.open("validation", one) for one in task["languages"]}
        chosen = {one: rows.select(range(min(task["examples"], len(rows)))) for one, rows in splits.items()}
    else:
        rows = data.open("train", "en")
        chosen = {"en": rows.select(drawn(data, num_rows=len(rows), seed=config.seed, steps=task["steps"]))}
        # A run reads these too; tokenized now, they cost the measured processes neither time nor memory.
        for language in data.languages:
            data.open("validation", language)
        data.has("test")
    lengths = []
    for language, some in chosen.items():
        laid_out = peer_rows(some, head=head)
        laid_out.save_to_disk(f"{task['rows']}/{language}")
        lengths += laid_out["length"]
    seed_everything(1, verbose=False)  # the weights of one size and dataset are the same each time
    model = load_model(
        HEADS[head],
        task["encoder"],
        pretrained=False,
        overrides=task["fields"],
        label_names=data.task.labels,
        max_length=data.max_length,
    )
    model.save_pretrained(task["model"])
    tokenizer.save_pretrained(task["model"])
    shape = {"hidden": model.config.hidden_size, "intermediate": model.config.intermediate_size}
    squares = np.square(np.array(lengths, dtype=np.int64))
    return {
        "examples": sum(len(some) for some in chosen.values()),
        "checksum": sum(
            sum(index * len(row) for index, row in zip(some["index"], some["gold"], strict=True))
            for some in chosen.values()
        ),
        "sequences": len(lengths),
        "tokens": sum(lengths),
        "padded_to_128": 128 * len(lengths),
        "parameters": model.num_parameters(),
        "layers": model.config.num_hidden_layers,
        **shape,
        "operations": useful_operations(
            num_tokens=sum(lengths),
            sum_of_squares=int(squares.sum()),
            layers=model.config.num_hidden_layers,
            training=not is_evaluation(task),
            **shape,
        ),
        "machine": machine(),
    }


def drawn(data: MultilingualDataModule, *, num_rows: int, seed: int, steps: int) -> list[int]:
    """Say which rows our run draws in the steps that are timed, the second so many."""
    rows: list[int] = []
    for step in range(steps, 2 * steps):
        epoch, place = divmod(step, data.steps_per_epoch)
        order = epoch_order(num_rows, seed=seed, epoch=epoch)
        rows += order[place * data.batch_size : (place + 1) * data.batch_size].tolist()
    return rows


def peer_rows(rows: datasets.Dataset, *, head: str) -> datasets.Dataset:
    """Lay our rows out for the Trainer: a row per sequence, labels per token where a sentence has many."""
    columns: dict[str, list[Any]] = {"input_ids": [], "labels": [], "length": []}
    for row in rows:
        if head == "sequence_classification":
            columns["labels"] += row["gold"]
        else:
            labels = np.full(len(row["input_ids"]), NO_LABEL)
            labels[row["targets"]] = row["gold"]
            columns["labels"] += [part.tolist() for part in np.split(labels, np.cumsum(row["windows"])[:-1])]
        windows = np.split(np.array(row["input_ids"]), np.cumsum(row["windows"])[:-1])
        columns["input_ids"] += [part.tolist() for part in windows]
        columns["length"] += row["windows"]
    return datasets.Dataset.from_dict(columns)


if __name__ == "__main__":
    main()
