"""The program `babelfit`, and `python -m babelfit`: a verb, and what follows it."""

import argparse
import sys
from collections.abc import Sequence

from babelfit import __version__
from babelfit.commands import completion, evaluate, train
from babelfit.config.nearest import did_you_mean
from babelfit.devices.program import PROGRAM

WITH_HYDRA = {"train": train.run, "evaluate": evaluate.run}
"""Verbs whose command line is read by Hydra."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names."""
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    if given and given[0] in WITH_HYDRA:
        sys.argv = [f"{PROGRAM} {given[0]}", *given[1:]]
        WITH_HYDRA[given[0]]()
        return
    parser, verbs = _parser()
    if given and not given[0].startswith("-") and given[0] not in verbs:
        parser.error(f"unknown verb {given[0]}{did_you_mean(given[0], verbs) or ';'} there are {', '.join(verbs)}")
    chosen = parser.parse_args(given)
    if chosen.completion:
        sys.stdout.write(completion.script(verbs))
        return
    if "verb" not in chosen:
        parser.error(f"which verb? There are {', '.join(verbs)}")
    from babelfit.commands.session import cli_session

    with cli_session():
        chosen.verb(chosen)


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Return what reads the command line, and the names of the verbs, a file each."""
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

    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Fine-tune on some languages, and see what that is worth in others.",
        epilog=f"Completion of verbs, keys and choices in bash: {completion.LINE}",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("--completion", action="store_true", help="print what a shell needs to complete this program")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for verb in (train, evaluate, plan, fetch, report, sweep, compare, matrix, import_predictions, export_predictions):
        verb.add_parser(verbs)
    return parser, list(verbs.choices)
