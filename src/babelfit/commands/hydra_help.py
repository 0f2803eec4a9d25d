"""What --help says of the verbs that Hydra runs: Hydra's own composes again for each group, which takes a while."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, read_write

from babelfit.config.conf import CONF


def help_text(config: DictConfig, *, folder: Path | None) -> str:
    """Return the --help of a configuration, which has Hydra's part still, with a user's folder beside conf/."""
    own = config.hydra.help
    with read_write(config):
        values = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    choices = "\n".join(f"{group}: {', '.join(names)}" for group, names in _choices(folder).items())
    return (
        f"{own.header}\n== Choices (group=choice) ==\n{choices}\n\n"
        f"== Keys (key=value) ==\n{OmegaConf.to_yaml(values)}\n{own.footer}\n"
    )


def _choices(folder: Path | None) -> Mapping[str, list[str]]:
    """Return the options of each group."""
    found: dict[str, set[str]] = {}
    for place in (CONF, folder):
        for path in [] if place is None else place.glob("*/*.yaml"):
            found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(found[group]) for group in sorted(found) if group != "hydra"}
