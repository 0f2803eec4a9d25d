"""The command line of `python -m babelfit`: verbs around training and evaluation, which have commands of their own."""

import argparse
from collections.abc import Sequence

from babelfit.commands import (
    compare,
    export_predictions,
    fetch,
    import_predictions,
    matrix,
    plan,
    report,
    sweep,
)

VERBS = (fetch, plan, report, sweep, compare, matrix, import_predictions, export_predictions)
"""A file each, whose heavy imports stay inside of its function, so that --help is quick."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names."""
    given = _parser().parse_args(arguments)
    from babelfit.commands.session import cli_session

    with cli_session():
        given.verb(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m babelfit",
        description="What goes with training (python train.py) and evaluation (python evaluate.py).",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser
