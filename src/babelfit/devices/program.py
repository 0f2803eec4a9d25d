"""How babelfit's commands are started again, as a process of their own."""

import sys
from pathlib import Path

PROGRAM = "babelfit"
"""What sys.argv begins with where the program runs a verb with Hydra: `babelfit train`, as one word."""


def this_command() -> list[str]:
    """Return what starts this command again: a script, or a verb of the program."""
    start, *arguments = sys.argv
    if start.startswith(f"{PROGRAM} "):
        return babelfit_command(*start.split()[1:], *arguments)
    return [sys.executable, str(Path(start).resolve()), *arguments]


def babelfit_command(*arguments: str) -> list[str]:
    """Return what starts the program with these arguments."""
    # -P: the current folder is the user's, and not among those that modules are imported from.
    return [sys.executable, "-P", "-m", PROGRAM, *arguments]
