"""The verbs of `python -m babelfit`, around training and evaluation, which have commands of their own.

Only the command line is here; heavy imports stay inside the verbs, so that --help is quick.
"""

import argparse
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the command line names."""
    given = _parser().parse_args(arguments)
    from babelfit.commands import told

    with told():
        given.verb(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m babelfit",
        description="What goes with training (python train.py) and evaluation (python evaluate.py).",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    fetch_parser = verbs.add_parser(
        "fetch",
        help="download all that a training run needs, so that it runs without network",
        description="Download all that a training run needs from the Hugging Face Hub: the encoder's tokenizer, config "
        "and weights, and the rows of all its languages. Nothing is trained. Afterwards the same run works with "
        "HF_HUB_OFFLINE=1, also on a machine without network that sees the same cache (HF_HOME).",
        epilog="Example: python -m babelfit fetch experiment=xnli_zero_shot",
    )
    fetch_parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="the overrides given to train.py (no options of its, such as -m)",
    )
    fetch_parser.set_defaults(verb=fetch)
    plan_parser = verbs.add_parser(
        "plan",
        help="say what a training run would read, do, hold and write; trains nothing",
        description="Say what a training run would read, compute, hold in memory and write to disk, and what to change "
        "where it does not fit. Nothing is trained and nothing written to outputs/; rows are tokenized and kept as for "
        "the run. With plan.probe=true a few steps are measured, to say how long it would take.",
        epilog="Example: python -m babelfit plan experiment=xnli_zero_shot plan.probe=true",
    )
    plan_parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="the overrides given to train.py (no options of its, such as -m), and plan.probe=true",
    )
    plan_parser.set_defaults(verb=plan)
    sweep_parser = verbs.add_parser(
        "sweep",
        help="say what a sweep found: which trials are best, and whether by more than their seeds differ",
        description="Say what a sweep (python train.py -m) found, also one that goes on: trials in order, groups that "
        "differ in seed alone, what choosing by source languages costs, which keys matter. It is printed, and written "
        "into the folder of the sweep as sweep.csv, sweep.json, sweep.md and sweep.png.",
        epilog="Example: python -m babelfit sweep outputs/NAME",
    )
    sweep_parser.add_argument("folder", metavar="FOLDER", help="the folder of the sweep: outputs/NAME")
    sweep_parser.set_defaults(verb=sweep)
    return parser


def fetch(given: argparse.Namespace) -> None:
    """Download the encoder and the data that a configuration names, where they come from the Hub."""
    from babelfit import evaluation, hub, loading
    from babelfit.commands import composed
    from babelfit.config import TrainConfig, checked

    config = checked(composed("train", given.overrides), TrainConfig)
    # Here alone, what is there already is worth a line.
    logging.getLogger(hub.__name__).setLevel(logging.DEBUG)
    path, revision = config.encoder.path, config.encoder.revision
    folder = loading.located(path, revision=revision, weights=config.encoder.pretrained)
    data = evaluation.build_data(
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
    from babelfit.commands import composed
    from babelfit.config import TrainConfig, checked
    from babelfit.errors import UserError

    own = [override for override in given.overrides if override.startswith("plan.")]
    for override in own:
        if override not in ("plan.probe=true", "plan.probe=false"):
            raise UserError(f"{override}: of plan, there is only plan.probe=true or plan.probe=false")
    theirs = [override for override in given.overrides if override not in own]
    config = checked(composed("train", theirs), TrainConfig)
    from babelfit import plan as planning

    planning.plan(config, probe=own[-1:] == ["plan.probe=true"])


def sweep(given: argparse.Namespace) -> None:
    """Say what a sweep found, and write it into its folder."""
    from babelfit.sweep import ledger_files

    ledger_files.tell(Path(given.folder))
