"""Configurations composed by Hydra: what it has to know before, and how commands compose with and without its own."""

import argparse
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.initialize import initialize_config_search_path
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from babelfit.commands import users_files
from babelfit.commands.hydra_help import help_text
from babelfit.commands.hydra_session import raised_by_hydra
from babelfit.commands.multirun import Sweeper
from babelfit.config.conf import CONF, users_folder
from babelfit.config.nearest import did_you_mean
from babelfit.config.values import by_full_key
from babelfit.errors import UserError

REFUSED = (HydraException, OmegaConfBaseException, YAMLError)
"""What a configuration is refused with, or a file of it."""


def introduce_to_hydra() -> None:
    """Register with Hydra, before it composes, what no file of conf/ can say.

    `encoder.overrides` takes new keys, which Hydra refuses everywhere else; and sweeps are carried out by `Sweeper`.
    """
    node = OmegaConf.create({"encoder": {"overrides": {}}})
    OmegaConf.set_struct(node.encoder.overrides, False)
    store = ConfigStore.instance().store
    store(name="open_overrides", node=node, replace=True)
    target = f"{Sweeper.__module__}.{Sweeper.__qualname__}"
    store(group="hydra/sweeper", name="babelfit", node={"_target_": target}, replace=True)
    Plugins.instance().register(Sweeper)


def compose_config(name: str, overrides: Sequence[str], *, config_dir: str | None = None) -> DictConfig:
    """Return the configuration of conf/NAME.yaml with these overrides; raise UserError where Hydra refuses it.

    `config_dir` names a folder that adds options to the groups of conf/; None: that of the current folder.
    """
    folder = users_folder(config_dir)
    try:
        with _opened(folder):
            config = hydra.compose(name, list(overrides))
            loader = GlobalHydra.instance().config_loader()
            users_files.log_files(folder, name=name, overrides=overrides, loader=loader)
            return config
    except REFUSED as error:
        raise UserError(_explained(error, name=name, overrides=overrides, folder=folder)) from error


def run_hydra(name: str, task: Callable[[DictConfig], None]) -> None:
    """Run a task on the configuration that the command line asks for, with all that Hydra's own commands can.

    What Hydra refuses ends the command as any mistake does; what the task raises is shown as Hydra shows it.
    """
    folder = None
    overrides = sys.argv[1:]
    try:
        named, overrides = _config_dir(overrides)
        folder = users_folder(named)
        sys.argv[1:] = [*([] if folder is None else ["--config-dir", str(folder)]), *overrides]
        if {"--help", "-h"} & {*overrides}:
            overrides = [one for one in overrides if "=" in one]
            with _opened(folder):
                config = hydra.compose(name, overrides, return_hydra_config=True)
            sys.stdout.write(help_text(config, folder=folder))
            return
        introduce_to_hydra()
        with raised_by_hydra():
            hydra.main(config_path=str(CONF), config_name=name, execution_whitelist=[])(task)()
    except (*REFUSED, UserError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_raised_by_hydra(error):
            raise
        from babelfit.commands.session import cli_session

        with cli_session():
            raise UserError(_explained(error, name=name, overrides=overrides, folder=folder)) from error


def _is_raised_by_hydra(error: RuntimeError) -> bool:
    """Return whether an error is from Hydra's own code, which refuses plugins that are none by a RuntimeError."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("hydra.")


def _config_dir(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the folder that a command line names, and what else stands there."""
    parser = argparse.ArgumentParser(prog=sys.argv[0], add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir")
    # Hydra's short name for it; as one of argparse's it would also answer to -c, which is Hydra's --cfg.
    given, others = parser.parse_known_args(["--config-dir" if one == "-cd" else one for one in arguments])
    return given.config_dir, others


@contextmanager
def _opened(folder: Path | None) -> Iterator[None]:
    """Have Hydra look into conf/, and then into a user's folder."""
    introduce_to_hydra()
    with initialize_config_search_path([f"file://{one.resolve()}" for one in (CONF, folder) if one is not None]):
        yield


def _explained(error: Exception, *, name: str, overrides: Sequence[str], folder: Path | None) -> str:
    """Return what is wrong, with the nearest right name where one is unknown."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        asked = did_you_mean(option, error.options)
        return f"{group}={option}: no such choice; {group} has {', '.join(error.options)}{asked}"
    cause = error.__cause__
    if isinstance(cause, ConfigKeyError | AttributeError) and (key := getattr(cause, "full_key", None)):
        others = [one for one in overrides if one.lstrip("+~").partition("=")[0] != key]
        known = _known_keys(name, others, folder=folder)
        return f"{key}: no such key{did_you_mean(key, known) or ';'} all keys: babelfit {name} --help"
    return str(error)


def _known_keys(name: str, overrides: Sequence[str], *, folder: Path | None) -> list[str]:
    """Return all keys and groups of a configuration; without the overrides where they are refused."""
    with _opened(folder):
        try:
            config = hydra.compose(name, list(overrides))
        except REFUSED:
            config = hydra.compose(name, [])
        groups = GlobalHydra.instance().config_loader().list_groups("")
    return [*by_full_key(OmegaConf.to_container(config)), *groups]  # type: ignore[arg-type]
