"""`babelfit import-predictions`: score predictions that were made elsewhere."""

import argparse
from pathlib import Path

from babelfit.commands.options import Verbs, add_config_dir, add_format, add_split
from babelfit.config.regimes import REGIMES


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "import-predictions",
        help="score predictions that were made elsewhere",
        description="Take predictions that were made elsewhere into outputs/NAME, check them against the data, score "
        "and report them like an evaluation. Files are those of XTREME's submissions (test-LL.tsv, one predicted "
        "label per line; for tagging, one tag per line and an empty line between sentences), or plain TSV "
        "(test-LL.tsv with a header: index, gold, predicted, and probabilities if there are any).",
        epilog="Example: babelfit import-predictions submission/ --format xtreme --data xnli --folder DATA "
        "--name theirs",
    )
    parser.add_argument("files", type=Path, metavar="FILE_OR_FOLDER", help="one language's file, or their folder")
    parser.add_argument("--data", required=True, metavar="NAME", help="the dataset, as in data=NAME")
    parser.add_argument(
        "--folder", required=True, metavar="FOLDER", help="the dataset's folder, as in data.folder=FOLDER"
    )
    parser.add_argument("--name", required=True, help="predictions, scores and report go to outputs/NAME")
    parser.add_argument("--sources", default="en", metavar="LL,LL", help="what the model was trained on (default: en)")
    regimes = [regime for regime in REGIMES if regime != "few_shot"]  # which would have to say how few
    parser.add_argument("--regime", choices=regimes, help="what it saw of the target languages (default: unknown)")
    add_format(parser)
    add_split(parser, default="test")
    add_config_dir(parser)
    parser.set_defaults(verb=import_predictions)


def import_predictions(given: argparse.Namespace) -> None:
    """Score predictions that were made elsewhere."""
    from babelfit.commands.compose import compose_config
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.exchange import exchange

    overrides = [f"data={given.data}", f"name={given.name}"]
    config = checked(compose_config("train", overrides, config_dir=given.config_dir), TrainConfig)
    exchange.import_predictions(
        given.files,
        format=given.format,
        config=config,
        data_folder=given.folder,
        split=given.split or "test",
        sources=given.sources.split(","),
        regime=given.regime,
    )
