"""What both sides of speed.py measure alike: operations, matrix-multiply rate, time, memory, machine.

Knows neither babelfit nor the Trainer, so that neither pays for importing the other. Run by itself, it is the process
of speed.py that measures the matrix-multiply rate.
"""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "transformers", "accelerate", "pytorch-lightning", "datasets", "tokenizers", "numpy")
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
SECONDS_OF_PRODUCTS = 1.0
SQUARE = {"cpu": 2048, "gpu": 8192}


def main() -> None:
    """Measure the rate of matrix products on this machine, now."""
    task = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(1)
    names = ("device", "precision", "num_tokens", "hidden", "intermediate")
    Path(task["result"]).write_text(json.dumps(matrix_rate(**{name: task[name] for name in names})))


def useful_operations(
    *, num_tokens: int, sum_of_squares: int, layers: int, hidden: int, intermediate: int, training: bool
) -> int:
    """Count the floating-point operations that sequences without padding need in an encoder.

    A multiply-add is two operations. In each layer a token meets four matrices of (hidden, hidden) and two of (hidden,
    intermediate); QK^T and AV take 2 * hidden * length^2 each. Training takes three times the forward pass: backward
    makes a product for the inputs and one for the weights. Lookups, norms, activations and the head count as nothing.
    """
    linear = 2 * num_tokens * (4 * hidden * hidden + 2 * hidden * intermediate)
    attention = 4 * hidden * sum_of_squares
    return (3 if training else 1) * layers * (linear + attention)


def matrix_rate(*, device: str, precision: str, num_tokens: int, hidden: int, intermediate: int) -> dict[str, float]:
    """Measure operations per second of matrix products: large squares, and those of a batch's linear layers."""
    square = SQUARE[device]
    shapes = {"square": (square, square, square), "linear": (num_tokens, hidden, intermediate)}
    return {name: _rate(*shape, device=device, dtype=DTYPES[precision]) for name, shape in shapes.items()}


def _rate(rows: int, inner: int, columns: int, *, device: str, dtype: torch.dtype) -> float:
    on = torch_device(device)
    left, right = torch.randn(rows, inner, device=on, dtype=dtype), torch.randn(inner, columns, device=on, dtype=dtype)
    product = left @ right
    num_products, started = 0, now(device)
    # Asking a GPU for the time waits for it, so it is asked seldom.
    while (seconds := now(device) - started) < SECONDS_OF_PRODUCTS:
        for _ in range(4 if device == "cpu" else 50):
            torch.mm(left, right, out=product)
            num_products += 1
    return 2 * rows * inner * columns * num_products / seconds


def torch_device(device: str) -> str:
    return "cuda" if device == "gpu" else "cpu"


def now(device: str) -> float:
    """Tell the time once the device has done all that it was given."""
    if device == "gpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory(device: str) -> dict[str, int]:
    """Say how much memory this process has held at most, with what its workers hold by themselves now, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + _held_by_workers()}
    if device == "gpu":
        peak["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
    return peak


def _held_by_workers() -> int:
    """Add up what the child processes share with nobody; where there is no /proc, nothing is known."""
    held = 0
    for path in Path("/proc/self/task").glob("*/children"):
        for child in path.read_text().split():
            try:
                lines = (Path("/proc") / child / "smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            held += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
    return held


def machine() -> dict[str, Any]:
    """Describe what the numbers depend on besides the code: versions and hardware."""
    is_gpu = torch.cuda.is_available()
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "cpu": _fact("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": _fact("/proc/meminfo", "MemTotal"),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda if is_gpu else None,
    }


def _fact(path: str, name: str) -> str | None:
    if not Path(path).is_file():
        return None
    facts: Mapping[str, str] = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in Path(path).read_text().splitlines())
    }
    return facts.get(name)


if __name__ == "__main__":
    main()
