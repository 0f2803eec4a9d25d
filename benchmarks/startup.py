"""Start a training on generated rows in XNLI's layout, and measure what passes until the first optimizer step begins.

    python benchmarks/startup.py

For each size the same command is started in two fresh processes: the first tokenizes, the second reads the token cache.
Each ends as its first step begins. The model is as small as can be: this measures the data, not the training. The
largest size is that of translate-train-all, 15 languages of 392,702 rows.
"""

import argparse
import json
import os
import platform
import random
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import torch
import transformers
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results" / "startup.json"
LANGUAGES = ("en", "ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
LABELS = ("entailment", "neutral", "contradiction")
OTHER_ROWS = 500  # of the dev and of the test file
SUBWORDS = 45  # a pair, as in XNLI, with the three or four special ones
BYTES_PER_ROW = 500  # on disk, text and tokens together; what was measured, rounded up
SENTENCES = 20_000  # a language, of which pairs are drawn
ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st", "tr", "pl", "sh", "")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ou")
CODAS = ("", "", "n", "r", "s", "l", "nd", "st")


class Size(NamedTuple):
    """How many rows are trained on."""

    languages: tuple[str, ...]
    rows: int  # in each language

    @property
    def total(self) -> int:
        return self.rows * len(self.languages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=392_702, help="rows of a language (default: XNLI's 392,702)")
    parser.add_argument("--languages", type=int, default=len(LANGUAGES), help="languages of the largest size (15)")
    parser.add_argument("--encoder", default="mini", help="folder with another tokenizer and config.json")
    parser.add_argument("--cold", action="store_true", help="start once more, with no file in the page cache")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made, instead of the system's place")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and how much disk it takes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.rows < 100 or not 1 <= options.languages <= len(LANGUAGES):
        parser.error(f"give at least 100 rows, and 1 to {len(LANGUAGES)} languages")
    sizes = [Size(LANGUAGES[:1], options.rows // 10), Size(LANGUAGES[:1], options.rows)]
    if options.languages > 1:
        sizes.append(Size(LANGUAGES[: options.languages], options.rows))
    place = options.folder or Path(tempfile.gettempdir())
    needed, free = max(size.total for size in sizes) * BYTES_PER_ROW, shutil.disk_usage(place).free
    print(f"sizes: {', '.join(f'{size.total:,}' for size in sizes)} rows, one after the other, each started twice")
    print(f"disk: {needed / 1e9:.1f} GB are needed in {place}, {free / 1e9:.1f} GB are free")
    if needed > free:
        sys.exit("too little disk: name another --folder, or shrink it with --rows and --languages")
    if options.dry_run:
        return
    pieces, per_word = of_tokenizer(options.encoder)
    measured = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            measured.append(measure(size, Path(folder), options=options, pieces=pieces, per_word=per_word))
        print(table(measured), flush=True)
    results = {
        "command": ["benchmarks/startup.py", *sys.argv[1:]],
        "encoder": options.encoder if options.encoder == "mini" else Path(options.encoder).name,
        "machine": machine(),
        "bytes_per_row": growth(measured),
        "sizes": measured,
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=2) + "\n")
    print(f"private memory grows by {results['bytes_per_row']:.0f} bytes a row at the second start")


def measure(
    size: Size, folder: Path, *, options: argparse.Namespace, pieces: list[str], per_word: float
) -> dict[str, Any]:
    """Generate rows and start the same training twice."""
    begun = time.perf_counter()
    write_rows(folder / "data", size=size, pieces=pieces, per_word=per_word)
    generated = time.perf_counter() - begun
    starts, inodes = {}, []
    for which in ("first", "second", "cold") if options.cold else ("first", "second"):
        if which == "cold":
            forget(folder)
        starts[which] = start(folder, which=which, size=size, options=options)
        inodes.append({path: path.stat().st_ino for path in (folder / "cache" / "tokens").iterdir()})
        if inodes[-1] != inodes[0]:
            sys.exit(f"the {which} start has tokenized again, so it shows nothing")
    tokens = sum(path.stat().st_size for path in inodes[0])
    rows = size.total + OTHER_ROWS * (len(size.languages) + 1)
    text = sum(path.stat().st_size for path in (folder / "data").rglob("*.tsv"))
    return {
        "rows": size.total,
        "languages": len(size.languages),
        "seconds_to_generate": round(generated, 1),
        "bytes_of_text": text,
        "bytes_of_tokens": tokens,
        "tokens_per_row": starts["first"]["tokens_per_row"],
        # Of all files, with reading and writing.
        "rows_per_second": round(rows / starts["first"]["seconds_in_tokens"]),
        "starts": starts,
    }


def write_rows(folder: Path, *, size: Size, pieces: list[str], per_word: float) -> None:
    """Write rows as they lie in XTREME: pairs of sentences drawn from many, in a vocabulary of each language."""
    (folder / "xnli").mkdir(parents=True)
    for number, language in enumerate(tqdm(size.languages, desc="Generating", unit=" languages", leave=False)):
        rows = pairs(random.Random(number), pieces=pieces, per_word=per_word)
        for split, num_rows in (("train", size.rows), ("dev", OTHER_ROWS), ("test", OTHER_ROWS)):
            with (folder / "xnli" / f"{split}-{language}.tsv").open("w", encoding="utf-8") as file:
                file.writelines(next(rows) for _ in range(num_rows))


def pairs(chance: random.Random, *, pieces: list[str], per_word: float) -> Iterator[str]:
    """Make rows without end; premises have twice the words of hypotheses, and both spread as widely as theirs."""
    words = vocabulary(chance, pieces=pieces)
    mean = (SUBWORDS - 4) / per_word / 3  # words of a hypothesis

    def sentences(mean: float) -> list[str]:
        lengths = [max(1, round(chance.gammavariate(3, mean / 3))) for _ in range(SENTENCES)]
        return [" ".join(chance.choices(words, k=length)) for length in lengths]

    premises, hypotheses = sentences(2 * mean), sentences(mean)
    while True:
        for first, second in zip(chance.choices(premises, k=10_000), chance.choices(hypotheses, k=10_000), strict=True):
            yield f"{first}\t{second}\t{LABELS[chance.randrange(3)]}\n"


def vocabulary(chance: random.Random, *, pieces: list[str]) -> list[str]:
    """Choose the words of a language, the frequent ones many times: four of five known to the tokenizer, one not."""

    def invented() -> str:
        syllables = (chance.choice(ONSETS) + chance.choice(VOWELS) + chance.choice(CODAS) for _ in range(3))
        return "".join(islice(syllables, chance.choice((1, 2, 2, 3))))

    words = [chance.choice(pieces) if chance.random() < 0.8 else invented() for _ in range(5_000)]
    return [word for rank, word in enumerate(words) for _ in range(1 + 500 // (rank + 1))]


def of_tokenizer(encoder: str) -> tuple[list[str], float]:
    """Say which whole words a tokenizer knows, and into how many pieces it cuts a word of ours on average."""
    from babelfit.encoder.loading import MINI, load_tokenizer

    tokenizer = load_tokenizer(MINI if encoder == "mini" else encoder)
    pieces = sorted(name[1:] for name in tokenizer.get_vocab() if name[0] == "▁" and name[1:].isalpha())
    words = random.Random(0).choices(vocabulary(random.Random(0), pieces=pieces), k=10_000)
    ids = tokenizer(" ".join(words), add_special_tokens=False, verbose=False)["input_ids"]
    return pieces, len(ids) / len(words)


def forget(folder: Path) -> None:
    """Drop the rows and their tokens from the page cache, as a machine does that was started anew."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def start(folder: Path, *, which: str, size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """Start the training command in a process of its own, and give what it measured when its first step began."""
    results = folder / "begun.json"
    overrides = [
        "data=xnli",
        f"data.folder={folder / 'data'}",
        f"data.train_languages=[{','.join(size.languages)}]",
        "data.languages=[en]",
        "optimization.batch_size=32",
        "encoder=mini_random",
        "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
        "trainer.accelerator=cpu",
        "resume=never",
        f"name={which}",
    ]
    if options.encoder != "mini":
        overrides.append(f"encoder.path={Path(options.encoder).resolve()}")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "BABELFIT_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, BEGIN, str(results), str(time.time()), *overrides]
    print(f"{size.total:,} rows: {which} start", flush=True)
    results.write_text("")
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=None, check=False)
    if done.returncode != 0 or not results.read_text():
        sys.exit(f"the training command failed with status {done.returncode}")
    found: dict[str, Any] = json.loads(results.read_text())
    return found


BEGIN = "--begin"
"""The first argument of the process that is measured: where its numbers go, when it was started, train.py's own."""


def begin(results: Path, started: float, overrides: list[str]) -> None:
    """Run train.py up to its first step, write down time and memory, and end there."""
    sys.argv = ["train.py", *overrides]
    import babelfit.training  # noqa: F401  # all that train.py imports sooner or later
    from babelfit.batches.ragged import Examples
    from babelfit.data import splits
    from babelfit.finetuning.finetuner import Finetuner

    imported, before = time.time(), memory()
    seconds_in_tokens = 0.0
    tokenized = splits.tokenized

    def timed(*arguments: Any, **more: Any) -> Any:
        nonlocal seconds_in_tokens
        begun = time.time()
        try:
            return tokenized(*arguments, **more)
        finally:
            seconds_in_tokens += time.time() - begun

    def measured(self: Any, step: Any, _: int) -> None:
        begun, after = time.time(), memory()
        data = self.trainer.datamodule
        examples = Examples([(0, data.open("train", language)) for language in data.train_languages])
        numbers = {
            "seconds_to_import": round(imported - started, 2),
            "seconds_to_step": round(begun - imported, 2),
            "seconds_in_tokens": round(seconds_in_tokens, 3),
            "private_bytes_after_import": before["RssAnon"],
            "private_bytes": after["RssAnon"],
            "peak_bytes": after["VmHWM"],
            "milliseconds_a_step_of_32_rows": milliseconds(examples, rows=32),
            "milliseconds_a_step_of_256_rows": milliseconds(examples, rows=256),
            "tokens_per_row": round(float(examples.lengths.mean()), 1),
        }
        results.write_text(json.dumps(numbers))
        sys.stderr.flush()
        os._exit(0)

    splits.tokenized = timed
    Finetuner.training_step = measured  # type: ignore[method-assign]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")


def milliseconds(examples: Any, *, rows: int) -> float:
    """Measure how long it takes to build a step of so many rows, at random places: the median of many."""
    from babelfit.batches.steps import TrainingSteps

    steps = TrainingSteps(examples, batch_size=rows, tokens_per_device=16_384, seed=2)
    number = min(200, len(steps))
    steps[0, 0]  # draws the order of the epoch
    seconds = []
    for step in range(number):
        begun = time.perf_counter()
        steps[0, step]
        seconds.append(time.perf_counter() - begun)
    return round(1000 * float(np.median(seconds)), 2)


def memory() -> dict[str, int]:
    """Read this process's memory in bytes: RssAnon is its own, without mapped files, and VmHWM the peak of all."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "VmHWM"))}


def growth(measured: list[dict[str, Any]]) -> float:
    """Say by how many bytes private memory grows with each row, from the smallest size to the largest."""
    rows, private = zip(*((one["rows"], one["starts"]["second"]["private_bytes"]) for one in measured), strict=True)
    return round((private[-1] - private[0]) / (rows[-1] - rows[0]), 1)


def machine() -> dict[str, Any]:
    """Describe what the numbers depend on."""
    packages = {module.__name__: module.__version__ for module in (torch, transformers, datasets, pa, np)}
    return {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version(), **packages}


def table(measured: list[dict[str, Any]]) -> str:
    """Lay the results out as Markdown."""
    lines = [
        "| rows | languages | start | imports | to the first step | rows/s tokenized | private memory "
        "| peak with mapped pages | step of 32 | of 256 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        for which, numbers in one["starts"].items():
            rate = f"{one['rows_per_second']:,}" if which == "first" else ""
            cells = (
                f"{one['rows']:,}",
                one["languages"],
                which,
                f"{numbers['seconds_to_import']:.1f} s",
                f"{numbers['seconds_to_step']:.1f} s",
                rate,
                f"{numbers['private_bytes'] / 1e6:.0f} MB",
                f"{numbers['peak_bytes'] / 1e6:.0f} MB",
                f"{numbers['milliseconds_a_step_of_32_rows']:.1f} ms",
                f"{numbers['milliseconds_a_step_of_256_rows']:.1f} ms",
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:2] == [BEGIN]:
        begin(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
    else:
        main()
