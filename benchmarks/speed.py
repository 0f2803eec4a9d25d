"""Time babelfit and the Hugging Face Trainer in turn on the same rows, weights, hyperparameters and device.

    python benchmarks/speed.py                                   # all of it on the CPU: XLM-R base, batch 32
    python benchmarks/speed.py --work xnli_training --rounds 1 --steps 4 --results look.json   # a first look
    python benchmarks/speed.py --dry-run                         # what would run
    python benchmarks/speed.py --device gpu --precision bf16-mixed --size base large --batch-size 32 256 \\
        --compile no yes --steps 50 --eval-rows 500              # all of it on a GPU

Each measurement is a process of its own, and the sides take turns: A B C D, A B C D, ... Weights are random; tokenizer
and rows are real. Our training draws random batches from the whole file and takes twice --steps, of which the second
half is timed; the Trainer takes the rows of that half, in random order, for two epochs, of which the second is timed.
So both are timed on the same rows, from the first step's start to the last one's end, and both have warmed up.
Validation, checkpoints and export come after that or not at all. Evaluation times prediction alone, of each language's
first rows. A sentence of PAN-X longer than 128 subwords is read in the same windows on both sides, as XTREME's scripts
split it.

Sides: ours (what train.py and evaluate.py do), and the Trainer padded_to_128 (run_xnli.py's default), dynamic (padded
to the longest of the batch), group_by_length (the same, and the sampler puts similar lengths together, which is no
longer a random batch).

Share of the matrix rate: the operations that the sequences need without padding, by second, over what this machine
reaches in plain matrix products in the same precision, measured before each turn (the better of large squares and a
batch's linear layer). Each of L layers takes 2 T (4 h^2 + 2 h i) for T tokens in its linear layers, and 4 h S for
attention, S the sum of the squared lengths; training takes three times that. Peak memory is the process's, and on a GPU
torch's own.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import speed_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SIZES: dict[str, dict[str, int]] = {
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
XNLI = ["ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"]
PANX = ["ar", "de", "en", "es", "fi", "fr", "hi", "id", "ja", "ru", "sw", "ta", "tr", "ur", "yo", "zh"]
WORKS = {"xnli_training": ["en"], "xnli_evaluation": XNLI, "panx_training": ["en"], "panx_evaluation": PANX}
SIDES = ("ours", "padded_to_128", "dynamic", "group_by_length")


def main() -> None:
    options = parsed()
    plan = list(planned(options))
    if options.dry_run:
        for setting in plan:
            print(f"{options.rounds} x {named(setting)}: {' '.join(setting['sides'])}")
        return
    results = options.results or HERE / "results" / ("speed.json" if options.device == "cpu" else "speed_gpu.json")
    results.parent.mkdir(parents=True, exist_ok=True)
    # Ended in the usual way, it takes its process and some gigabytes of weights with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"command": sys.argv[1:], "commit": commit(), "machine": None, "settings": []}
        for setting in plan:
            measured = run(setting, Path(folder), rounds=options.rounds)
            found["machine"] = measured["facts"].pop("machine")
            found["settings"].append(measured | {"summary": speed_table.summary(measured)})
            # After each, so that what is interrupted has not been for nothing.
            results.write_text(json.dumps(found, indent=2) + "\n")
    print(speed_table.table(found))
    print(f"\n{results}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), help="default: all")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="default: all")
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["base"], help="of XLM-R (default: base)")
    parser.add_argument("--layers", type=int, help="of the encoder, instead of 12 or 24")
    parser.add_argument("--fields", nargs="+", default=[], metavar="FIELD=NUMBER", help="other fields of its config")
    parser.add_argument("--batch-size", nargs="+", type=int, default=[32], help="(default: 32)")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed", "16-mixed"), default="32-true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--compile", nargs="+", choices=("no", "yes"), default=["no"], help="all sides; training alone")
    parser.add_argument("--rounds", type=int, default=3, help="times that all sides take their turn (default: 3)")
    parser.add_argument("--steps", type=int, default=8, help="of training that are timed (default: 8)")
    parser.add_argument("--eval-rows", type=int, default=64, help="evaluated in each language (default: 64)")
    parser.add_argument("--ours", nargs="+", default=[], metavar="KEY=VALUE", help="further overrides for our side")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="holds xtreme/, xlmr_base/")
    parser.add_argument("--results", type=Path, help="JSON (default: results/speed.json, speed_gpu.json on a GPU)")
    parser.add_argument("--dry-run", action="store_true", help="list what would run")
    options = parser.parse_args()
    for kind in ("xtreme", "xlmr_base"):
        if not (options.data / kind).is_dir():
            parser.error(f"{options.data} has no {kind}/: give --data FOLDER")
    for one in options.fields:
        if not one.partition("=")[2].isdecimal():
            parser.error(f"--fields {one}: must be FIELD=NUMBER, as in hidden_size=64")
    return options


def planned(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """List what is to be measured: each setting, in which all sides take turns."""
    for size, batch_size, compiled, work in product(options.size, options.batch_size, options.compile, options.work):
        training = work.endswith("training")
        if compiled == "yes" and not training:
            continue  # each process predicts once, and would time little but the compiler
        layers = {} if options.layers is None else {"num_hidden_layers": options.layers}
        fields = {name: int(number) for name, _, number in (one.partition("=") for one in options.fields)}
        yield {
            "size": size,
            "fields": SIZES[size] | layers | fields,
            "batch_size": batch_size,
            "precision": options.precision,
            "device": options.device,
            "compile": compiled == "yes",
            "work": work,
            "languages": WORKS[work],
            "steps": options.steps,
            "examples": options.eval_rows,
            "ours": options.ours,
            "data": str((options.data / "xtreme").resolve()),
            "encoder": str((options.data / "xlmr_base").resolve()),
            "sides": [side for side in SIDES if side in options.sides and (training or side != "group_by_length")],
        }


def run(setting: dict[str, Any], folder: Path, *, rounds: int) -> dict[str, Any]:
    """Let all sides of a setting take turns; return what was measured."""
    model = folder / f"model-{setting['size']}-{setting['work'].split('_')[0]}"
    task = setting | {"model": str(model), "rows": str(folder / "rows")}
    shutil.rmtree(folder / "rows", ignore_errors=True)
    print(f"{named(setting)}: preparing weights and rows", flush=True)
    facts = child("ours.py", task | {"side": "prepare"}, folder)
    batch_tokens = max(1, setting["batch_size"] * facts["tokens"] // facts["sequences"])
    shape = {"num_tokens": batch_tokens, "hidden": facts["hidden"], "intermediate": facts["intermediate"]}
    runs, rates = [], []
    for number in range(1, rounds + 1):
        rates.append(child("measuring.py", task | shape | {"side": "matrix"}, folder))
        for side in setting["sides"]:
            started = time.monotonic()
            result = child("ours.py" if side == "ours" else "peers.py", task | {"side": side}, folder)
            if result.pop("checksum", facts["checksum"]) != facts["checksum"]:
                sys.exit(f"{named(setting)}: our side was timed on other rows than the Trainer would be")
            runs.append({"side": side, "round": number, **result})
            print(
                f"{named(setting)}: round {number} of {rounds}, {side}: {result['seconds']:.2f} s timed, "
                f"{time.monotonic() - started:.0f} s in all, {result['peak_bytes'] / 1e9:.2f} GB",
                flush=True,
            )
    # Where the files lie is a matter of this machine alone.
    told = {name: value for name, value in setting.items() if name not in ("data", "encoder")}
    return {"setting": told, "facts": facts, "matrix_rates": rates, "runs": runs}


def named(setting: dict[str, Any]) -> str:
    changed = "".join(f" {name}={number}" for name, number in setting["fields"].items() if setting["size"] == "base")
    compiled = ", compiled" if setting["compile"] else ""
    return f"{setting['work']}, {setting['size']}{changed}, batch {setting['batch_size']}, " + (
        f"{setting['precision']} on {setting['device']}{compiled}"
    )


def child(script: str, task: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Do one thing in a process of its own, in an empty folder, and give what it found."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (folder / "task.json").write_text(json.dumps(task | {"folder": str(work), "result": str(folder / "result.json")}))
    (folder / "result.json").unlink(missing_ok=True)
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "BABELFIT_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONWARNINGS": "ignore",
        # With more the Trainer would train on all of them.
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0],
    }
    if task.get("side") == "ours":
        # As train.py does. The Trainer's users can ask for large pages, too: set it for the whole script to see that.
        environment.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    done = subprocess.run(
        [sys.executable, str(HERE / script), str(folder / "task.json")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not (folder / "result.json").exists():
        sys.exit(f"{script} {task['side']} ended with status {done.returncode}:\n{done.stdout}")
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
