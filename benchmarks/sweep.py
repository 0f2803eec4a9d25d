"""Sweep over real rows while trials fail and everything is killed, then compare and show what came out.

    python benchmarks/sweep.py

Two sweeps of a small encoder with random weights (XLM-R's architecture and real tokenizer) on PAN-X: English sentences,
span F1 in six languages.

1. A grid, three seeds by two learning rates, once trial after trial and once two at a time, with as many threads. All
   that a trial leaves (exported weights, metrics.csv, predictions, scores) must be equal bit for bit.
2. A search of twelve trials for the best mean over the target languages' dev sets. One trial finds a stray file in its
   folder's place, one is killed by SIGKILL, and the sweep itself is killed by SIGKILL twice in the middle of a trial
   and started again. It must end with twelve recorded trials and the right best, and no trial may lose more than the
   steps since its last checkpoint.

The ledgers of both go to evidence/sweep/, their pictures to docs/images/.
"""

import argparse
import csv
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from babelfit.ledger.study import Trial, is_sweep, read_sweep
from babelfit.run.run import Run

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
STEPS = 200

COMMON = (
    "data=wikiann",
    "data.languages=[en,de,es,fi,id,sw]",
    "data.limit={train: 6000, validation: 500, test: 500}",
    "data.max_length=64",
    "encoder=xlmr_base",
    "encoder.pretrained=false",
    "encoder.revision=null",
    "encoder.overrides={num_hidden_layers: 2, hidden_size: 64, num_attention_heads: 4, intermediate_size: 128}",
    f"optimization.max_steps={STEPS}",
    "optimization.warmup=0.1",
    "validation.every=40",
    "checkpoint.every=10",
    "logger.every=10",
    "logger.tensorboard=false",
)
GRID = ("seed=1,2,3", "optimization.learning_rate=1e-3,4e-3")
SEARCH = (
    "sweep=optuna",
    "sweep.trials=12",
    "objective=target_dev",
    "optimization.learning_rate=tag(log, interval(1e-4, 3e-2))",
    "optimization.batch_size=16,32,64",
    "encoder.overrides.hidden_dropout_prob=0.0,0.1",
)
STRAY, KILLED = 3, 5  # the trials, counted from 0, that are made to fail and that are killed
SWEEP_KILLED_AT = (2, 8)  # in these, or the first after them that trains for long enough

LEFT_BY_A_TRIAL = ("model/", "metrics.csv", "predictions/", "scores/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="holds xtreme/, xlmr_base/")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "sweep.json")
    parser.add_argument("--evidence", type=Path, default=HERE / "evidence" / "sweep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), data=options.data)
        results = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "grid": grid(bench),
            "search": search(bench),
        }
        options.evidence.mkdir(parents=True, exist_ok=True)
        for name in ("grid", "search"):
            ledger = (bench.sweep(name) / "sweep.md").read_text()
            ledger = ledger.replace("sweep.png", f"../../../docs/images/sweep-{name}.png")
            ledger = ledger.replace(str(options.data.resolve()), "DATA")
            (options.evidence / f"{name}.md").write_text(ledger)
            shutil.copyfile(bench.sweep(name) / "sweep.png", ROOT / "docs" / "images" / f"sweep-{name}.png")
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    if not all((*results["grid"]["equal"].values(), *results["search"]["holds"].values())):
        sys.exit("not as it should be: see above")


class Bench:
    """A folder in which sweeps are started, each a command as a user types it."""

    def __init__(self, folder: Path, *, data: Path) -> None:
        self.folder = folder
        data = data.resolve()
        self._common = (*COMMON, f"data.folder={data}/xtreme", f"encoder.path={data}/xlmr_base")
        # One thread for each trial, so that those side by side round as those in turn do.
        self._environment = os.environ | {"OMP_NUM_THREADS": "1", "BABELFIT_CACHE": str(folder / "cache")}

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(ROOT / "train.py"), "-m", f"name={name}", *self._common, *arguments]
        with (self.folder / f"{name}.txt").open("a") as said:
            return subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=said, stderr=said, text=True
            )

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text()

    def sweep(self, name: str) -> Path:
        return self.folder / "outputs" / name

    def trials(self, name: str) -> list[Trial]:
        folder = self.sweep(name)
        return read_sweep(folder).trials if is_sweep(folder) else []


def grid(bench: Bench) -> dict[str, Any]:
    """Run the grid both ways and compare what the trials left."""
    seconds = {}
    for name, workers in (("grid", 1), ("grid-two-at-a-time", 2)):
        begun = time.monotonic()
        status = bench.start(name, *GRID, f"sweep.workers={workers}").wait()
        seconds[name] = round(time.monotonic() - begun, 1)
        if status:
            sys.exit(bench.said(name))
    trials = [one.folder.name for one in bench.trials("grid")]
    other = {one.folder.name for one in bench.trials("grid-two-at-a-time")}
    left = [digests(bench.sweep("grid") / name) for name in trials]
    right = [digests(bench.sweep("grid-two-at-a-time") / name) for name in trials]
    return {
        "trials": len(trials),
        "seconds": seconds,
        "files compared": sum(map(len, left)),
        "equal": {
            "trials": set(trials) == other,
            **{kind: part(left, kind) == part(right, kind) for kind in LEFT_BY_A_TRIAL},
        },
    }


