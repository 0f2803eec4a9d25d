"""Options that several verbs have in common."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_hydra_verb(verbs: Verbs, name: str, text: str, run: Callable[[], None]) -> None:
    """Add a verb whose command line Hydra reads, its --help too."""
    verbs.add_parser(name, help=text, add_help=False).set_defaults(verb=lambda _: run())


def add_overrides(parser: argparse.ArgumentParser, *, more: str = "") -> None:
    """Add the overrides of a training run, what else may stand among them, and --config-dir."""
    text = f"the overrides given to babelfit train (no options of its, such as -m){more}"
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=text)
    add_config_dir(parser)


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    """Add --config-dir, a folder of the user's own beside conf/."""
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        help="a folder that adds options to the groups of conf/ (default: babelfit.conf, where there is one)",
    )


def add_split(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add --split, saying what stands in its place where it is left out."""
    parser.add_argument("--split", choices=("validation", "test"), help=f"default: {default}")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add --format, of prediction files."""
    parser.add_argument("--format", required=True, choices=("xtreme", "tsv"))


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add --json, --markdown and --latex, into which tables and numbers go besides the terminal."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write it as JSON, fractions of 1")
    add_tables(parser)


def add_tables(parser: argparse.ArgumentParser) -> None:
    """Add --markdown and --latex, into which tables go besides the terminal."""
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write it as Markdown")
    parser.add_argument("--latex", type=Path, metavar="FILE", help="also write it as a LaTeX table (booktabs)")
