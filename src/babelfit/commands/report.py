"""`babelfit report`: rewrites the reports of a run or an evaluation."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs, add_tables


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "report",
        help="rewrite the reports of a run or an evaluation",
        description="Rewrite report.md, report.html and figures/ of a run or an evaluation from what its folder holds. "
        "The texts of wrong predictions are read from the data, where its files are still those in the manifest.",
        epilog="Example: babelfit report outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of a run or an evaluation: outputs/NAME")
    add_tables(parser)
    parser.set_defaults(verb=report)


def report(given: argparse.Namespace) -> None:
    """Rewrite the reports of a run or an evaluation, and write its tables of scores into further files."""
    from babelfit.commands.tables import write_tables
    from babelfit.reports import rewriting, words

    all_scores = rewriting.rewrite(Path(given.folder))
    write_tables(given, sheets=[words.sheet(scores) for scores in all_scores])
