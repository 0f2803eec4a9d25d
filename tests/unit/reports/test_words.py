"""The table and report.md say the scores, all of them, and take no text for markup."""

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from made_scores import document
from made_tasks import NER, NLI, RATINGS, TOKENS
from rich.console import Console
from whole_tables import WIDTHS, assert_whole

from babelfit.reports import sheets
from babelfit.reports.manifest_tables import tokens
from babelfit.reports.markdown import markdown
from babelfit.reports.words import sheet, transfer_lines
from babelfit.rows.read import RowsRead, Tokens
from babelfit.run.manifest import Manifest
from babelfit.scoring.scores import Contaminated, Scores, Transfer, Worst, as_document, from_document
from babelfit.tasks import Task

LANGUAGES: dict[str, dict[str, Any]] = {
    "en": {"accuracy": 0.8436, "f1": 0.8421, "examples": 5010},
    "de": {"accuracy": 0.7, "f1": 0.6876, "examples": 5000, "unlabelled": 10},
    "xx": {"accuracy": 0.9, "f1": 0.899, "examples": 1},
}
TRANSFER = {"source": 0.8436, "target_mean": 0.8, "mean": 0.8145, "gap": 0.0436, "retention": 0.9483}
DOCUMENT = document(NLI, LANGUAGES, transfer=TRANSFER | {"worst": {"language": "de", "score": 0.7}})
SCORES = from_document(DOCUMENT)
RICH = {
    "transfer": DOCUMENT["transfer"]
    | {"intervals": {"source": [0.83, 0.85], "target_mean": [0.79, 0.81], "gap": [0.03, 0.05], "retention": None}},
    "groups": {
        "family": {"Germanic": {"languages": ["de"], "mean": 0.7, "gap": 0.1436, "interval": [0.68, 0.72]}},
        "script": {"Latin": {"languages": ["de"], "mean": 0.7, "gap": 0.1436, "interval": None}},
        "pretraining": {"10 to 100 GiB": {"languages": ["de"], "mean": 0.7, "gap": 0.1436, "interval": None}},
        "size_correlation": {"spearman": 0.5, "p": 0.1, "languages": 6},
    },
    "consistency": {
        "languages": ["en", "de"],
        "items": 5000,
        "left_out": 10,
        "different_gold": {"items": 3, "languages": {"en": 0, "de": 3}},
        "alike": [[1.0, 0.75], [0.75, 1.0]],
        "both_right": [[0.84, 0.6], [0.6, 0.7]],
        "alike_if_right": [[1.0, 0.8], [0.9, 1.0]],
        "all_alike": 0.75,
        "all_right": 0.6,
        "all_alike_if_right": {"en": 0.8},
    },
}
RICHER = {
    language: values | {"interval": [values["accuracy"] - 0.01, values["accuracy"] + 0.012], "ece": 0.0312}
    for language, values in LANGUAGES.items()
}
FULL = from_document(document(NLI, RICHER, **RICH))
UNDEFINED = Transfer(source=None, target_mean=None, mean=0.5, gap=None, retention=None, worst=None)


def changed(changes: Mapping[str, Any]) -> Scores:
    """Return the scores with parts of their document changed."""
    return from_document(as_document(SCORES) | changes)


def with_transfer(**changes: Any) -> Scores:
    assert SCORES.transfer is not None
    return replace(SCORES, transfer=replace(SCORES.transfer, **changes))


def terminal(scores: Scores, *, color: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, width=120, force_terminal=color, color_system="standard" if color else None)
    console.print(sheets.terminal(sheet(scores, on_terminal=True)))
    return text.getvalue()


