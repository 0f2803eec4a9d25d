"""Kill a training with SIGKILL again and again, resume it each time, and compare it with one that was left alone.

    python benchmarks/crash_soak.py --kills 50

On CPU, with dropout, on the bundled sample. Kills are aimed at steps, at checkpoints being written, at the start of the
process, and last at export and evaluation. In the end everything must be equal bit for bit: every checkpoint that a
validation left, the last step's among them (weights, optimizer, schedule, ranking, early stopping), metrics.csv, the
exported weights, the predictions and scores.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results" / "crash_soak.json"
STEPS_PER_KILL = 20
STEPS_PER_EPOCH = 20
VALIDATION_EVERY = 15
OUTPUT = "output.txt"

Process = subprocess.Popen[bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = soak(Path(folder), kills=options.kills, seed=options.seed)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))
    if not all(results["equal"].values()):
        sys.exit("not equal: see the table")
    if results["kills"] < options.kills:
        sys.exit(f"only {results['kills']} of {options.kills} kills landed: another --seed aims at other moments")


def soak(folder: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Make both runs and compare them."""
    chance = random.Random(seed)
    steps = STEPS_PER_KILL * kills + STEPS_PER_EPOCH
    started = time.time()
    finish(start(folder, name="whole", steps=steps), folder)
    whole_seconds = time.time() - started
    landed = []
    for aim in aims(kills, chance=chance):
        process = start(folder, name="killed", steps=steps)
        waited = AIMS[aim](folder / "outputs" / "killed", process, chance)
        if process.poll() is not None:
            print(f"the run ended before it could be killed at: {aim}")
            finish(process, folder)
            continue
        process.kill()
        process.wait()
        moment = describe(folder / "outputs" / "killed")
        landed.append({"aim": aim, "waited": round(waited, 3), **moment})
        print(f"kill {len(landed)} of {kills}, aimed at {aim}: {moment}", flush=True)
    process = start(folder, name="killed", steps=steps)
    output = finish(process, folder)
    return {
        "kills": len(landed),
        "steps": steps,
        "seconds_uninterrupted": round(whole_seconds, 1),
        "seconds_in_all": round(time.time() - started, 1),
        "damaged_checkpoints_told": output.count("is damaged"),
        "machine": {"platform": platform.platform(), "python": platform.python_version(), "torch": torch.__version__},
        "equal": compare(folder / "outputs" / "whole", folder / "outputs" / "killed"),
        "landed": landed,
    }


def aims(kills: int, *, chance: random.Random) -> list[str]:
    """Choose what each kill is aimed at; export and evaluation come last, as they do in a run."""
    late = ["export", "evaluation"][: max(0, kills - 2)]
    early = ["checkpoint", "step"]
    rest = kills - len(late) - len(early)
    early += chance.choices(["step", "checkpoint", "start"], weights=[5, 4, 1], k=max(0, rest))
    return early[:kills] + late


def command(*, name: str, steps: int) -> list[str]:
    """Return train.py and its arguments, the same each time but for the name."""
    rows = 32 * STEPS_PER_EPOCH
    return [
        str(ROOT / "train.py"),
        f"name={name}",
        "encoder=mini_random",
        f"data.limit={{train: {rows}, validation: 48, test: 96}}",
        "data.languages=[en,de,sw]",
        "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
        "encoder.overrides.hidden_dropout_prob=0.1",
        "encoder.overrides.attention_probs_dropout_prob=0.1",
        f"optimization.epochs={-(-steps // STEPS_PER_EPOCH)}",
        f"optimization.max_steps={steps}",
        f"validation.every={VALIDATION_EVERY}",
        "validation.patience=1000",
        "validation.chance_patience=null",
        "checkpoint.every=4",
        f"checkpoint.keep={steps}",  # all, to compare
        "logger.every=1",
        "trainer.accelerator=cpu",
    ]


