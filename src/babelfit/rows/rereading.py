"""The text of rows that a run has read, read again from the files that its manifest names. Knows no tokens."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from babelfit.errors import UserError
from babelfit.files.atomic_files import sha256
from babelfit.rows.read import RowsRead
from babelfit.rows.readers import LABEL, TAGS
from babelfit.rows.sources import Layout, Source


def read_again(entry: RowsRead, *, layouts: Sequence[Layout], dataset: str, language: str) -> pa.Table | str:
    """Return the text columns of one language of one split, ordered by the rows' index, or why they cannot be read.

    `entry` is what the manifest says of it. Only files whose SHA-256 is that of the manifest are read.
    """
    layout = next((one for one in layouts if one.name == entry.layout), None)
    if layout is None:
        return f"its layout, {entry.layout!r}, is none of {dataset}"
    files = []
    for file in entry.files:
        path = Path(file.path)
        # A manifest may come from anybody: a path that is no file, or another one, is not opened as text.
        try:
            if not path.is_file():
                return f"{path} is not there any more"
            if path.stat().st_size != file.bytes or sha256(path) != file.sha256:
                return f"{path} has changed since"
        except OSError as error:
            return str(error)
        files.append(path)
    source = Source(dataset=dataset, split=str(entry.split), language=language, layout=layout, files=tuple(files))
    try:
        table = source.read()
    except UserError as error:
        return str(error)
    return table.drop_columns([name for name in (LABEL, TAGS) if name in table.column_names])