def part(of_trials: list[dict[str, str]], kind: str) -> list[dict[str, str]]:
    chosen = [{name: digest for name, digest in one.items() if name.startswith(kind)} for one in of_trials]
    assert all(chosen), f"no trial left {kind}"
    return chosen


def digests(folder: Path) -> dict[str, str]:
    """Hash what a trial left, by its path in the folder."""
    files = [*folder.glob("model/*"), *folder.glob("predictions/*/*"), *folder.glob("scores/*"), folder / "metrics.csv"]
    return {str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(files)}


def search(bench: Bench) -> dict[str, Any]:
    """Run the search through all that befalls it, and check what it recorded."""
    begun = time.monotonic()
    befallen: list[str] = []
    starts = 0
    killed_at = [*SWEEP_KILLED_AT]
    done: set[int] = set()
    cut_off: dict[int, int] = {}  # trial: the checkpoint that it had when the sweep was killed
    while True:
        starts += 1
        process = bench.start("search", *SEARCH)
        while process.poll() is None:
            time.sleep(0.02)
            for trial in bench.trials("search"):
                if trial.state != "running" or trial.number in done or trial.folder.name.startswith("unnamed"):
                    continue
                if trial.number == STRAY and not trial.folder.exists():
                    trial.folder.mkdir()
                    (trial.folder / "notes.txt").write_text("not a run")
                    befallen.append(f"trial {trial.number}: a stray file in its place")
                    done.add(trial.number)
                elif trial.number == KILLED and (step := checkpointed(trial.folder)):
                    os.kill(Run(trial.folder).status().process or 0, 9)
                    befallen.append(f"trial {trial.number}: killed after its checkpoint of step {step}")
                    done.add(trial.number)
                elif killed_at and trial.number >= killed_at[0] and (step := checkpointed(trial.folder)):
                    process.kill()
                    process.wait()
                    befallen.append(f"the sweep: killed in trial {trial.number}, after its checkpoint of step {step}")
                    cut_off[trial.number] = step
                    killed_at.pop(0)
                    break
        if process.returncode != -9:
            break
    trials = bench.trials("search")
    complete = [one for one in trials if one.state == "complete"]
    return {
        "seconds": round(time.monotonic() - begun, 1),
        "starts": starts,
        "befallen": befallen,
        "trials": [
            {
                "number": one.number,
                "state": one.state,
                "why": (one.why or "").replace(f"{bench.folder}/", "").splitlines()[:1],
                "overrides": one.overrides,
                "objectives": one.objectives,
            }
            for one in trials
        ],
        "best": best(complete, of=lambda one: one.objectives["target_dev"]).number,
        "status": process.returncode,
        "holds": {
            "twelve trials are recorded": len(trials) == 12,
            "each has ended": all(one.state != "running" for one in trials),
            "two have failed, with the reason": sorted(
                one.number for one in trials if one.state == "failed" and one.why
            )
            == [STRAY, KILLED],
            "the sweep was killed twice and says that two trials failed": starts == 3 and process.returncode == 1,
            "the recorded best is the best by the score files": best(complete, of=by_files).number
            == best(complete, of=lambda one: one.objectives["target_dev"]).number,
            "no trial lost a step": all(steps_once(one.folder) for one in complete)
            and all(went_on_from(trials[number].folder) >= step for number, step in cut_off.items()),
        },
    }


def checkpointed(folder: Path) -> int | None:
    """Say how far a trial's newest checkpoint goes, where it is in the middle of its steps."""
    rows = folder / "metrics.csv"
    if not (folder / "checkpoints" / "last.ckpt").exists() or not rows.exists():
        return None
    step = int(rows.read_text().splitlines()[-1].split(",")[0].replace("step", "0"))
    return step if 40 < step < STEPS - 40 else None


def went_on_from(folder: Path) -> int:
    """Read from a trial's log at which step its last start began."""
    found = re.findall(r"going on from .*, step (\d+)", folder.with_name(f"{folder.name}.log").read_text())
    return int(found[-1]) if found else 0


def steps_once(folder: Path) -> bool:
    with (folder / "metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["metric"] == "train/loss"]
    return steps == list(range(10, STEPS + 1, 10))


def best(trials: list[Trial], *, of: Callable[[Trial], float]) -> Trial:
    return max(trials, key=of)


def by_files(trial: Trial) -> float:
    """Compute the mean over the target languages from a trial's score file alone."""
    scores = json.loads((trial.folder / "scores" / "validation.json").read_text())["languages"]
    targets = [values["f1"] for language, values in scores.items() if language != "en"]
    return sum(targets) / len(targets)


if __name__ == "__main__":
    main()