def start(folder: Path, *, name: str, steps: int) -> Process:
    """Start the training command in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    # Into a file: a pipe that nobody reads would fill up and stop the process.
    with (folder / OUTPUT).open("w") as output:
        return subprocess.Popen(
            [sys.executable, *command(name=name, steps=steps)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def finish(process: Process, folder: Path) -> str:
    """Let the latest process end well, and give what it said."""
    process.wait()
    output = (folder / OUTPUT).read_text()
    if process.returncode != 0:
        sys.exit(f"the training command failed with status {process.returncode}:\n{output}")
    return output


def until(condition: Callable[[], bool], process: Process) -> None:
    """Wait for a condition, watching closely, or for the end of the process."""
    while process.poll() is None and not condition():
        time.sleep(0.0002)


def in_training(run: Path, process: Process, chance: random.Random) -> float:
    """Wait for the first step that this process takes, and then a while."""
    path = run / "metrics.csv"
    status = run / "status.json"
    until(lambda: is_of(status, process), process)
    before = path.stat().st_size if path.exists() else 0
    until(lambda: path.exists() and path.stat().st_size > max(before, 20), process)
    return pause(chance.uniform(0, 0.5))


def at_checkpoint(run: Path, process: Process, chance: random.Random) -> float:
    """Wait for a checkpoint being written, and then for a moment within."""
    in_training(run, process, chance)
    unfinished = run / "checkpoints" / "unfinished.tmp"
    while process.poll() is None:
        until(unfinished.exists, process)
        waited = pause(chance.choice([0, 0, 0.001, 0.003, 0.01]))
        # Stopped, it cannot end the file between this look and the kill.
        process.send_signal(signal.SIGSTOP)
        pause(0.001)
        if unfinished.exists():
            return waited
        process.send_signal(signal.SIGCONT)
    return 0.0


def at_start(run: Path, process: Process, chance: random.Random) -> float:
    return pause(chance.uniform(0, 10))


def at_export(run: Path, process: Process, chance: random.Random) -> float:
    until((run / "model.tmp").exists, process)
    return pause(chance.choice([0, 0.001, 0.01]))


def at_evaluation(run: Path, process: Process, chance: random.Random) -> float:
    until((run / "model").exists, process)
    return pause(chance.uniform(0, 0.05))


AIMS = {
    "step": in_training,
    "checkpoint": at_checkpoint,
    "start": at_start,
    "export": at_export,
    "evaluation": at_evaluation,
}


def pause(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def is_of(status: Path, process: Process) -> bool:
    """Tell whether a status file was written by this process."""
    try:
        return bool(json.loads(status.read_text())["process"] == process.pid)
    except (FileNotFoundError, KeyError):
        return False


def describe(run: Path) -> dict[str, Any]:
    """Say where a kill has hit."""
    rows = (run / "metrics.csv").read_text().splitlines() if (run / "metrics.csv").exists() else []
    step = rows[-1].split(",")[0] if len(rows) > 1 else "0"
    return {
        "step": int(step) if step.isdecimal() else None,
        "checkpoint_unfinished": (run / "checkpoints" / "unfinished.tmp").exists(),
        "last_missing": not (run / "checkpoints" / "last.ckpt").exists(),
        "exporting": (run / "model.tmp").exists(),
        "exported": (run / "model").exists(),
    }


def compare(whole: Path, killed: Path) -> dict[str, bool]:
    """Tell what is equal, bit for bit."""
    checkpoints = sorted(path.name for path in (whole / "checkpoints").glob("step-*.ckpt"))
    others = sorted(path.name for path in (killed / "checkpoints").glob("step-*.ckpt"))
    parts: dict[str, bool] = {"the same checkpoints are there": checkpoints == others}
    states = [tuple(load(run / "checkpoints" / name) for run in (whole, killed)) for name in checkpoints]
    # "loops" is Lightning's own count of batches and epochs, which it keeps another way after a resume.
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step"):
        equal = all(same(one[part], other[part]) for one, other in states)
        parts[f"{part} in all {len(states)} checkpoints"] = equal
    for path in ("metrics.csv", "model/model.safetensors", "scores/test.json"):
        parts[path] = (whole / path).read_bytes() == (killed / path).read_bytes()
    for path in sorted((whole / "predictions" / "test").iterdir()):
        name = f"predictions/test/{path.name}"
        parts[name] = path.read_bytes() == (killed / name).read_bytes()
    selected = [json.loads((run / "status.json").read_text())["selected"] for run in (whole, killed)]
    return parts | {"the selected checkpoint": selected[0] == selected[1]}


def load(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def same(one: Any, other: Any) -> bool:
    """Compare nested values, tensors by their bits."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def table(results: dict[str, Any]) -> str:
    """Lay the results out as Markdown."""
    aimed = Counter(one["aim"] for one in results["landed"])
    unfinished = sum(one["checkpoint_unfinished"] for one in results["landed"])
    told = ", ".join(f"{number} at {aim}" for aim, number in aimed.most_common())
    lines = [
        f"{results['kills']} kills ({told}; {unfinished} left a checkpoint half written) over {results['steps']} "
        f"steps, {results['seconds_in_all']:.0f} s in all",
        "",
        "| compared with the run left alone | equal bit for bit |",
        "|---|---|",
    ]
    lines += [f"| {name} | {'yes' if equal else '**NO**'} |" for name, equal in results["equal"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
