"""The file of a sweep's study, as anybody may have made it: looked at before Optuna opens it, which writes to it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from babelfit.errors import UserError, first_line

FILES = {"sqlite": "study.db", "journal": "study.journal"}
"""The study's file, by sweep.storage."""

TABLES = {"studies", "study_user_attributes", "trials", "trial_user_attributes", "version_info"}
"""Tables that a study in SQLite has."""


def check_study(path: Path) -> None:
    """Raise UserError for a file that Optuna did not make, and for a link; nothing is written to it."""
    if path.is_symlink():
        raise UserError(f"{path} is a link: a sweep's study lies in its folder. Copy what it points to in its place")
    if not path.is_file() or path.suffix != Path(FILES["sqlite"]).suffix:
        return
    try:
        # For reading alone; where a process died while it wrote, SQLite must first undo what that had begun.
        died = path.with_name(f"{path.name}-journal").exists()
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode={'rw' if died else 'ro'}", uri=True)) as opened:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise UserError(damaged(path, why=first_line(error))) from error
    if missing := sorted(TABLES - tables):
        raise UserError(damaged(path, why=f"it has no table {missing[0]}"))


def damaged(path: Path, *, why: str) -> str:
    return (
        f"{path} is not the study of a sweep, or damaged ({why}). The trials' folders beside it are whole: move it "
        "away, and the same command records them again"
    )
