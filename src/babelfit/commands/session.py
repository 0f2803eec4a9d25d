"""What the command lines share: how mistakes and signals are told, and what Hydra has to know before it composes."""

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from babelfit.config.conf import CONF
from babelfit.devices import launch, preemption, ranks
from babelfit.errors import Pruned, UserError
from babelfit.files.escaping import printable

SWEEPER = "babelfit.sweep.sweeper.Sweeper"


def introduce_to_hydra() -> None:
    """Tell Hydra what no file of conf/ can say, before it composes.

    `encoder.overrides` takes new keys, which Hydra refuses everywhere else; and who carries out sweeps.
    """
    node = OmegaConf.create({"encoder": {"overrides": {}}})
    OmegaConf.set_struct(node.encoder.overrides, False)
    store = ConfigStore.instance().store
    store(name="open_overrides", node=node, replace=True)
    store(group="hydra/sweeper", name="babelfit", node={"_target_": SWEEPER}, replace=True)


@contextmanager
def told() -> Iterator[None]:
    """Log to the terminal, and end with a message and an exit status instead of a traceback.

    2: a mistake that the user can mend. 130: Ctrl-C. 75: a signal; under SLURM the job is queued again. Of several
    processes the first to end tells why.
    """
    console = Console(stderr=True)
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # For torch, which asks when it is imported: memory on the CPU in large pages, which are handed out more quickly.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    launch.forget_strange_ranks()
    ranks.quiet_others()
    launch.end_with_supervisor()

    def tell(what: str, why: str) -> None:
        if ranks.is_first_to_tell(why):
            console.print(f"[bold red]{what}[/] {escape(why)}", highlight=False, soft_wrap=True)

    try:
        with preemption.answered():
            try:
                yield
            except preemption.Preempted as signal:
                # While signals are still ours: the next one must not keep the job from going back into the queue.
                tell("stopped", f"by {signal}; the same command goes on where it stopped")
                ranks.end_after_first(preemption.requeue, seconds=preemption.SECONDS_TO_REQUEUE)
                sys.exit(preemption.EXIT_STATUS)
    except Pruned as error:
        tell("pruned", str(error))
    except (UserError, OSError) as error:
        # An OSError is a disk that is full, read-only or forbidden; what was written before stays.
        tell("error", printable(str(error)))
        sys.exit(2)
    except KeyboardInterrupt:
        tell("stopped", "by the keyboard; the same command goes on from the last checkpoint")
        sys.exit(preemption.KEYBOARD_STATUS)
    except Exception as error:
        if ranks.is_first_to_tell("".join(traceback.format_exception_only(error)).strip()):
            raise
        sys.exit(1)


class _PrintableFormatter(logging.Formatter):
    """Lay out log lines as ever, but for control characters in what they quote."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a configuration of conf/ outside of Hydra's own commands; raises UserError where Hydra refuses it."""
    if not (CONF / f"{name}.yaml").is_file():
        raise UserError(f"no {CONF / name}.yaml: this command needs a clone of the repository, installed with pip -e")
    introduce_to_hydra()
    try:
        with initialize_config_dir(str(CONF)):
            return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
