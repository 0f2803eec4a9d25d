"""Tables of text lose no number, on however narrow a terminal, and take no text for markup."""

import re

import pytest
from whole_tables import WIDTHS, assert_whole, printed

from babelfit.reports.sheets import Sheet, latex, markdown, parts

NUMBERS = Sheet(
    title="many numbers",
    columns=("language", *(f"measure {number}" for number in range(12))),
    rows=[
        (name, *(f"{number * scale:,}" for number in range(12)))
        for name, scale in (("en English", 1_117_000_003), ("zh-classical Classical Chinese", 7), ("ja 日本語", 901))
    ],
    after=["a line below"],
    bold={0},
)
WORDS = Sheet(
    title="words and numbers",
    columns=("run", "accuracy", "why"),
    rows=[("outputs/" + "long/" * 30, "76.3 (75.0 to 77.6)", "because of this and that " * 5)],
    words={"why"},
)
UNBREAKABLE = Sheet(title="", columns=("x", "number"), rows=[("y", "9" * 50)])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("sheet", [NUMBERS, WORDS, UNBREAKABLE], ids=lambda sheet: sheet.columns[0])
def test_numbers_are_whole_at_any_width(sheet: Sheet, width: int) -> None:
    assert_whole(sheet, width=width)


def test_columns_that_do_not_fit_go_into_a_table_below_with_the_names_of_the_rows_again() -> None:
    assert parts(NUMBERS, width=400) == [list(range(13))]
    found = parts(NUMBERS, width=80)

    assert len(found) > 1
    assert all(part[0] == 0 for part in found)
    assert [number for part in found for number in part[1:]] == list(range(1, 13))
    assert printed(NUMBERS, width=80).count("en English") == len(found)
    assert printed(NUMBERS, width=80).count("many numbers") == printed(NUMBERS, width=80).count("a line below") == 1


def test_a_number_that_is_wider_than_the_terminal_is_shown_all_the_same() -> None:
    shown = printed(UNBREAKABLE, width=40)

    assert len(re.findall("9", shown)) == 50


def test_a_cell_of_numbers_breaks_at_its_line_end_and_nowhere_else() -> None:
    sheet = Sheet(title="", columns=("language", "examples"), rows=[("de", "5,000\n+ 10 without label")])

    assert [line.split("  ")[-1].strip() for line in printed(sheet, width=60).splitlines()[-2:]] == [
        *("5,000", "+ 10 without label")
    ]
    assert "| de | 5,000 + 10 without label |" in markdown(sheet)


@pytest.mark.parametrize("text", ["[red]a[/]", "\x1b[31m", "a|b", "<b>", "50 % & $1_000 {x}"])
def test_text_is_shown_and_never_obeyed(text: str) -> None:
    sheet = Sheet(title=text, columns=("a", text), rows=[(text, text)], before=[text], after=[text])

    assert "\x1b" not in printed(sheet, width=80) + markdown(sheet) + latex(sheet)
    if text.isprintable():
        assert printed(sheet, width=80).count(text) == 6
    assert all(line.count("|") - line.count(r"\|") == 3 for line in markdown(sheet).splitlines() if line[:1] == "|")
    assert not re.search(r"(?<!\\)[&%$#_]", latex(sheet).replace(" & ", "").replace("% \\usepackage", ""))


def test_latex_is_a_table_of_booktabs_with_numbers_to_the_right() -> None:
    sheet = Sheet(
        title="xnli, test: accuracy in percent",
        columns=("language", "accuracy", "verdict"),
        rows=[("en English", "84.4 (83.0 to 85.0)", "better"), ("target mean", "50.0 %", "can't tell")],
        words={"verdict"},
        after=["corrected by Holm_1979"],
        bold={1},
    )

    assert latex(sheet).splitlines() == [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{lrl}",
        r"\toprule",
        r"language & accuracy & verdict \\",
        r"\midrule",
        r"en English & 84.4 (83.0 to 85.0) & better \\",
        r"\textbf{target mean} & \textbf{50.0 \%} & \textbf{can't tell} \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{xnli, test: accuracy in percent. corrected by Holm\_1979}",
        r"\end{table}",
    ]
