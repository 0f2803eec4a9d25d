"""Text from other people's files is shown as it is, and neither a terminal nor a reader of Markdown obeys it."""

import pytest

from babelfit.files.escaping import escaped, escaped_for_spreadsheets, printable


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


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", r"\r=1"),
        ("\x1b[2J", r"\x1b[2J"),
        ("-1.5e-05", "-1.5e-05"),
        ("+2", "+2"),
        ("2e-5", "2e-5"),
        ("[en,de]", "[en,de]"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    assert escaped_for_spreadsheets(text) == cell
