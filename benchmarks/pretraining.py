"""Pretrain a small encoder on real text in many languages, fine-tune it on English, and see what arrives elsewhere.

    python benchmarks/pretraining.py --minutes 60
    python benchmarks/pretraining.py --minutes 8 --batch-size 256 --learning-rate 1e-3 trainer=gpu

XLM-R's architecture in small (conf/experiment/pretrain_small.yaml) with XLM-R's tokenizer learns from the sentences of
15,000 rows of MultiNLI and their translations into nine languages (masked language modeling, and translation language
modeling on their pairs with English), and from the training sentences of PAN-X. Then it is fine-tuned on English NLI
rows, beside the same architecture with random weights, and both are scored on the 15 dev languages of XNLI. No sentence
of these is among those learned from. Pretraining stops after the minutes given; the steps are those that a measured
probe says fit into them, so that the schedule ends where training does. Keys of train.py behind the options hold for
all runs.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import machine

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
ENCODER = ("encoder=xlmr_base", "encoder.revision=null")
SMALL = (
    "encoder.pretrained=false",
    "encoder.overrides={num_hidden_layers: 6, hidden_size: 384, num_attention_heads: 6, intermediate_size: 1536}",
)
PROBE_STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="holds xtreme/, multinli_15k/, xlmr_base/"
    )
    parser.add_argument("--minutes", type=float, default=60, help="of pretraining (default: 60)")
    parser.add_argument("--batch-size", type=int, default=32, help="of pretraining (default: 32)")
    parser.add_argument("--learning-rate", type=float, default=5e-4, help="of pretraining (default: 5e-4)")
    parser.add_argument("--rows", type=int, help="of MultiNLI, the first so many (default: all)")
    parser.add_argument("--fine-tuning", type=int, default=1500, metavar="STEPS", help="default: 1500")
    parser.add_argument("--folder", type=Path, help="keep text and runs here, and go on with them (default: none)")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "pretraining.json")
    parser.add_argument("keys", nargs="*", metavar="KEY=VALUE", help="of train.py, for all runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        found = measured(folder, data=options.data.resolve(), options=options)
    options.results.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def measured(folder: Path, *, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Pretrain, fine-tune twice, and return what both score."""
    corpus = folder / "corpus"
    sentences = write_corpus(corpus, data=data, num_rows=options.rows)
    encoder = f"encoder.path={data / 'xlmr_base'}"
    pretrain = (
        "experiment=pretrain_small",
        f"data.folder={corpus}",
        encoder,
        "encoder.revision=null",
        "optimization.epochs=1000",  # the minutes end it
        f"optimization.batch_size={options.batch_size}",
        f"optimization.learning_rate={options.learning_rate}",
        *options.keys,
    )
    seconds = probed(folder, *pretrain)
    steps = max(1, int(60 * options.minutes / seconds))
    begun = time.monotonic()
    limits = ("data.limit.validation=100", f"validation.every={max(1, steps // 4)}")  # of 11 languages and 9 pairs
    run(folder, *pretrain, f"optimization.max_steps={steps}", *limits)
    minutes = (time.monotonic() - begun) / 60
    fine_tune = (
        *ENCODER,
        "data=xnli",
        f"data.folder={data / 'xtreme'}",
        f"optimization.max_steps={options.fine_tuning}",
        "optimization.learning_rate=3e-4",
        "optimization.warmup=0.1",
        "optimization.epochs=10",
        f"validation.every={max(1, options.fine_tuning // 5)}",
        *options.keys,
    )
    run(folder, *fine_tune, f"encoder.path={folder}/outputs/pretrain_small/model", "name=pretrained")
    run(folder, *fine_tune, encoder, *SMALL, "name=random")
    pretraining = json.loads((folder / "outputs" / "pretrain_small" / "scores" / "validation.json").read_text())
    return {
        "machine": machine(),
        "options": {name: value for name, value in vars(options).items() if not isinstance(value, Path)},
        "sentences": sentences,
        "steps": steps,
        "minutes": round(minutes, 1),
        "seconds_a_step": round(60 * minutes / steps, 3),
        "perplexity": {one: round(values["perplexity"], 1) for one, values in pretraining["languages"].items()},
        "accuracy_on_xnli_dev": {name: scores(folder, name) for name in ("pretrained", "random")},
    }