def row(page: str, start: str) -> list[str]:
    [line] = [line for line in page.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_a_row_per_language() -> None:
    assert sheet(SCORES).rows == [
        ("en English", "84.4", "84.2", "5,010", "source"),
        ("de German", "70.0", "68.8", "5,000\n+ 10 without label", "-14.4"),
        ("xx", "90.0", "89.9", "1", "+5.6"),
    ]


def test_the_table_prints_title_rows_and_transfer_numbers() -> None:
    printed = terminal(SCORES)

    for part in ("xnli, test, in percent", "de German", "84.4", "gap 4.4 points", "worst target 70.0 (de)"):
        assert part in printed


def test_the_source_rows_stand_out() -> None:
    assert sheet(SCORES).bold == {0}


def test_the_page_gives_each_language_in_percent() -> None:
    page = markdown([SCORES], facts={"encoder": "mini"})

    assert "## xnli, test, in percent" in page
    assert "- encoder: mini" in page
    assert row(page, "en") == ["en English", "84.4", "84.2", "5,010", "source"]
    assert row(page, "de") == ["de German", "70.0", "68.8", "5,000 + 10 without label", "-14.4"]
    assert row(page, "xx") == ["xx", "90.0", "89.9", "1", "+5.6"]
    for line in ("source mean 84.4 (en)", "target mean 80.0", "gap 4.4 points", "retention 94.8 %"):
        assert f"\n- {line}\n" in page


def test_the_page_has_a_section_per_split_in_the_order_given() -> None:
    page = markdown([SCORES, replace(SCORES, split="validation")], facts={})

    assert page.index("## xnli, test") < page.index("## xnli, validation") < page.index("## What the numbers mean")
    assert page.count("| en English |") == 2


def test_every_table_row_has_as_many_cells_as_its_header() -> None:
    lines = [line for line in markdown([SCORES], facts={}).splitlines() if line.startswith("|")]

    assert len(lines) == 5
    assert {line.count("|") for line in lines} == {6}


def test_synthetic_data_are_called_so_everywhere_and_real_data_nowhere() -> None:
    synthetic = replace(SCORES, synthetic=True)

    assert "**Synthetic data.**" in markdown([SCORES, synthetic], facts={})
    assert "(synthetic sample), test" in markdown([synthetic], facts={})
    assert "(synthetic sample)" in terminal(synthetic)
    assert "synthetic" not in (markdown([SCORES], facts={}) + terminal(SCORES)).lower()


def test_undefined_transfer_numbers_are_left_out() -> None:
    undefined = replace(SCORES, transfer=UNDEFINED)

    assert transfer_lines(undefined) == []
    assert "None" not in markdown([undefined], facts={}) + terminal(undefined)
    assert row(markdown([undefined], facts={}), "de")[-1] == "", "no difference to a source that has no score"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("source", "source mean 84.4 (en)"),
        ("target_mean", "target mean 80.0"),
        ("gap", "gap 4.4 points"),
        ("retention", "retention 94.8 %"),
        ("worst", "worst target 70.0 (de)"),
    ],
)
def test_one_undefined_number_takes_only_its_own_line_away(name: str, line: str) -> None:
    lines = transfer_lines(SCORES)
    without = transfer_lines(with_transfer(**{name: None}))

    assert line in lines
    assert without == [one for one in lines if one != line]


def test_a_source_of_zero_is_a_number() -> None:
    zero = with_transfer(source=0.0, gap=0.0)

    assert transfer_lines(zero)[0] == "source mean 0.0 (en)"
    assert "gap 0.0 points" in transfer_lines(zero)


MARKUP = ["<script>alert(1)</script>", "a|b", "[x](http://y)", "![x](y)", "*b*", "_i_", "`c`", "\\", "[red]a[/red]"]


@pytest.mark.parametrize("text", MARKUP)
def test_text_is_no_markdown(text: str) -> None:
    escaped = "".join(f"\\{one}" if one in "\\`*_[]|<>" else one for one in text)
    scores = replace(SCORES, data=text, source_languages=[text], languages={text: SCORES.languages["de"]})
    page = markdown([scores], facts={"model": text})

    assert f"- model: {escaped}\n" in page
    assert f"## {escaped}, test" in page
    assert f"| {escaped} |" in page
    assert f"({escaped})\n" in page
    assert page.replace(escaped, "").count(text) == (0 if text != "\\" else page.replace(escaped, "").count("\\"))


@pytest.mark.parametrize("text", ["a\nb", "a\r\n# b", "a\n\n- c"])
def test_text_stays_on_its_line(text: str) -> None:
    plain = markdown([SCORES], facts={"model": "a"}).splitlines()

    assert len(markdown([replace(SCORES, data=text)], facts={"model": text}).splitlines()) == len(plain)


@pytest.mark.parametrize("text", ["[red]a[/red]", "[/]", "[bold", "[link=http://y]x[/link]", "[@click=quit]x[/]"])
def test_text_is_no_markup_on_the_terminal(text: str) -> None:
    scores = replace(
        with_transfer(worst=Worst(language=text, score=0.5)),
        data=text,
        languages={text: SCORES.languages["de"]},
        source_languages=[text],
    )
    printed = terminal(scores)

    assert f"{text}, test" in printed
    assert f"\n{text} " in printed
    assert f"({text})" in printed
    assert "\x1b]8" not in terminal(scores, color=True), "no link"


