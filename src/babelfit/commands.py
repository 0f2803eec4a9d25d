"""What the command lines share: how mistakes are told, and what Hydra has to know before it composes."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from rich.console import Console
from rich.logging import RichHandler

from babelfit.errors import UserError


def with_open_overrides() -> None:
    """Let `encoder.overrides` take new keys, which Hydra refuses everywhere else."""
    node = OmegaConf.create({"encoder": {"overrides": {}}})
    OmegaConf.set_struct(node.encoder.overrides, False)
    ConfigStore.instance().store(name="open_overrides", node=node)


@contextmanager
def told() -> Iterator[None]:
    """Log to the terminal, and end a user's mistake with its message and exit status 2 instead of a traceback."""
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_path=False, show_level=False, rich_tracebacks=False, log_time_format="%X")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler], force=True)
    try:
        yield
    except UserError as error:
        console.print(f"[bold red]error[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except OSError as error:
        # A disk that is full, read-only or forbidden; what was written before stays.
        console.print(f"[bold red]error[/] {_escaped(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("[bold red]stopped[/] by the keyboard", highlight=False)
        sys.exit(130)


def _escaped(error: BaseException) -> str:
    from rich.markup import escape

    return escape(str(error))
