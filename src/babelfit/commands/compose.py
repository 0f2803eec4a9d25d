"""Configurations composed by Hydra: what it has to know before, and how verbs compose without Hydra's own commands."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from babelfit.commands.multirun import Sweeper
from babelfit.config.conf import CONF
from babelfit.errors import UserError


def introduce_to_hydra() -> None:
    """Give Hydra, before it composes, what no file of conf/ can say.

    `encoder.overrides` takes new keys, which Hydra refuses everywhere else; and sweeps are carried out by `Sweeper`.
    """
    node = OmegaConf.create({"encoder": {"overrides": {}}})
    OmegaConf.set_struct(node.encoder.overrides, False)
    store = ConfigStore.instance().store
    store(name="open_overrides", node=node, replace=True)
    target = f"{Sweeper.__module__}.{Sweeper.__qualname__}"
    store(group="hydra/sweeper", name="babelfit", node={"_target_": target}, replace=True)
    Plugins.instance().register(Sweeper)


def compose_config(name: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration of conf/NAME.yaml with these overrides; raise UserError where Hydra refuses it."""
    if not (CONF / f"{name}.yaml").is_file():
        raise UserError(f"no {CONF / name}.yaml: this command needs a clone of the repository, installed with pip -e")
    introduce_to_hydra()
    try:
        with initialize_config_dir(str(CONF)):
            return compose(name, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(str(error)) from error
