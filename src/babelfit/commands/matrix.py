"""`babelfit matrix`: what runs with different source languages score in each language."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs, add_files, add_split


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "matrix",
        help="tabulate what runs with different source languages score in each language",
        description="Tabulate the scores of runs with different source languages: a row per run, a column per "
        "language, and the mean over the row's target languages.",
        epilog="Example: babelfit matrix outputs/from-en outputs/from-de outputs/from-en-de",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run, an evaluation or a sweep")
    add_split(parser, default="test where all have it, else validation")
    add_files(parser)
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page, a heat map")
    parser.add_argument("--png", type=Path, metavar="FILE", help="also write it as a picture")
    parser.set_defaults(verb=matrix)


def matrix(given: argparse.Namespace) -> None:
    """Tabulate the scores of runs, and print and write them."""
    from babelfit.commands.tables import print_and_write
    from babelfit.comparing import matrix as crossing

    crossed = crossing.matrix(given.runs, split=given.split)
    print_and_write(crossed, given, sheets=[crossing.sheet(crossed)])
    if given.html is not None:
        crossing.write_page(crossed, path=given.html)
    if given.png is not None:
        crossing.draw(crossed, path=given.png)
