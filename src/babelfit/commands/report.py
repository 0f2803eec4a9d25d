"""`babelfit report`: the reports of a run or an evaluation, written anew."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs, add_tables


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "report",
        help="write the reports of a run or an evaluation anew",
        description="Write report.md, report.html and figures/ of a run or an evaluation anew, from what its folder "
        "holds. The texts of errors are read from the data, where these are still what the manifest says.",
        epilog="Example: babelfit report outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of a run or an evaluation: outputs/NAME")
    add_tables(parser)
    parser.set_defaults(verb=report)


def report(given: argparse.Namespace) -> None:
    """Write the reports of a run or an evaluation anew, and its tables of scores into further files."""
    from babelfit.commands.tables import write_tables
    from babelfit.reports import rewriting, words

    all_scores = rewriting.rewrite(Path(given.folder))
    write_tables(given, sheets=[words.sheet(scores) for scores in all_scores])
