"""Files that survive a crash: a reader, or a power cut, finds the old file or the new one, never half of one.

And the hash by which a file is known to be whole, or the same as before.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_json(path: Path, values: Any) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of one."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    rename(temporary, path)


def rename(temporary: Path, path: Path) -> None:
    """Move a finished file, or a folder with all that is in it, to its name."""
    # Renamed before its bytes are on the disk, a file can be whole by name and empty after a power cut.
    for one in (temporary, *temporary.rglob("*")):
        sync(one)
    temporary.replace(path)
    # The folder itself may be new, too.
    sync(path.parent)
    # Where one may not look into the folder above, as into /home on a shared machine, one made nothing there either.
    with suppress(PermissionError):
        sync(path.parent.parent)


def sync(path: Path) -> None:
    """Wait until the disk has the bytes of a file, or the names in a folder: a rename lasts only from then on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hash a file, as `sha256sum` does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
