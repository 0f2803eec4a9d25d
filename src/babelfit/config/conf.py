"""Where the YAML is: babelfit's own, and what a user adds to it."""

from pathlib import Path

from babelfit.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]

CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"
"""In the package where it is installed, at the top of a clone."""

USERS_FOLDER = Path("babelfit.conf")
"""In the current folder: adds options to the groups of conf/, where no other is named."""


def users_folder(named: str | None) -> Path | None:
    """Return the folder that adds to conf/, or None; raise UserError where the named one is missing."""
    if named is None:
        return USERS_FOLDER if USERS_FOLDER.is_dir() else None
    if not Path(named).is_dir():
        raise UserError(f"--config-dir {named}: no such folder; give a folder of options, laid out as {CONF}")
    return Path(named)


def shadowed_files(folder: Path) -> list[Path]:
    """Return the files of a user's folder that are never read, because babelfit has its own of that name."""
    return sorted(path for path in folder.rglob("*.yaml") if (CONF / path.relative_to(folder)).is_file())
