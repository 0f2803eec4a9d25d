"""The verbs of `python -m babelfit`, around training and evaluation, which have commands of their own.

Only the command line is here; heavy imports stay inside the verbs, so that --help is quick.
"""

import argparse
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from babelfit.sheets import Sheet

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names."""
    given = _parser().parse_args(arguments)
    from babelfit.commands import told

    with told():
        given.verb(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m babelfit",
        description="What goes with training (python train.py) and evaluation (python evaluate.py).",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    fetch_parser = verbs.add_parser(
        "fetch",
        help="download all that a training run needs, so that it runs without network",
        description="Download all that a training run needs from the Hugging Face Hub: the encoder's tokenizer, config "
        "and weights, and the rows of all its languages. Nothing is trained. Afterwards the same run works with "
        "HF_HUB_OFFLINE=1, also on a machine without network that sees the same cache (HF_HOME).",
        epilog="Example: python -m babelfit fetch experiment=xnli_zero_shot",
    )
    fetch_parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="the overrides given to train.py (no options of its, such as -m)",
    )
    fetch_parser.set_defaults(verb=fetch)
    plan_parser = verbs.add_parser(
        "plan",
        help="say what a training run would read, do, hold and write; trains nothing",
        description="Say what a training run would read, compute, hold in memory and write to disk, and what to change "
        "where it does not fit. Nothing is trained and nothing written to outputs/; rows are tokenized and kept as for "
        "the run. With plan.probe=true a few steps are measured, to say how long it would take.",
        epilog="Example: python -m babelfit plan experiment=xnli_zero_shot plan.probe=true",
    )
    plan_parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="the overrides given to train.py (no options of its, such as -m), and plan.probe=true",
    )
    plan_parser.set_defaults(verb=plan)
    sweep_parser = verbs.add_parser(
        "sweep",
        help="say what a sweep found: which trials are best, and whether by more than their seeds differ",
        description="Say what a sweep (python train.py -m) found, also one that goes on: trials in order, groups that "
        "differ in seed alone, what choosing by source languages costs, which keys matter. It is printed, and written "
        "into the folder of the sweep as sweep.csv, sweep.json, sweep.md and sweep.png.",
        epilog="Example: python -m babelfit sweep outputs/NAME",
    )
    sweep_parser.add_argument("folder", metavar="FOLDER", help="the folder of the sweep: outputs/NAME")
    sweep_parser.set_defaults(verb=sweep)
    compare_parser = verbs.add_parser(
        "compare",
        help="say whether a run is better than another, by language and in the mean, or whether one can't tell",
        description="Test, from predictions alone, whether the second run is better than the first, and each further "
        "one: paired tests on the same examples by language, corrected for their number, and the mean over target "
        "languages. Of several seeds on both sides, the spread over seeds is tested instead.",
        epilog="Example: python -m babelfit compare outputs/ONE outputs/OTHER",
    )
    compare_parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="the folder of a run or an evaluation; or several that differ in seed alone: with commas, or a sweep's",
    )
    compare_parser.set_defaults(verb=compare)
    matrix_parser = verbs.add_parser(
        "matrix",
        help="lay out what runs with different source languages score in each language",
        description="Lay out the scores of runs with different source languages: a row a run, a column a language, and "
        "the mean over the row's target languages.",
        epilog="Example: python -m babelfit matrix outputs/from-en outputs/from-de outputs/from-en-de",
    )
    matrix_parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run, an evaluation or a sweep")
    matrix_parser.add_argument("--png", type=Path, metavar="FILE", help="also write it as a picture")
    matrix_parser.set_defaults(verb=matrix)
    import_parser = verbs.add_parser(
        "import-predictions",
        help="score predictions that were made elsewhere",
        description="Take predictions that were made elsewhere into outputs/NAME, check them against the data, score "
        "and report them like an evaluation. Files are those of XTREME's submissions (test-LL.tsv, a predicted label a "
        "line; of tagging a tag a line and an empty line between sentences), or plain TSV (test-LL.tsv with a header: "
        "index, gold, predicted, and probabilities where there are).",
        epilog="Example: python -m babelfit import-predictions submission/ --format xtreme --data xnli --folder DATA "
        "--name theirs",
    )
    import_parser.add_argument(
        "files", type=Path, metavar="FILE_OR_FOLDER", help="one language's file, or their folder"
    )
    import_parser.add_argument("--data", required=True, metavar="NAME", help="the dataset, as in data=NAME")
    import_parser.add_argument(
        "--folder", required=True, metavar="FOLDER", help="where it lies, as in data.folder=FOLDER"
    )
    import_parser.add_argument("--name", required=True, help="predictions, scores and report go to outputs/NAME")
    import_parser.add_argument(
        "--sources", default="en", metavar="LL,LL", help="what the model was trained on (default: en)"
    )
    import_parser.set_defaults(verb=import_predictions)
    export_parser = verbs.add_parser(
        "export-predictions",
        help="write a run's predictions in the format of XTREME's submissions, or as plain TSV",
        description="Write a run's predictions as files of XTREME's submissions or as plain TSV, one a language.",
        epilog="Example: python -m babelfit export-predictions outputs/NAME --format xtreme --to submission/",
    )
    export_parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run or an evaluation")
    export_parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the files go")
    export_parser.set_defaults(verb=export_predictions)
    for one in (import_parser, export_parser):
        one.add_argument("--format", required=True, choices=("xtreme", "tsv"))
    for one, default in (
        (compare_parser, "test where all have it, else validation"),
        (matrix_parser, "test where all have it, else validation"),
        (import_parser, "test"),
        (export_parser, "test where there are predictions of it, else validation"),
    ):
        one.add_argument("--split", choices=("validation", "test"), help=f"default: {default}")
    for one in (compare_parser, matrix_parser):
        one.add_argument("--json", type=Path, metavar="FILE", help="also write it as JSON, fractions of 1")
        one.add_argument("--markdown", type=Path, metavar="FILE", help="also write it as Markdown")
    return parser


def fetch(given: argparse.Namespace) -> None:
    """Download the encoder and the data that a configuration names, where they come from the Hub."""
    from babelfit import evaluation, hub, loading
    from babelfit.commands import composed
    from babelfit.config import TrainConfig, checked

    config = checked(composed("train", given.overrides), TrainConfig)
    # Here alone, what is there already is worth a line.
    logging.getLogger(hub.__name__).setLevel(logging.DEBUG)
    path, revision = config.encoder.path, config.encoder.revision
    folder = loading.located(path, revision=revision, weights=config.encoder.pretrained)
    data = evaluation.build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=loading.load_tokenizer(path, revision=revision),
        tokens_per_device=config.trainer.tokens_per_device,
    )
    data.download()
    if config.data.folder is not None and not hub.is_snapshot(folder):
        log.info("nothing to download: encoder.path=%s and data.folder=%s are here", path, config.data.folder)
        return
    log.info("all is here; without network: HF_HUB_OFFLINE=1 python train.py %s", shlex.join(given.overrides))


def plan(given: argparse.Namespace) -> None:
    """Say what a training run of a configuration would take."""
    from babelfit.commands import composed
    from babelfit.config import TrainConfig, checked
    from babelfit.errors import UserError

    own = [override for override in given.overrides if override.startswith("plan.")]
    for override in own:
        if override not in ("plan.probe=true", "plan.probe=false"):
            raise UserError(f"{override}: of plan, there is only plan.probe=true or plan.probe=false")
    theirs = [override for override in given.overrides if override not in own]
    config = checked(composed("train", theirs), TrainConfig)
    from babelfit import plan as planning

    planning.plan(config, probe=own[-1:] == ["plan.probe=true"])


def sweep(given: argparse.Namespace) -> None:
    """Say what a sweep found, and write it into its folder."""
    from babelfit.sweep import ledger_files

    ledger_files.tell(Path(given.folder))


def compare(given: argparse.Namespace) -> None:
    """Say whether one run is better than another."""
    from babelfit import compare as comparing

    compared = comparing.compare(given.runs, split=given.split)
    laid_out = comparing.sheets(compared)
    _tell(compared, given, shown=laid_out, written=laid_out)


def matrix(given: argparse.Namespace) -> None:
    """Lay out what runs with different source languages score."""
    from babelfit import matrix as crossing

    crossed = crossing.matrix(given.runs, split=given.split)
    shown = crossing.sheets(crossed, most_columns=crossing.MOST_COLUMNS)
    _tell(crossed, given, shown=shown, written=crossing.sheets(crossed, most_columns=None))
    if given.png is not None:
        crossing.draw(crossed, path=given.png)


def _tell(
    document: Mapping[str, Any], given: argparse.Namespace, *, shown: "Sequence[Sheet]", written: "Sequence[Sheet]"
) -> None:
    """Print tables, and write what was asked for."""
    import json

    from rich.console import Console

    from babelfit import durable, sheets

    for sheet in shown:
        Console().print(sheets.terminal(sheet))
    if given.json is not None:
        durable.write_text(given.json, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if given.markdown is not None:
        durable.write_text(given.markdown, "\n".join(map(sheets.markdown, written)))


def import_predictions(given: argparse.Namespace) -> None:
    """Score predictions that were made elsewhere."""
    from babelfit import exchange
    from babelfit.commands import composed
    from babelfit.config import TrainConfig, checked

    config = checked(composed("train", [f"data={given.data}", f"name={given.name}"]), TrainConfig)
    exchange.import_predictions(
        given.files,
        format=given.format,
        config=config,
        data_folder=given.folder,
        split=given.split or "test",
        sources=given.sources.split(","),
    )


def export_predictions(given: argparse.Namespace) -> None:
    """Write a run's predictions in another format."""
    from babelfit import exchange

    exchange.export_predictions(given.run, format=given.format, to=given.to, split=given.split)