def write_corpus(corpus: Path, *, data: Path, num_rows: int | None) -> dict[str, int]:
    """Write a file of sentences a language, and one of pairs with English; return how many sentences each has."""
    corpus.mkdir(parents=True, exist_ok=True)
    held_out = {
        sentence
        for file in (data / "xtreme" / "xnli").glob("dev-*.tsv")
        for sentence in (cell for row in rows(file) for cell in row[:2])
    }
    translated = {
        file.stem.rpartition(".")[2]: [cell for row in rows(file)[1:][:num_rows] for cell in row[:2]]
        for file in sorted((data / "multinli_15k").glob("*.tsv"))
    }
    named = {
        file.stem.removeprefix("train-"): [
            " ".join(line.split("\t")[0] for line in sentence.splitlines())
            for sentence in file.read_text(encoding="utf-8").strip().split("\n\n")[:num_rows]
        ]
        for file in sorted((data / "xtreme" / "panx").glob("train-*.tsv"))
    }
    counts = {}
    for language in sorted(translated.keys() | named.keys()):
        sentences = dict.fromkeys([*translated.get(language, ()), *named.get(language, ())])
        kept = [sentence for sentence in sentences if sentence and sentence not in held_out]
        (corpus / f"{language}.txt").write_text("".join(f"{one}\n" for one in kept), encoding="utf-8")
        counts[language] = len(kept)
    for language, theirs in translated.items():
        if language == "en":
            continue
        pairs = dict.fromkeys(zip(translated["en"], theirs, strict=True))
        kept_pairs = [pair for pair in pairs if all(pair) and not held_out.intersection(pair)]
        text = "".join(f"{english}\t{theirs}\n" for english, theirs in kept_pairs)
        (corpus / f"en-{language}.tsv").write_text(text, encoding="utf-8")
        counts[f"en-{language}"] = len(kept_pairs)
    return counts


def rows(file: Path) -> list[list[str]]:
    """Read a table whose quotes are text."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            [cell.strip() for cell in row] for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if row
        ]


def probed(folder: Path, *arguments: str) -> float:
    """Measure the seconds of a step, from two short runs that are thrown away; a run before them reads the text."""
    short = (*arguments, "validation.every=1000", "data.limit.validation=1")
    seconds = []
    for name, steps in (("probe-reading", 1), ("probe", 1), ("probe-longer", PROBE_STEPS + 1)):
        begun = time.monotonic()
        run(folder, *short, f"name={name}", f"optimization.max_steps={steps}")
        seconds.append(time.monotonic() - begun)
    _, begin, whole = seconds
    if whole <= begin:
        sys.exit(
            f"{PROBE_STEPS} steps took no longer than none ({whole:.1f} s, {begin:.1f} s): the machine is too busy"
        )
    return (whole - begin) / PROBE_STEPS


def run(folder: Path, *arguments: str) -> None:
    """Run `python train.py` in a folder; end with what it said where it fails."""
    environment = os.environ | {"BABELFIT_CACHE": str(folder / "cache")}
    command = [sys.executable, str(ROOT / "train.py"), *arguments, "logger.tensorboard=false"]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"train.py {' '.join(arguments)}\n{done.stderr}")
    for line in done.stderr.splitlines():
        if re.search(r"examples|training|perplexity", line):
            print(line, file=sys.stderr)


def scores(folder: Path, name: str) -> dict[str, float]:
    """Read what a run scored, in percent."""
    found = json.loads((folder / "outputs" / name / "scores" / "validation.json").read_text())
    return {language: round(100 * values["accuracy"], 1) for language, values in found["languages"].items()}


if __name__ == "__main__":
    main()
