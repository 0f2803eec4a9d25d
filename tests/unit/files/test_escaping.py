"""Text from other people's files is shown as it is, and neither a terminal nor a reader of Markdown obeys it."""

import pytest

from babelfit.files.escaping import escaped, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext, ünïcode", "plain\n\ttext, ünïcode"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("one\rother", r"one\rother"),
        ("\u202ereversed", r"\u202ereversed"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n# lines", "two # lines"),
        ("a|b", r"a\|b"),
        ("<b>*bold*</b> `code` [link](x)", r"\<b\>\*bold\*\</b\> \`code\` \[link\](x)"),
        ("~~struck~~ &amp;", r"\~\~struck\~\~ \&amp;"),
    ],
)
def test_markup_is_shown(text: str, shown: str) -> None:
    assert escaped(text) == shown
