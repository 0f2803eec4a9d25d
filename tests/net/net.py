"""Keep what small runs of all parts come to, and compare bit for bit after the code has changed.

    python tests/net/net.py make tests/net/net.json
    python tests/net/net.py compare tests/net/net.json

Both run the same commands, each dataset in a folder of /tmp with an empty cache, on the CPU with one thread: some four
minutes, most of them imports in the processes of ranks and trials. `compare` prints what differs, and ends with 1 where
numbers do: token caches, losses, predictions, weights, or anything that a JSON file of a run said before. Keys may be
added. Text is shown, and may change.

Another processor or another torch rounds otherwise: make and compare on the same machine. Of the scores, those that
hang on an order of summation are `ece` and the confidences of `calibration`, `interval` and all that is resampled,
means over languages and what is made of them (`price`, of which a zero may be 1e-17), perplexity and `nll`. What is
counted does not: accuracy, F1, `confusion`, `consistency`, p of permutations.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import commands
import kept
from differences import differences

WIDTH = 160

RENAMED: dict[str, str] = {"labels": "gold"}
"""Columns of the token cache that have another name now, as {"labels": "gold"}."""

TINY = (
    "encoder=mini_random",
    "encoder.overrides={num_hidden_layers: 2, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64, "
    "hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.1}",
)
WIDE = "+encoder.overrides.initializer_range=1.0"
"""Weights so far apart that examples are told from each other before anything is learned."""

TRAIN = ("train.py", "trainer=cpu", "logger.every=1", "logger.tensorboard=false", "optimization.max_steps=20")
ONE, TWO = "trainer.devices=1", "trainer.devices=2"

NLI = (*TRAIN, "data=xnli_sample", "data.languages=[en,de,sw,zh]", "data.limit={train: 400, validation: 90}",
       "optimization.learning_rate=1e-3", "trainer.tokens_per_device=300", "validation.every=7")  # fmt: skip
RANDOM = (*NLI, *TINY, WIDE, "optimization.learning_rate=3e-3")
NER = (*TRAIN, "data=wikiann", "data.folder=sample", "data.languages=[en,de,sw]", "data.max_length=16",
       "data.limit={train: 300, validation: 60, test: 90}", "optimization.learning_rate=1e-2")  # fmt: skip
PAIRS = (*TRAIN, *TINY, WIDE, "data=pawsx", "data.folder=sample", "data.languages=[en,fr,ja]",
         "data.limit={train: 400, validation: 90, test: 120}", "trainer.tokens_per_device=1000")  # fmt: skip
TEXT = (*TRAIN, *TINY, "data=text", "data.folder=sample", "data.train_languages=[de,sw,en-de]",
        "data.languages=[de,sw,en-de]", "data.max_length=48", "data.held_out=100", "data.reset_positions=true",
        "optimization.batch_size=16", "optimization.learning_rate=1e-2", "validation.every=10",
        "trainer.tokens_per_device=512")  # fmt: skip
KILLED = (*NLI, ONE, "checkpoint.every=3", "name=killed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="an empty folder to work in, which stays")
    given = parser.parse_args()
    if given.what == "make" and given.only:
        parser.error("a net is made of all parts")
    parts = [given.only] if given.only else list(PARTS)
    with tempfile.TemporaryDirectory() as temporary:
        made = cast((given.keep or Path(temporary)).resolve(), parts=parts)
    if given.what == "make":
        given.file.write_text(f"{written(made)}\n", encoding="utf-8")
        say(f"{given.file}: {given.file.stat().st_size:,} bytes")
        return
    before = json.loads(given.file.read_text(encoding="utf-8"))
    # Through JSON, as what was kept.
    found = differences(
        {part: before[part] for part in parts if part in before}, json.loads(written(made)), renamed=RENAMED
    )
    say(found.report())
    if found.wrong:
        sys.exit(1)


def cast(folder: Path, *, parts: list[str]) -> dict[str, Any]:
    """Run the commands of these parts, and return what is kept of them."""
    started = time.monotonic()
    commands.prepare()
    made = {}
    for part in parts:
        PARTS[part](folder / part, lambda what, part=part: say(f"{time.monotonic() - started:5.0f} s {part}: {what}"))
        made[part] = kept.of_folder(folder / part, root=commands.ROOT)
    say(f"{time.monotonic() - started:5.0f} s")
    return made


Saying = Callable[[str], None]


def nli(folder: Path, told: Saying) -> None:
    """Sentence pairs: all that is done with runs, once."""
    run = partial(commands.run, folder)
    told("one process")
    run(*NLI, ONE, "name=whole")
    told("killed")
    whole, killed = (folder / "outputs" / name for name in ("whole", "killed"))
    commands.kill_at(12, folder, *KILLED)
    run(*KILLED)
    for path in ("metrics.csv", "model/model.safetensors", "predictions/test/de.jsonl"):
        if (whole / path).read_bytes() != (killed / path).read_bytes():
            sys.exit(f"{path} of the run that was killed is not that of the whole one")
    told("two processes")
    run(*NLI, TWO, "name=two")
    told("from random weights, few shots, an objective")
    run(*RANDOM, "name=few", "data.regime=few_shot", "data.few_shot.k=5", "data.few_shot.languages=[sw,zh]",
        "data.sampling_exponent=0.5", "objective=target_dev")  # fmt: skip
    told("other selections")
    run(*RANDOM, "name=selections", "data.train_languages=[de]", "checkpoint.compare=true", "checkpoint.average=2")
    told("evaluate")
    run("evaluate.py", "run=outputs/whole", "split=validation", "languages=[de,fr]", "trainer=cpu")
    run("evaluate.py", "model=outputs/few/model", "data=xnli_sample", "languages=[en,ur]", "trainer=cpu",
        "name=evaluated", "data.limit.test=200")  # fmt: skip
    told("compare, matrix")
    run("babelfit", "compare", "outputs/whole", "outputs/few", "--json", "compare.json")
    run("babelfit", "matrix", "outputs/few", "outputs/selections", "--json", "matrix.json")
    told("predictions out and in")
    for format in ("xtreme", "tsv"):
        run("babelfit", "export-predictions", "outputs/few", "--format", format, "--to", f"exported/{format}")
        run("babelfit", "import-predictions", f"exported/{format}", "--format", format, "--data", "xnli",
            "--folder", "sample", "--name", f"imported-{format}")  # fmt: skip
    told("sweep")
    run(RANDOM[0], "-m", *RANDOM[1:], "name=sweep", "seed=1,2", "data.languages=[en,de]",
        "data.limit.test=90")  # fmt: skip
    run("babelfit", "sweep", "outputs/sweep")


def paraphrases(folder: Path, told: Saying) -> None:
    """Sentence pairs of another dataset."""
    told("one process")
    commands.run(folder, *PAIRS, ONE, "name=whole")


def ner(folder: Path, told: Saying) -> None:
    """Tags of words, in sentences of several windows."""
    run = partial(commands.run, folder)
    for seed in (1, 2):
        told(f"seed {seed}")
        run(*NER, ONE, f"name=seed-{seed}", f"seed={seed}")
    told("compare")
    run("babelfit", "compare", "outputs/seed-1", "outputs/seed-2", "--json", "compare.json")
    told("predictions out and in")
    run("babelfit", "export-predictions", "outputs/seed-1", "--format", "tsv", "--to", "exported/tsv")


def text(folder: Path, told: Saying) -> None:
    """Masked tokens."""
    for name, devices in {"one": ONE, "two": TWO}.items():
        told(f"on {name}")
        commands.run(folder, *TEXT, devices, f"name={name}")


PARTS = {"nli": nli, "paraphrases": paraphrases, "ner": ner, "text": text}


def written(value: Any, *, indent: str = "\n") -> str:
    """Write a net as JSON, what is short on a line of its own."""
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(short) <= WIDTH:
        return short
    deeper = f"{indent} "
    if isinstance(value, list):
        return f"[{deeper}{f',{deeper}'.join(written(one, indent=deeper) for one in value)}{indent}]"
    items = (f"{json.dumps(key, ensure_ascii=False)}: {written(one, indent=deeper)}" for key, one in value.items())
    return f"{{{deeper}{f',{deeper}'.join(items)}{indent}}}"


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
