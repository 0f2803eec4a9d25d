"""What the command lines share: how mistakes are told, and what Hydra has to know before it composes."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from babelfit.errors import UserError

CONF = Path(__file__).resolve().parents[2] / "conf"


def with_open_overrides() -> None:
    """Let `encoder.overrides` take new keys, which Hydra refuses everywhere else."""
    node = OmegaConf.create({"encoder": {"overrides": {}}})
    OmegaConf.set_struct(node.encoder.overrides, False)
    ConfigStore.instance().store(name="open_overrides", node=node, replace=True)


@contextmanager
def told() -> Iterator[None]:
    """Log to the terminal, and end a user's mistake with its message and exit status 2 instead of a traceback."""
    console = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    try:
        yield
    except (UserError, OSError) as error:
        # An OSError is a disk that is full, read-only or forbidden; what was written before stays.
        console.print(f"[bold red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("[bold red]stopped[/] by the keyboard; the same command goes on from the last checkpoint")
        sys.exit(130)


def composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration of conf/ outside of Hydra's own commands; raises UserError where Hydra refuses it."""
    if not (CONF / f"{name}.yaml").is_file():
        raise UserError(f"no {CONF / name}.yaml: this command needs a clone of the repository, installed with pip -e")
    with_open_overrides()
    try:
        with initialize_config_dir(str(CONF)):
            return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
