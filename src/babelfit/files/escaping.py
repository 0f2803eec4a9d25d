"""Text from other people's files, shown on terminals and in Markdown: it is shown, and never obeyed."""

import re


def printable(text: str) -> str:
    """Return text with its control characters escaped, but for line ends and tabs: a terminal would obey them."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)


def escaped(text: str) -> str:
    """Return text on one line, with what Markdown or HTML would read as markup escaped."""
    return re.sub(r"([\\`*_\[\]|<>&~])", r"\\\1", re.sub(r"\s+", " ", text))
