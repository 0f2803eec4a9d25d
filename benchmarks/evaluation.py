"""Take real rows through the whole evaluation, and time it.

    python benchmarks/evaluation.py

A small encoder with random weights (XLM-R's architecture, real tokenizer) is trained for a minute on English XNLI and
on English PAN-X, and scored on the 15 dev languages of XNLI (2,490 parallel rows each) and on the 16 of PAN-X. Then
everything that is made of the predictions is deleted and made again (scores with intervals, calibration, confusion,
groups, consistency; report.md, report.html, pictures, model card), by the command that a user types, and timed: all of
it, with imports. The XNLI run compares selections of its checkpoint, and a second seed is compared with it, laid out
beside it, exported and imported again. It learns a little English, and nothing arrives elsewhere, with random weights.

With --evidence, the default run's report on the bundled sample goes to evidence/evaluation/, and how its page looks in
a browser (chromium), wide and narrow, to docs/images/.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
SMALL = "encoder.overrides={num_hidden_layers: 2, hidden_size: 64, num_attention_heads: 4, intermediate_size: 128}"
COMMON = (
    "encoder=xlmr_base",
    "encoder.pretrained=false",
    "encoder.revision=null",
    SMALL,
    "optimization.warmup=0.1",
    "logger.tensorboard=false",
)
WORK = {
    "xnli": (
        "data=xnli",
        "optimization.max_steps=600",
        "optimization.learning_rate=1e-3",
        "validation.every=200",
        "checkpoint.compare=true",
        "checkpoint.average=2",
    ),
    "panx": (
        "data=wikiann",
        "data.limit.train=6000",
        "optimization.max_steps=150",
        "optimization.learning_rate=4e-3",
        "validation.every=50",
        "data.languages=[ar,de,en,es,fi,fr,hi,id,ja,ru,sw,ta,tr,ur,yo,zh]",
    ),
}
MADE_OF_PREDICTIONS = ("scores", "figures", "report.md", "report.html")
IMAGES = ROOT / "docs" / "images"
SIZES = {"report": (1400, 1100), "report-narrow": (400, 1100)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="holds xtreme/, xlmr_base/")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "evaluation.json")
    parser.add_argument("--evidence", action="store_true", help="also remake report and pictures; takes a minute")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: timed(name, folder=Path(folder), data=options.data.resolve()) for name in WORK},
        }
        results["xnli"] |= beside(Path(folder), data=options.data.resolve())
        if options.evidence:
            evidence(Path(folder), to=HERE / "evidence" / "evaluation", pictures=IMAGES)
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def command(folder: Path, script: str, *arguments: str) -> str:
    """Run one of our commands in a folder; end with what it said where it fails."""
    environment = os.environ | {"BABELFIT_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, script if script == "-m" else str(ROOT / script), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def timed(name: str, *, folder: Path, data: Path) -> dict[str, Any]:
    """Train, delete what was made of the predictions, make it again, and say what came out and how long it took."""
    places = (f"data.folder={data}/xtreme", f"encoder.path={data}/xlmr_base")
    command(folder, "train.py", f"name={name}", *COMMON, *WORK[name], *places)
    run = folder / "outputs" / name
    for made in MADE_OF_PREDICTIONS:
        path = run / made
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    begun = time.monotonic()
    command(folder, "evaluate.py", f"run=outputs/{name}", "split=validation")
    seconds = time.monotonic() - begun
    scores = json.loads((run / "scores" / "validation.json").read_text())
    return {
        "seconds": round(seconds, 1),
        "peak memory, MB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "languages": len(scores["languages"]),
        "examples": sum(one["examples"] for one in scores["languages"].values()),
        "report.html, kB": (run / "report.html").stat().st_size // 1024,
        "figures": sorted(path.name for path in (run / "figures").glob("*")),
        "transfer": scores["transfer"],
        "by language": {
            language: {key: one[key] for key in (scores["metric"], "interval", "ece", "examples")}
            for language, one in scores["languages"].items()
        },
        "consistency in all": (scores.get("consistency") or {}).get("all_alike"),
    }


def beside(folder: Path, *, data: Path) -> dict[str, Any]:
    """Take XNLI's run through what else there is: other selections, a second seed, and predictions out and in."""
    places = (f"data.folder={data}/xtreme", f"encoder.path={data}/xlmr_base")
    command(folder, "train.py", "name=other", "seed=2", *COMMON, *WORK["xnli"], "checkpoint.compare=false",
            "checkpoint.average=null", *places)  # fmt: skip
    verb = ("-m", "babelfit")
    command(folder, *verb, "compare", "outputs/xnli", "outputs/other", "--json", "compared.json")
    command(folder, *verb, "matrix", "outputs/xnli", "outputs/other", "--json", "crossed.json")
    command(folder, *verb, "export-predictions", "outputs/other", "--format", "tsv", "--to", "theirs")
    command(folder, *verb, "import-predictions", "theirs", "--format", "tsv", "--data", "xnli", "--folder",
            str(data / "xtreme"), "--name", "imported", "--split", "validation")  # fmt: skip
    own, theirs = (
        json.loads((folder / "outputs" / name / "scores" / "validation.json").read_text())["languages"]
        for name in ("other", "imported")
    )
    (comparison,) = json.loads((folder / "compared.json").read_text())["comparisons"]
    selected = json.loads((folder / "outputs" / "xnli" / "selections.json").read_text())["selections"]
    return {
        "selections": {
            one["by"]: {"target_mean": one["transfer"]["target_mean"], "price": one["price"]} for one in selected
        },
        "second seed": {row["language"]: row["verdict"] for row in comparison["languages"]},
        "imported scores equal the run's": all(own[one]["accuracy"] == theirs[one]["accuracy"] for one in own),
    }


def evidence(folder: Path, *, to: Path, pictures: Path) -> None:
    """Make the default run's report on the bundled sample, and take pictures of its page in a browser."""
    command(folder, "train.py", "name=sample", "checkpoint.compare=true", "checkpoint.average=3")
    to.mkdir(parents=True, exist_ok=True)
    run = folder / "outputs" / "sample"
    for name in ("report.html", "report.md"):
        report = (run / name).read_text()
        for place, called in ((folder / "cache", "CACHE"), (folder, "FOLDER"), (ROOT, "babelfit")):
            report = report.replace(str(place), called)
        (run / name).write_text(report)
    shutil.copyfile(run / "report.md", to / "report.md")
    for name, (width, height) in SIZES.items():
        subprocess.run(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--hide-scrollbars",
                f"--window-size={width},{height}",
                f"--screenshot={pictures / f'{name}.png'}",
                (run / "report.html").resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
