"""Time the ways in which an encoder's layers can run on ragged batches: kernels of attention, and compiled layers.

    python benchmarks/ragged_attention.py                 # on the CPU: 4 layers of XLM-R base, batches of 32 XNLI pairs
    python benchmarks/ragged_attention.py --device gpu --layers 12 --precision bf16-mixed --batch-size 32 256

Forward and backward of the same batches, dropout on, all ways in turn in each round; the median over batches and
rounds. Embeddings, optimizer and data are left out. `padded 0` is one rectangle for the whole batch, `padded 0.75` what
babelfit does, `padded 1` a rectangle for each length. The first round, in which a way is compiled, is not counted.
"""

import argparse
import json
import statistics
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import measuring
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import AutoModelForSequenceClassification

from babelfit.batches.ragged import RaggedBatch
from babelfit.commands.compose import compose_config
from babelfit.config.schema import TrainConfig, checked
from babelfit.datasets.building import build_data
from babelfit.encoder import attention
from babelfit.encoder.dropout import take_faster_dropout
from babelfit.encoder.encoder import compile_layers, encode, use_kernel
from babelfit.encoder.loading import load_config, load_tokenizer

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "data"
WAYS = ("padded 0", "padded 0.5", "padded 0.75", "padded 0.9", "padded 1", "nested", "padded 0.75, compiled")
NUM_WARM = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32])
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "ragged_attention.json")
    options = parser.parse_args()
    measured = {size: timed(options, batches(options, size)) for size in options.batch_size}
    table = Table("way", *(f"batch {size}: ms a step" for size in measured))
    for way in WAYS:
        table.add_row(way, *(f"{1000 * statistics.median(seconds[way]):.0f}" for seconds in measured.values()))
    Console().print(table)
    found = {"options": vars(options) | {"results": None}, "machine": measuring.machine(), "seconds": measured}
    options.results.write_text(json.dumps(found, indent=1) + "\n")


def batches(options: argparse.Namespace, batch_size: int) -> list[RaggedBatch]:
    """Read real steps of English XNLI."""
    folders = [f"encoder.path={SHARED / 'xlmr_base'}", f"data.folder={SHARED / 'xtreme'}"]
    config = checked(compose_config("train", ["data=xnli", "encoder=xlmr_base", *folders]), TrainConfig)
    tokenizer = load_tokenizer(config.encoder.path)
    data = build_data(
        config.data,
        head=config.head.name,
        languages=["en"],
        tokenizer=tokenizer,
        tokens_per_device=1 << 20,
        batch_size=batch_size,
    )
    steps: Any = data.train_dataloader().dataset
    device = measuring.torch_device(options.device)
    return [steps[0, place].micro_batches[0].to(device) for place in range(options.batches + NUM_WARM)]


def timed(options: argparse.Namespace, steps: list[RaggedBatch]) -> dict[str, list[float]]:
    """Return the seconds of each step by way."""
    config = load_config(str(SHARED / "xlmr_base"), overrides={"num_hidden_layers": options.layers, "vocab_size": 10})
    config._attn_implementation = attention.name("auto")
    for step in steps:
        step.input_ids %= 10
    models: dict[str, Any] = {}
    for way in WAYS:
        model = AutoModelForSequenceClassification.from_config(config).train()
        model.to(measuring.torch_device(options.device))
        take_faster_dropout(model)
        use_kernel(model, way.split()[0])
        if way.endswith("compiled"):
            compile_layers(model)
        models[way] = model
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for round_ in track(range(options.rounds + 1), description="rounds"):
        for way, model in models.items():
            attention.SIMILAR = 0.75 if way == "nested" else float(way.split()[1].rstrip(","))
            taken = [step_seconds(options, model, step) for step in steps]
            # In the first round a way is compiled, and the machine warmed up.
            seconds[way] += taken[NUM_WARM:] if round_ else []
    return seconds


def step_seconds(options: argparse.Namespace, model: Any, step: RaggedBatch) -> float:
    """Run one step forward and backward."""
    is_mixed = options.precision == "bf16-mixed"
    started = measuring.now(options.device)
    with torch.autocast(step.input_ids.device.type, dtype=torch.bfloat16) if is_mixed else nullcontext():
        hidden = encode(model, step)[step.targets]
    hidden.float().square().mean().backward()
    model.zero_grad(set_to_none=True)
    return measuring.now(options.device) - started


if __name__ == "__main__":
    main()
