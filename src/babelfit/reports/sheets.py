"""Tables of text, on the terminal, as Markdown and as LaTeX. Knows nothing of what is in them.

A number is whole or absent: columns that do not fit beside each other on the terminal go into a further table below.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from babelfit.files.escaping import escaped, escaped_for_latex, printable

WIDEST_WORDS = 24
"""Columns of words are folded before they get narrower than this, if they are that wide at all."""

GAP = 2
"""Characters behind a column: rich's padding and divider."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: the first column names the row, the others are numbers unless said otherwise.

    Where a cell of numbers may break, it has a line end.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    before: Sequence[str] = ()  # lines above it
    after: Sequence[str] = ()  # and below it
    words: Collection[str] = ()  # further columns that are words
    bold: Collection[int] = ()  # rows that stand out

    def is_words(self, number: int) -> bool:
        """Return whether a column is of words."""
        return number == 0 or self.columns[number] in self.words


@dataclass(frozen=True)
class OnTerminal:
    """A sheet as rich prints it, in as many tables below each other as the width asks for."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = self.sheet
        yield Group(
            *(Text(printable(line), style="bold") for line in (sheet.title,) if line),
            *(Text(printable(line)) for line in sheet.before),
            *(_laid_out(sheet, part, width=options.max_width) for part in parts(sheet, width=options.max_width)),
            *(Text(printable(" ".join(line.split()))) for line in sheet.after),
        )


def terminal(sheet: Sheet) -> OnTerminal:
    """Lay out for the terminal; text is shown, never obeyed."""
    return OnTerminal(sheet)


def parts(sheet: Sheet, *, width: int) -> list[list[int]]:
    """Return which columns stand beside each other where there are so many characters: the first is in each part."""
    needed = [_needed(sheet, number) for number in range(len(sheet.columns))]
    found = [[0]]
    for number in range(1, len(needed)):
        part = [*found[-1], number]
        # One column is beside the first, however narrow the terminal is.
        if len(part) > 2 and sum(needed[one] + GAP for one in part) > width:
            part = [0, number]
            found.append(part)
        else:
            found[-1] = part
    return found


def _needed(sheet: Sheet, number: int) -> int:
    """Return the least width of a column: numbers stay on a line, and headings break at spaces alone."""
    heading = max(map(cell_len, printable(sheet.columns[number]).split()), default=0)
    lines = (line for row in sheet.rows for line in printable(row[number]).split("\n"))
    cells = max(map(cell_len, lines), default=0)
    return max(heading, min(cells, WIDEST_WORDS) if sheet.is_words(number) else cells)


def _laid_out(sheet: Sheet, part: Sequence[int], *, width: int) -> Table:
    most = max(1, width - _needed(sheet, 0) - 2 * GAP)  # where one column is wider than the terminal, it is folded
    laid_out = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for number in part:
        is_words = sheet.is_words(number)
        laid_out.add_column(
            escape(printable(sheet.columns[number])),
            justify="left" if is_words else "right",
            overflow="fold",
            min_width=min(_needed(sheet, number), most),
        )
    for number, row in enumerate(sheet.rows):
        cells = (escape(printable(row[column])) for column in part)
        laid_out.add_row(*cells, style="bold" if number in sheet.bold else None)
    return laid_out


def markdown(sheet: Sheet, *, level: int = 1) -> str:
    """Write as Markdown, under a heading of this level; text is no markup."""
    lines = [f"{'#' * level} {escaped(sheet.title)}", "", *(f"- {escaped(line)}" for line in sheet.before)]
    lines += [""] if sheet.before else []
    lines += [*markdown_table(sheet), "", *(f"- {escaped(line)}" for line in sheet.after)]
    return "\n".join([*lines, ""])


def markdown_table(sheet: Sheet) -> Iterator[str]:
    """Yield the lines of a table in Markdown, without what stands around it."""
    yield _markdown_row(sheet.columns)
    yield f"|{'|'.join('---' if sheet.is_words(number) else '---:' for number in range(len(sheet.columns)))}|"
    for number, row in enumerate(sheet.rows):
        yield _markdown_row(row, bold=number in sheet.bold)


def _markdown_row(cells: Sequence[str], *, bold: bool = False) -> str:
    texts = (escaped(cell) for cell in cells)
    return f"| {' | '.join(f'**{text}**' if bold and text else text for text in texts)} |"


def latex(sheet: Sheet) -> str:
    """Write as a LaTeX table for the package booktabs, its title and lines in the caption; text is no markup."""
    columns = "".join("l" if sheet.is_words(number) else "r" for number in range(len(sheet.columns)))
    caption = " ".join(filter(None, [f"{sheet.title}.", *sheet.before, *sheet.after]))
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row(sheet.columns),
            r"\midrule",
            *(_latex_row(row, bold=number in sheet.bold) for number, row in enumerate(sheet.rows)),
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{escaped_for_latex(caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def _latex_row(cells: Sequence[str], *, bold: bool = False) -> str:
    texts = [escaped_for_latex(cell) for cell in cells]
    if bold:
        texts = [f"\\textbf{{{text}}}" if text else "" for text in texts]
    return " & ".join(texts) + r" \\"
