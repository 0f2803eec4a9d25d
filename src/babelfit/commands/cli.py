"""The command line of `python -m babelfit`: verbs around training and evaluation, which have commands of their own."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from babelfit.commands import verbs
from babelfit.config.regimes import REGIMES

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names."""
    given = _parser().parse_args(arguments)
    from babelfit.commands.session import told

    with told():
        given.verb(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m babelfit",
        description="What goes with training (python train.py) and evaluation (python evaluate.py).",
    )
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for add in (_fetch, _plan, _report, _sweep, _compare, _matrix, _import_predictions, _export_predictions):
        add(subparsers)
    return parser


def _fetch(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "fetch",
        help="download all that a training run needs, so that it runs without network",
        description="Download all that a training run needs from the Hugging Face Hub: the encoder's tokenizer, config "
        "and weights, and the rows of all its languages. Nothing is trained. Afterwards the same run works with "
        "HF_HUB_OFFLINE=1, also on a machine without network that sees the same cache (HF_HOME).",
        epilog="Example: python -m babelfit fetch experiment=xnli_zero_shot",
    )
    _add_overrides(parser)
    parser.set_defaults(verb=verbs.fetch)


def _plan(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "plan",
        help="say what a training run would read, do, hold and write; trains nothing",
        description="Say what a training run would read, compute, hold in memory and write to disk, and what to change "
        "where it does not fit. Nothing is trained and nothing written to outputs/; rows are tokenized and kept as for "
        "the run. With plan.probe=true a few steps are measured, to say how long it would take.",
        epilog="Example: python -m babelfit plan experiment=xnli_zero_shot plan.probe=true",
    )
    _add_overrides(parser, more=", and plan.probe=true")
    parser.set_defaults(verb=verbs.plan)


def _report(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "report",
        help="write the reports of a run or an evaluation anew",
        description="Write report.md, report.html and figures/ of a run or an evaluation anew, from what its folder "
        "holds. The texts of errors are read from the data, where these are still what the manifest says.",
        epilog="Example: python -m babelfit report outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of a run or an evaluation: outputs/NAME")
    parser.set_defaults(verb=verbs.report)


def _sweep(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "sweep",
        help="say what a sweep found: which trials are best, and whether by more than their seeds differ",
        description="Say what a sweep (python train.py -m) found, also one that goes on: trials in order, groups that "
        "differ in seed alone, what choosing by source languages costs, which keys matter. It is printed, and written "
        "into the folder of the sweep as sweep.csv, sweep.json, sweep.md and sweep.png.",
        epilog="Example: python -m babelfit sweep outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of the sweep: outputs/NAME")
    parser.set_defaults(verb=verbs.sweep)


def _compare(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "compare",
        help="say whether a run is better than another, by language and in the mean, or whether one can't tell",
        description="Test, from predictions alone, whether the second run is better than the first, and each further "
        "one: paired tests on the same examples by language, corrected for their number, and the mean over target "
        "languages. Of several seeds on both sides, the spread over seeds is tested instead.",
        epilog="Example: python -m babelfit compare outputs/ONE outputs/OTHER",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="the folder of a run or an evaluation; or several that differ in seed alone: with commas, or a sweep's",
    )
    _add_split(parser, default="test where all have it, else validation")
    _add_files(parser)
    parser.set_defaults(verb=verbs.compare)


def _matrix(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "matrix",
        help="lay out what runs with different source languages score in each language",
        description="Lay out the scores of runs with different source languages: a row a run, a column a language, and "
        "the mean over the row's target languages.",
        epilog="Example: python -m babelfit matrix outputs/from-en outputs/from-de outputs/from-en-de",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run, an evaluation or a sweep")
    _add_split(parser, default="test where all have it, else validation")
    _add_files(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page, a heat map")
    parser.add_argument("--png", type=Path, metavar="FILE", help="also write it as a picture")
    parser.set_defaults(verb=verbs.matrix)


def _import_predictions(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "import-predictions",
        help="score predictions that were made elsewhere",
        description="Take predictions that were made elsewhere into outputs/NAME, check them against the data, score "
        "and report them like an evaluation. Files are those of XTREME's submissions (test-LL.tsv, a predicted label a "
        "line; of tagging a tag a line and an empty line between sentences), or plain TSV (test-LL.tsv with a header: "
        "index, gold, predicted, and probabilities where there are).",
        epilog="Example: python -m babelfit import-predictions submission/ --format xtreme --data xnli --folder DATA "
        "--name theirs",
    )
    parser.add_argument("files", type=Path, metavar="FILE_OR_FOLDER", help="one language's file, or their folder")
    parser.add_argument("--data", required=True, metavar="NAME", help="the dataset, as in data=NAME")
    parser.add_argument("--folder", required=True, metavar="FOLDER", help="where it lies, as in data.folder=FOLDER")
    parser.add_argument("--name", required=True, help="predictions, scores and report go to outputs/NAME")
    parser.add_argument("--sources", default="en", metavar="LL,LL", help="what the model was trained on (default: en)")
    regimes = [regime for regime in REGIMES if regime != "few_shot"]  # which would have to say how few
    parser.add_argument("--regime", choices=regimes, help="what it saw of the target languages (default: unknown)")
    _add_format(parser)
    _add_split(parser, default="test")
    parser.set_defaults(verb=verbs.import_predictions)


def _export_predictions(subparsers: "Verbs") -> None:
    parser = subparsers.add_parser(
        "export-predictions",
        help="write a run's predictions in the format of XTREME's submissions, or as plain TSV",
        description="Write a run's predictions as files of XTREME's submissions or as plain TSV, one a language.",
        epilog="Example: python -m babelfit export-predictions outputs/NAME --format xtreme --to submission/",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run or an evaluation")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the files go")
    _add_format(parser)
    _add_split(parser, default="test where there are predictions of it, else validation")
    parser.set_defaults(verb=verbs.export_predictions)


def _add_overrides(parser: argparse.ArgumentParser, *, more: str = "") -> None:
    told = f"the overrides given to train.py (no options of its, such as -m){more}"
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=told)


def _add_split(parser: argparse.ArgumentParser, *, default: str) -> None:
    parser.add_argument("--split", choices=("validation", "test"), help=f"default: {default}")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", required=True, choices=("xtreme", "tsv"))


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write it as JSON, fractions of 1")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write it as Markdown")
