"""`babelfit compare`: whether one run is better than another."""

import argparse

from babelfit.commands.options import Verbs, add_files, add_split


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "compare",
        help="test whether a run is better than another, by language and in the mean, or whether that is undecided",
        description="Test, from predictions alone, whether the second run is better than the first, and each further "
        "one: paired tests on the same examples by language, corrected for the number of tests, and the mean over "
        "target languages. With several seeds on both sides, the spread over seeds is tested instead.",
        epilog="Example: babelfit compare outputs/ONE outputs/OTHER",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="the folder of a run or an evaluation; or several that differ in seed alone: with commas, or a sweep's",
    )
    add_split(parser, default="test where all have it, else validation")
    add_files(parser)
    parser.set_defaults(verb=compare)


def compare(given: argparse.Namespace) -> None:
    """Compare runs with the first of them, and print and write what came out."""
    from babelfit.commands.tables import print_and_write
    from babelfit.comparing import compare as comparing
    from babelfit.comparing.comparison_sheets import sheets

    compared = comparing.compare(given.runs, split=given.split)
    print_and_write(compared, given, sheets=sheets(compared))
