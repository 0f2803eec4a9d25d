"""`babelfit sweep`: what a sweep found."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "sweep",
        help="summarize a sweep: which trials are best, and whether by more than their seeds differ",
        description="Summarize a sweep (babelfit train -m), finished or still running: trials in order, groups that "
        "differ in seed alone, what choosing by source languages costs, which keys matter. The summary is printed, and "
        "written into the folder of the sweep as sweep.csv, sweep.json, sweep.md and sweep.png.",
        epilog="Example: babelfit sweep outputs/NAME",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder of the sweep: outputs/NAME")
    parser.set_defaults(verb=sweep)


def sweep(given: argparse.Namespace) -> None:
    """Print what a sweep found, and write it into its folder."""
    from babelfit.reports import sweep_files

    sweep_files.report_sweep(Path(given.folder))
