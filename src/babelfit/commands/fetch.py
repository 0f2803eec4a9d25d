"""`babelfit fetch`: download all that a training run needs from the Hub."""

import argparse
import logging
import shlex

from babelfit.commands.options import Verbs, add_overrides

log = logging.getLogger(__name__)


def add_parser(verbs: Verbs) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "fetch",
        help="download all that a training run needs, so that it runs without network",
        description="Download all that a training run needs from the Hugging Face Hub: the encoder's tokenizer, config "
        "and weights, and the rows of all its languages. Nothing is trained. Afterwards the same run works with "
        "HF_HUB_OFFLINE=1, also on a machine without network that sees the same cache (HF_HOME).",
        epilog="Example: babelfit fetch experiment=xnli_zero_shot",
    )
    add_overrides(parser)
    parser.set_defaults(verb=fetch)


def fetch(given: argparse.Namespace) -> None:
    """Download the encoder and the data that a configuration names, where they come from the Hub."""
    from babelfit.commands.compose import compose_config
    from babelfit.config.schema import TrainConfig, checked
    from babelfit.datasets.building import build_data
    from babelfit.encoder import loading
    from babelfit.files import hub

    config = checked(compose_config("train", given.overrides, config_dir=given.config_dir), TrainConfig)
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
        log.info("nothing to download: encoder.path=%s and data.folder=%s are local", path, config.data.folder)
        return
    log.info(
        "all is downloaded; to run without network: HF_HUB_OFFLINE=1 babelfit train %s", shlex.join(given.overrides)
    )
