"""Text from other people's files, on terminals, in Markdown, LaTeX and spreadsheets: it is shown, and never obeyed."""

import re


def printable(text: str) -> str:
    """Return text with its control characters escaped, but for line ends and tabs: a terminal would obey them."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def escaped(text: str) -> str:
    """Return text on one line, with what Markdown or HTML would read as markup escaped."""
    return re.sub(r"([\\`*_\[\]|<>&~])", r"\\\1", _on_one_line(text))


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # which after a line's end would be the room below it
    **{one: rf"\{one}" for one in "&%$#_{}"},
}


def escaped_for_latex(text: str) -> str:
    """Return text on one line, with what LaTeX would read as markup escaped."""
    return "".join(_LATEX.get(one, one) for one in _on_one_line(text))


def escaped_for_spreadsheets(text: str) -> str:
    """Return text as a cell of CSV that no spreadsheet takes for a formula: an apostrophe goes before what would be."""
    shown = printable(text)
    return f"'{shown}" if shown[:1] in tuple("=+-@\t\n") and not _NUMBER.fullmatch(shown) else shown


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _on_one_line(text: str) -> str:
    return printable(re.sub(r"\s+", " ", text))
