"""Send SIGTERM and SIGUSR1 to training runs at random moments, and see how each ends and whether anything is lost.

    python benchmarks/signal_soak.py --signals 200

A run of dropout and all is started, gets a signal at a random moment of as long as a whole run takes, is started again,
and so on until it is complete; then it is compared, bit for bit, with one that was left alone, and the next begins. The
processes are forked from this one, which has imported the stack, so the moments are those of a run and not of imports.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import crash_soak
from forked import Forked

RESULTS = Path(__file__).resolve().parent / "results" / "signal_soak.json"
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
STEPS = 60
STOPPED = 75
OVERDUE = 60
"""Seconds after which a run is taken for one that lost its signal."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    import babelfit.training  # noqa: F401  # what the processes shall not need to import

    with tempfile.TemporaryDirectory() as folder:
        results = soak(Path(folder), signals=options.signals, seed=options.seed)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))
    if wrong := [one for one in results["sent"] if not one["right"]]:
        sys.exit(f"{len(wrong)} of {len(results['sent'])} signals were not answered: {wrong[0]}")
    if not all(all(equal.values()) for equal in results["equal"]):
        sys.exit("a run that was stopped is not equal to the one left alone")


def soak(folder: Path, *, signals: int, seed: int) -> dict[str, Any]:
    """Send all signals and compare the runs that come to their end."""
    chance = random.Random(seed)
    runs = folder / "outputs"
    started = time.monotonic()
    for name in ("first", "whole"):  # the first writes the sample and its tokens
        began = time.monotonic()
        assert start(folder, name=name).wait() == 0, (folder / crash_soak.OUTPUT).read_text()
        seconds = time.monotonic() - began
    sent: list[dict[str, Any]] = []
    equal: list[dict[str, bool]] = []
    while len(sent) < signals:
        after = chance.uniform(0, seconds)
        process = start(folder, name="stopped")
        time.sleep(after)
        if process.poll() is None:
            sent.append(stop(process, runs / "stopped", number=chance.choice(SIGNALS), after=after))
            print(f"signal {len(sent)} of {signals}: {sent[-1]}", flush=True)
        elif process.returncode != 0:
            sys.exit(f"the training command failed:\n{(folder / crash_soak.OUTPUT).read_text()}")
        if state(runs / "stopped") == "complete":
            equal.append(crash_soak.compare(runs / "whole", runs / "stopped"))
            shutil.rmtree(runs / "stopped")
    return {
        "seconds_of_a_run": round(seconds, 2),
        "seconds_in_all": round(time.monotonic() - started, 1),
        "runs_compared": len(equal),
        "equal": equal,
        "sent": sent,
    }


def start(folder: Path, *, name: str) -> Forked:
    """Start the training command, the same each time but for the name."""
    command = [sys.executable, *crash_soak.command(name=name, steps=STEPS)]
    with (folder / crash_soak.OUTPUT).open("w") as output:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "BABELFIT_CACHE": str(folder / "cache")}
        return Forked(command, cwd=folder, env=environment, stdout=output, stderr=output)


def stop(process: Forked, run: Path, *, number: signal.Signals, after: float) -> dict[str, Any]:
    """Send a signal and say how the process ended."""
    before = state(run)
    sent = time.monotonic()
    process.send_signal(number)
    try:
        status = process.wait(OVERDUE)
    except Exception:
        process.kill()
        status = process.wait()
    found = state(run)
    if status == -number:  # before the command had begun its work, as any program ends
        right = found == before
    else:
        right = (status == STOPPED and found in (None, "interrupted")) or (status == 0 and found == "complete")
    return {
        "signal": number.name,
        "after": round(after, 2),
        "status": status,
        "state": found,
        "seconds": round(time.monotonic() - sent, 2),
        "right": right,
    }


def state(run: Path) -> str | None:
    """Return what a run says of itself; None where there is none yet."""
    path = run / "status.json"
    return str(json.loads(path.read_text())["state"]) if path.exists() else None


def table(results: dict[str, Any]) -> str:
    """Lay the results out as Markdown."""
    ended = Counter((one["status"], one["state"] or "no folder yet") for one in results["sent"])
    seconds = sorted(one["seconds"] for one in results["sent"])
    are_equal = all(all(one.values()) for one in results["equal"])
    lines = [
        f"{len(seconds)} signals over runs of {results['seconds_of_a_run']} s, {results['seconds_in_all']:.0f} s",
        f"from signal to end: median {seconds[len(seconds) // 2]} s, longest {seconds[-1]} s",
        f"{results['runs_compared']} runs came to their end, {'all' if are_equal else 'NOT all'} equal to the one left "
        "alone, bit for bit",
        "",
        "| exit status | state of the run | signals |",
        "|---|---|---|",
        *(f"| {status} | {found} | {number} |" for (status, found), number in ended.most_common()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
