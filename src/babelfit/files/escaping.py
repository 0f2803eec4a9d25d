"""Text from other people's files, shown on terminals and in Markdown: it is shown, and never obeyed."""

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


def _on_one_line(text: str) -> str:
    return printable(re.sub(r"\s+", " ", text))
