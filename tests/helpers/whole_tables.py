"""What a table on the terminal must show, however wide the terminal is."""

import io
import re

from rich.cells import cell_len
from rich.console import Console

from babelfit.reports.sheets import Sheet, terminal

WIDTHS = (60, 80, 160)


def printed(sheet: Sheet, *, width: int) -> str:
    """Return a sheet as a terminal, or a log file, of this width shows it."""
    text = io.StringIO()
    Console(file=text, width=width).print(terminal(sheet))
    return text.getvalue()


def assert_whole(sheet: Sheet, *, width: int) -> None:
    """Assert that each number of a sheet is there, whole and as often as the sheet has it, and no line too long."""
    text = printed(sheet, width=width)
    assert "…" not in text
    assert max(cell_len(line) for line in text.splitlines()) <= width
    table = "\n".join(line for line in text.splitlines() if line.startswith(" ") or "  " in line)
    cells = [
        line
        for row in sheet.rows
        for number, cell in enumerate(row)
        for line in cell.split("\n")
        if cell and not sheet.is_words(number)
    ]
    for cell in set(cells):
        shown = len(re.findall(rf"(?<!\S){re.escape(cell)}(?!\S)", table))
        assert shown >= cells.count(cell), f"{cell!r} is there {shown} times of {cells.count(cell)}:\n{text}"
