"""`babelfit export-predictions`: a run's predictions in another format."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs, add_format, add_split


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "export-predictions",
        help="write a run's predictions in the format of XTREME's submissions, or as plain TSV",
        description="Write a run's predictions as files of XTREME's submissions or as plain TSV, one per language.",
        epilog="Example: babelfit export-predictions outputs/NAME --format xtreme --to submission/",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a run or an evaluation")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the files go")
    add_format(parser)
    add_split(parser, default="test where there are predictions of it, else validation")
    parser.set_defaults(verb=export_predictions)


def export_predictions(given: argparse.Namespace) -> None:
    """Write a run's predictions in another format."""
    from babelfit.exchange import exchange

    exchange.export_predictions(given.run, format=given.format, to=given.to, split=given.split)