def test_selections_are_a_section_before_the_explanations() -> None:
    page = markdown([SCORES], facts={}, selections="## Selected otherwise\n\nlater\n")

    assert page.index("| language |") < page.index("\n## Selected otherwise\n\nlater\n\n## What the numbers mean")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("~~x~~", r"\~\~x\~\~"), ("~x~", r"\~x\~"), ("&lt;b&gt;", r"\&lt;b\&gt;"), ("a & b", r"a \& b")],
)
def test_text_is_no_strikethrough_and_no_entity(text: str, escaped: str) -> None:
    page = markdown([replace(SCORES, data=text)], facts={"model": text})

    assert f"- model: {escaped}\n" in page
    assert f"## {escaped}, test" in page


@pytest.mark.parametrize(("language", "name"), [("ja", "ja Japanese"), ("ko", "ko Korean")])
def test_languages_of_pawsx_have_names_too(language: str, name: str) -> None:
    page = markdown([replace(SCORES, languages={language: SCORES.languages["de"]})], facts={})

    assert row(page, language)[0] == name


def test_a_source_language_without_score_is_in_no_mean_and_named() -> None:
    printed = " ".join(terminal(replace(SCORES, source_languages=["en", "fr"])).split())

    assert "source mean 84.4 (en)" in printed
    assert "The source mean is without fr, trained on and not scored here." in printed


def test_contaminated_languages_are_named() -> None:
    contaminated = Contaminated(languages=["en", "sw"], why="trained on the validation split of en")
    scores = replace(SCORES, contaminated=contaminated)

    assert "Contaminated (en): the model was trained on the validation split of en." in markdown(
        [scores], facts={}
    ).replace("\\", "")


def test_intervals_and_calibration_stand_beside_the_scores() -> None:
    page = markdown([FULL], facts={})

    assert row(page, "de German") == [
        "de German",
        "70.0 (69.0 to 71.2)",
        "68.8",
        "5,000 + 10 without label",
        "3.1",
        "-14.4",
    ]
    for line in (
        "source mean 84.4 (83.0 to 85.0; en)",
        "target mean 80.0 (79.0 to 81.0)",
        "gap 4.4 points (3.0 to 5.0)",
        "retention 94.8 %",
    ):
        assert line in transfer_lines(FULL)


def test_groups_and_consistency_are_on_the_page_and_on_the_terminal() -> None:
    page, printed = markdown([FULL], facts={}), terminal(FULL)

    assert row(page, "Germanic") == ["Germanic", "de", "70.0 (68.0 to 72.0)", "-14.4"]
    assert row(page, "10 to 100 GiB") == ["10 to 100 GiB", "de", "70.0", "-14.4"]
    assert row(page, "answered alike") == ["answered alike", "en", "de"]
    for part in ("rho +0.50 over 6 languages", "75.0 % of 5,000 items", "10 items left out", "by language in 3 items"):
        assert part in " ".join(page.split())
        assert part in " ".join(printed.split())
    assert "by family: Germanic 70.0\n" in "\n".join(line.rstrip() for line in printed.splitlines()) + "\n"
    assert "68.0 to 72.0" not in printed


@pytest.mark.parametrize("key", ["(low to high)", "ECE", "Groups", "Answered alike"])
def test_the_page_explains_what_it_shows_and_nothing_else(key: str) -> None:
    explained = f"- **{key}**"
    assert explained in markdown([FULL], facts={})
    assert explained not in markdown([SCORES], facts={})


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("task", [NLI, NER, RATINGS, TOKENS], ids=lambda task: task.name)
def test_the_terminal_table_loses_no_number(task: Task, width: int) -> None:
    values = dict.fromkeys((measure.key for measure in task.measures), 1.0)
    counted = {**values, "examples": 1_117_000, "unlabelled": 24_000, "interval": [1.0, 1.0], "ece": 0.1111}
    more = RICH if task.compares_languages else {}
    scores = from_document(document(task, dict.fromkeys(["en", "zh-classical", "be-x-old"], counted), **more))

    assert_whole(sheet(scores, on_terminal=True), width=width)


def test_the_terminal_table_is_one_at_80_columns() -> None:
    assert len(sheets.parts(sheet(FULL, on_terminal=True), width=80)) == 1


