"""What each verb of `python -m babelfit` does. Heavy imports stay inside, so that --help is quick."""

import argparse
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from babelfit.reports.sheets import Sheet

log = logging.getLogger(__name__)


def fetch(given: argparse.Namespace) -> None:
    """Download the encoder and the data that a configuration names, where they come from the Hub."""
    from babelfit.commands.session import composed
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.data.building import build_data
    from babelfit.encoder import loading
    from babelfit.files import hub

    config = checked(composed("train", given.overrides), TrainConfig)
    # Here alone, what is there already is worth a line.
    logging.getLogger(hub.__name__).setLevel(logging.DEBUG)
    path, revision = config.encoder.path, config.encoder.revision
    folder = loading.located(path, revision=revision, weights=config.encoder.pretrained)
    data = build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=loading.load_tokenizer(path, revision=revision),
        tokens_per_device=config.trainer.tokens_per_device,
    )
    data.download()
    if config.data.folder is not None and not hub.is_snapshot(folder):
        log.info("nothing to download: encoder.path=%s and data.folder=%s are here", path, config.data.folder)
        return
    log.info("all is here; without network: HF_HUB_OFFLINE=1 python train.py %s", shlex.join(given.overrides))


def plan(given: argparse.Namespace) -> None:
    """Say what a training run of a configuration would take."""
    from babelfit.commands.session import composed
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.errors import UserError

    own = [override for override in given.overrides if override.startswith("plan.")]
    for override in own:
        if override not in ("plan.probe=true", "plan.probe=false"):
            raise UserError(f"{override}: of plan, there is only plan.probe=true or plan.probe=false")
    theirs = [override for override in given.overrides if override not in own]
    config = checked(composed("train", theirs), TrainConfig)
    from babelfit.planning import plan as planning

    planning.plan(config, probe=own[-1:] == ["plan.probe=true"])


def report(given: argparse.Namespace) -> None:
    """Write the reports of a run or an evaluation anew."""
    from babelfit.reports import rewriting

    rewriting.rewrite(Path(given.folder))


def sweep(given: argparse.Namespace) -> None:
    """Say what a sweep found, and write it into its folder."""
    from babelfit.reports import sweep_files

    sweep_files.tell(Path(given.folder))


def compare(given: argparse.Namespace) -> None:
    """Say whether one run is better than another."""
    from babelfit.comparing import compare as comparing

    compared = comparing.compare(given.runs, split=given.split)
    laid_out = comparing.sheets(compared)
    _tell(compared, given, shown=laid_out, written=laid_out)


def matrix(given: argparse.Namespace) -> None:
    """Lay out what runs with different source languages score."""
    from babelfit.comparing import matrix as crossing

    crossed = crossing.matrix(given.runs, split=given.split)
    shown = crossing.sheets(crossed, most_columns=crossing.MOST_COLUMNS)
    _tell(crossed, given, shown=shown, written=crossing.sheets(crossed, most_columns=None))
    if given.html is not None:
        crossing.write_page(crossed, path=given.html)
    if given.png is not None:
        crossing.draw(crossed, path=given.png)


def _tell(
    document: Mapping[str, Any], given: argparse.Namespace, *, shown: "Sequence[Sheet]", written: "Sequence[Sheet]"
) -> None:
    """Print tables, and write what was asked for."""
    import json

    from rich.console import Console

    from babelfit.files import atomic_files
    from babelfit.reports import sheets

    for sheet in shown:
        Console().print(sheets.terminal(sheet))
    if given.json is not None:
        atomic_files.write_text(given.json, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if given.markdown is not None:
        atomic_files.write_text(given.markdown, "\n".join(map(sheets.markdown, written)))


def import_predictions(given: argparse.Namespace) -> None:
    """Score predictions that were made elsewhere."""
    from babelfit.commands.session import composed
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.exchange import exchange

    config = checked(composed("train", [f"data={given.data}", f"name={given.name}"]), TrainConfig)
    exchange.import_predictions(
        given.files,
        format=given.format,
        config=config,
        data_folder=given.folder,
        split=given.split or "test",
        sources=given.sources.split(","),
        regime=given.regime,
    )


def export_predictions(given: argparse.Namespace) -> None:
    """Write a run's predictions in another format."""
    from babelfit.exchange import exchange

    exchange.export_predictions(given.run, format=given.format, to=given.to, split=given.split)
