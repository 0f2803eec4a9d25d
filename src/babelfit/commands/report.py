"""`python -m babelfit report`: the reports of a run or an evaluation, written anew."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "report",
        help="write the reports of a run or an evaluation anew",
        description="Write report.md, report.html and figures/ of a run or an evaluation anew, from what its folder "
        "holds. The texts of errors are read from the data, where these are still what the manifest says.",
        epilog="Example: python -m babelfit report outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of a run or an evaluation: outputs/NAME")
    parser.set_defaults(verb=report)


def report(given: argparse.Namespace) -> None:
    """Write the reports of a run or an evaluation anew."""
    from babelfit.reports import rewriting

    rewriting.rewrite(Path(given.folder))