COUNTS = Tokens(subwords=150, words=100, characters=600, unknown=3, targets=90, lengths={"longest": 1234})
ENTRY = RowsRead(files=[], truncated=2, examples=40, labels={"O": 80, "B-PER": 20}, tokens=COUNTS)


def test_what_the_tokenizer_makes_of_the_text_is_on_the_page_as_counted_by_hand() -> None:
    uncounted = RowsRead(files=[], examples=40)
    read = Manifest(splits={"train": {"en": ENTRY}, "test": {"a|b": ENTRY, "de": uncounted}})
    page = markdown([SCORES], facts={}, tokens=tokens(read, reached=NER.reached))

    columns = ["split", "language", "subwords by word", "by character", "unknown, %", "cut, %", "gold tags reached, %"]
    assert row(page, "split") == [*columns, "length, longest"]
    numbers = ["1.50", "0.25", "2.00", "5.00", "90.0", "1,234"]
    assert row(page, "train") == ["train", "en", *numbers]
    assert f"| test | a\\|b | {' | '.join(numbers)} |" in page
    assert "- **Tokenizer**" in page


def test_without_tags_and_without_counts_there_is_nothing_to_say_of_them() -> None:
    untagged = Manifest(splits={"test": {"en": replace(ENTRY, labels={"yes": 100})}})
    uncounted = Manifest(splits={"test": {"en": RowsRead(files=[])}})

    assert "gold tags" not in markdown([SCORES], facts={}, tokens=tokens(untagged, reached=NLI.reached))
    assert "Tokenizer" not in markdown([SCORES], facts={}, tokens=tokens(uncounted, reached=NER.reached))


TOKEN = {"log_likelihood": -1.0, "perplexity": 2.718281828, "accuracy": 0.625, "masked": 8, "examples": 3}
MASKED = from_document(
    document(
        TOKENS,
        {
            "sw": TOKEN | {"interval": [1.4, 12345.6]},
            "en": TOKEN | {"perplexity": 123456.7, "inactive": 4, "masked": 1234},
        },
        data="text",
        split="validation",
        sources=("sw",),
        vocabulary="all 10 ids",
        resamples={"number": 2000, "of": "examples of each language"},
        contaminated={"languages": ["sw"], "why": "trained on it"},
    )
)


def test_masked_tokens_have_perplexities_and_no_transfer() -> None:
    page = markdown([MASKED], facts={"run": "a|b"})

    assert page.startswith("# Masked tokens of held-out text\n\n- run: a\\|b\n\n## text, validation\n\n")
    assert row(page, "language") == ["language", "perplexity", "accuracy", "masked", "examples", ""]
    assert row(page, "sw") == ["sw Swahili", "2.72 (1.40 to 12,346)", "62.5", "8", "3", "trained"]
    assert row(page, "en") == ["en English", "123,457", "62.5", "1,234", "3", ""]
    assert "\n- each masked token is guessed from all 10 ids\n" in page
    assert "**Contaminated: the model was trained on it.**" in page
    assert "does not have them (en 4): scores of all tokens would be worse." in page
    for absent in ("gap", "retention", "source mean", "Cross-lingual", "Groups", "0 or 100"):
        assert absent not in page
    for explained in (
        "- **perplexity**: e to the mean",
        "- **accuracy**: the share of masked",
        "each language for itself",
    ):
        assert explained in page


def test_masked_tokens_on_the_terminal_have_the_trained_languages_in_bold() -> None:
    laid_out = sheet(MASKED, on_terminal=True)

    assert laid_out.columns == ("language", "perplexity", "accuracy", "masked", "examples")
    assert laid_out.bold == {0}
    assert "each masked token is guessed from all 10 ids" in " ".join(terminal(MASKED).split())


def test_each_task_explains_its_own_measures_and_no_others() -> None:
    spans = dict.fromkeys((measure.key for measure in NER.measures), 0.5)
    tagged = from_document(document(NER, {"en": spans | {"examples": 7, "words": 30}}))
    page = markdown([tagged], facts={})

    assert row(page, "language") == [
        *("language", "span F1", "precision", "recall", "strict F1", "sentences", "to source")
    ]
    columns = ("language", "span F1", "strict F1", "sentences", "to source")
    assert sheet(tagged, on_terminal=True).columns == columns
    assert "- **gap**: mean span F1 over the source languages" in page
    assert "- **span F1**: a span counts with both borders" in page
    assert "macro F1" not in page
    assert "- **macro F1** is the mean over classes.\n" in markdown([SCORES], facts={})
