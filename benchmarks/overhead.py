"""Measure what a step costs besides its mathematics: babelfit's training against a bare loop over the same steps.

    python benchmarks/overhead.py

The model is so small that what is left is overhead. Three ways take the same steps of the bundled sample in turn: a
bare loop (zero the gradients, losses, backward, clip, optimizer, schedule), Lightning's Trainer with nothing but our
finetuner, and a run as train.py makes it, with its callbacks, logs and progress bar. The second epoch is timed.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

from measuring import machine
from ours import Clock, Measured, timed_fit
from pytorch_lightning import Trainer
from torch.nn.utils import clip_grad_norm_

from babelfit import training
from babelfit.commands.session import composed
from babelfit.config.schema import TrainConfig, checked

RESULTS = Path(__file__).resolve().parent / "results" / "overhead.json"
BATCH_SIZE = 4
TINY = "{num_hidden_layers: 1, hidden_size: 16, num_attention_heads: 1, intermediate_size: 16}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="that are timed; as many go before (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="times that each way takes its turn (default: 5)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    results = options.results.resolve()
    results.parent.mkdir(parents=True, exist_ok=True)
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where outputs/ will be
        for number in range(1, options.rounds + 1):
            for place, (name, way) in enumerate(WAYS.items()):
                config = settings(options.steps, name=f"{number}-{place}")
                times[name].append(1000 * way(config, options.steps) / options.steps)
                print(f"\nround {number} of {options.rounds}, {name}: {times[name][-1]:.2f} ms a step", flush=True)
    found = {"steps": options.steps, "machine": machine(), "milliseconds": times}
    results.write_text(json.dumps(found, indent=2) + "\n")
    print(table(times))


def settings(steps: int, *, name: str) -> TrainConfig:
    overrides = [
        f"name={name}",
        f"data.limit={{train: {steps * BATCH_SIZE}, validation: 32, test: 32}}",
        "data.languages=[en]",
        "encoder=mini_random",
        f"encoder.overrides={TINY}",
        f"optimization.batch_size={BATCH_SIZE}",
        "optimization.epochs=2",
        f"validation.every={2 * steps}",
        "trainer.accelerator=cpu",
    ]
    return checked(composed("train", overrides), TrainConfig)


def bare_loop(finetuner: Any, data: Any, _: int) -> float:
    """Take the steps without Lightning, with the finetuner's own losses, optimizer and schedule."""
    configured = finetuner.configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    for epoch in range(2):
        data.trainer = SimpleNamespace(global_step=epoch * data.steps_per_epoch)
        started = time.perf_counter()
        for step in data.train_dataloader():
            finetuner.zero_grad(set_to_none=True)
            for batch in step.to("cpu").micro_batches:
                (finetuner._loss(batch) / step.weight).backward()
            clip_grad_norm_(finetuner.parameters(), finetuner.recipe.clip)
            optimizer.step()
            schedule.step()
    return time.perf_counter() - started


def lightning_alone(finetuner: Any, data: Any, steps: int) -> float:
    """Take the steps with a Trainer that has nothing but the finetuner."""
    clock = Clock("cpu", steps=steps)
    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    options: Any = off | {"use_distributed_sampler": False, "limit_val_batches": 0}
    with suppress(Measured):
        Trainer(accelerator="cpu", max_epochs=2, callbacks=[clock], **options).fit(finetuner, datamodule=data)
    return float(clock.result["seconds"])


def instead_of_fit(loop: Callable[[Any, Any, int], float], config: TrainConfig, steps: int) -> float:
    """Let a run build data, model and finetuner, and take its steps in another way."""
    seconds = []

    def fit(finetuner: Any, *, datamodule: Any, **_: Any) -> None:
        seconds.append(loop(finetuner, datamodule, steps))
        raise Measured

    build, training.build_trainer = training.build_trainer, lambda *_, **__: SimpleNamespace(fit=fit)
    with suppress(Measured):
        training.fit(config)
    training.build_trainer = build
    return seconds[0]


WAYS: dict[str, Callable[[TrainConfig, int], float]] = {
    "bare loop": lambda config, steps: instead_of_fit(bare_loop, config, steps),
    "Lightning alone": lambda config, steps: instead_of_fit(lightning_alone, config, steps),
    "a run": lambda config, steps: float(timed_fit(config, device="cpu", steps=steps)["seconds"]),
}


def table(times: dict[str, list[float]]) -> str:
    """Lay the results out as Markdown."""
    lines = ["| | ms a step (least to most) | more than the bare loop |", "|---|---|---|"]
    for name, one in times.items():
        more = median(one) - median(times["bare loop"])
        lines.append(f"| {name} | {median(one):.2f} ({min(one):.2f} to {max(one):.2f}) | {more:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
