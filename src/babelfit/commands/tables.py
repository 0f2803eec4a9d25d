"""Where the tables of a verb go: to the terminal, and into the files that were asked for."""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from babelfit.files import atomic_files, documents
from babelfit.reports.sheets import Sheet, latex, markdown, terminal


def print_and_write(document: object, given: argparse.Namespace, *, sheets: Sequence[Sheet]) -> None:
    """Print tables and write them, and write the document that they show as JSON, where options say so."""
    for sheet in sheets:
        Console().print(terminal(sheet))
    if given.json is not None:
        text = json.dumps(documents.dumped(document), indent=2, ensure_ascii=False, allow_nan=False)
        atomic_files.write_text(given.json, f"{text}\n")
    write_tables(given, sheets=sheets)


def write_tables(given: argparse.Namespace, *, sheets: Sequence[Sheet]) -> None:
    """Write tables as Markdown and as LaTeX, where options say so."""
    for path, written in ((given.markdown, markdown), (given.latex, latex)):
        if path is not None:
            atomic_files.write_text(path, "\n".join(map(written, sheets)))
