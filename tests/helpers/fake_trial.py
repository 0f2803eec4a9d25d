"""In the place of train.py in tests of sweeps: a trial that takes no time and ends as it is told to.

Its score follows from its settings. faults.json in the working folder says what befalls which: {"seed=2": "killed"}.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from babelfit.scoring.objectives import objectives
from babelfit.transfer.numbers import transfer_numbers

LANGUAGES = {"en": 0.0, "de": -0.1, "sw": -0.2}


def main() -> None:
    """Write what a run writes as far as a sweep reads it."""
    settings = dict(argument.split("=", 1) for argument in sys.argv[1:])
    folder = Path("outputs") / settings["name"]
    with Path("started.txt").open("a") as file:
        job = os.environ.get("SLURM_JOB_ID", "no-job")
        file.write(f"{folder.name} {os.environ.get('OMP_NUM_THREADS')} {job}\n")
    faults = json.loads(Path("faults.json").read_text()) if Path("faults.json").exists() else {}
    fault = next((fault for setting, fault in faults.items() if setting in sys.argv), None)
    if fault == "slow to begin":
        Path("endless.txt").touch()
        time.sleep(60)
    if fault == "slow":
        time.sleep(1)
    if fault == "refused":
        sys.stderr.write("10:00:00 looking\nerror data.folder=x: no such folder;\ngive another\n")
        sys.exit(2)
    folder.mkdir(parents=True, exist_ok=True)
    status = folder / "status.json"
    if fault == "failed":
        status.write_text(json.dumps({"state": "failed", "why": "the loss of step 3 is not finite"}))
        sys.exit(2)
    status.write_text(json.dumps({"state": "running", "process": os.getpid(), "host": "here"}))
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "stopped":
        status.write_text(json.dumps({"state": "interrupted", "why": "by SIGTERM"}))
        sys.exit(75)
    if fault == "pruned":
        status.write_text(json.dumps({"state": "pruned", "why": "below the others' median"}))
        return
    if fault == "endless":

        def end(number: int, _: object) -> None:
            status.write_text(json.dumps({"state": "interrupted", "why": "by a signal"}))
            sys.exit(130 if number == signal.SIGINT else 75)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        Path("endless.txt").touch()
        time.sleep(60)
    score = 0.5 + 0.01 * float(settings.get("seed", 0)) + float(settings.get("optimization.warmup", 0)) / 10
    main_scores = {language: score + less for language, less in LANGUAGES.items()}
    scores = {
        "schema": 1,
        "data": "xnli",
        "split": "validation",
        "metric": "accuracy",
        "source_languages": ["en"],
        "languages": {language: {"accuracy": one, "f1": one, "examples": 9} for language, one in main_scores.items()},
        "transfer": transfer_numbers(main_scores, source_languages=["en"]),
    }
    (folder / "scores").mkdir(exist_ok=True)
    (folder / "scores" / "validation.json").write_text(json.dumps(scores))
    for part in ("model", "checkpoints"):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / "weights").write_text("")
    of_run = objectives(main_scores, source_languages=["en"], languages=list(main_scores))
    status.write_text(json.dumps({"state": "complete", "objectives": of_run}))


main()
