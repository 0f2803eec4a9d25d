"""Where the tables of a verb go: to the terminal, and into the files that were asked for."""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console

from babelfit.files import atomic_files, documents
from babelfit.reports.sheets import Sheet, markdown, terminal


def print_and_write(
    document: object, given: argparse.Namespace, *, shown: Sequence[Sheet], written: Sequence[Sheet]
) -> None:
    """Print tables; write them as Markdown, and the document that they show as JSON, where the options say so."""
    for sheet in shown:
        Console().print(terminal(sheet))
    if given.json is not None:
        text = json.dumps(documents.dumped(document), indent=2, ensure_ascii=False, allow_nan=False)
        atomic_files.write_text(given.json, f"{text}\n")
    if given.markdown is not None:
        atomic_files.write_text(given.markdown, "\n".join(map(markdown, written)))
