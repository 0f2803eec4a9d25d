"""Tables of text for the terminal and as Markdown alike. Knows nothing of what is in them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from babelfit.files.escaping import escaped, printable


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: the first column is words, the others numbers; lines before and after it; rows that stand out."""

    title: str
    before: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    after: Sequence[str]
    bold: Collection[int] = ()


def terminal(sheet: Sheet) -> Group:
    """Lay out for the terminal; text is shown, never obeyed."""
    laid_out = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(sheet.columns):
        laid_out.add_column(escape(printable(column)), justify="right" if number else "left", overflow="fold")
    for number, row in enumerate(sheet.rows):
        style = "bold" if number in sheet.bold else None
        laid_out.add_row(*(escape(printable(cell)) for cell in row), style=style)
    return Group(
        Text(printable(sheet.title), style="bold"),
        *(Text(printable(line)) for line in sheet.before),
        laid_out,
        *(Text(printable(line)) for line in sheet.after),
    )


def markdown(sheet: Sheet, *, level: int = 1) -> str:
    """Write as Markdown, under a heading of this level; text is no markup."""
    lines = [f"{'#' * level} {escaped(sheet.title)}", "", *(f"- {escaped(line)}" for line in sheet.before)]
    lines += [""] if sheet.before else []
    lines += [f"| {' | '.join(map(escaped, sheet.columns))} |", f"|---|{'---:|' * (len(sheet.columns) - 1)}"]
    for number, row in enumerate(sheet.rows):
        cells = [f"**{escaped(cell)}**" if number in sheet.bold and cell else escaped(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {escaped(line)}" for line in sheet.after), ""])
