"""The ledger on the terminal and in its files: all is said, nothing is taken for markup, the picture shows it."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_sweeps import MadeSweep, write_metrics, write_scores
from PIL import Image
from rich.console import Console
from whole_tables import WIDTHS, assert_whole

from babelfit.commands import cli
from babelfit.ledger.ledger import collect
from babelfit.reports import sweep_files, sweep_pictures
from babelfit.reports.sweep_tables import count_in_words, sheets, short_names, shorten

RATE = "optimization.learning_rate"
WIDTH = 200


def filled(outputs: Path) -> MadeSweep:
    """A sweep of two rates with two seeds each, one that was pruned and one that failed."""
    made = MadeSweep(outputs)
    for rate, shift in (("1e-5", 0.0), ("2e-5", 0.1)):
        for seed in (1, 2):
            value = 0.6 + shift + seed / 100
            folder = made.add(
                {RATE: rate, "seed": str(seed)}, source_dev=0.9 - value / 10, mean_dev=value, worst_dev=value - 0.2
            )
            write_scores(folder, "validation", {"en": value + 0.1, "de": value, "sw": value - 0.2})
            write_scores(folder, "test", {"en": value + 0.11, "de": value + 0.01})
            write_metrics(folder, [(step, "mean_dev", value * step / 8) for step in (2, 4, 8)])
    made.add({RATE: "1", "seed": "1"}, state="failed", why="loss is NaN in step 3")
    pruned = made.add({RATE: "1e-1", "seed": "1"}, state="pruned", why="below the median")
    write_metrics(pruned, [(2, "source_dev", 0.3)])
    return made


def printed(made: MadeSweep) -> str:
    text = io.StringIO()
    sweep_files.print_ledger(collect(made.sweep), console=Console(file=text, width=WIDTH))
    return text.getvalue()


def page(made: MadeSweep) -> str:
    return sweep_files.markdown(collect(made.sweep))


BOTH: list[Callable[[MadeSweep], str]] = [printed, page]


def plain(text: str) -> str:
    """Take the escapes out and put it on one line."""
    return " ".join(text.replace("\\", "").split())


@pytest.mark.parametrize("told", BOTH)
def test_all_is_said(in_folder: Path, told: Callable[[MadeSweep], str]) -> None:
    text = plain(told(filled(in_folder / "outputs")))

    for part in (
        "6 trials: 4 complete, 1 pruned, 1 failed",
        "trial 4 failed: loss is NaN in step 3",
        "trial 5 pruned: below the median",
        "71.5 ± 0.7",
        "source_dev alone would have chosen trial 0 and not trial 3: mean_dev 61.0 instead of 72.0, 11.0 points less.",
        "group 1 is 10.0 points above group 2 in mean_dev (seeds: 2 and 2): larger than seed noise.",
        "Welch's t-test, two-sided (Welch 1947): p = 0.005, 95 % interval of the difference 7.0 to 13.0 points.",
        "PED-ANOVA (Watanabe et al. 2023), by Optuna, on 4 complete trials",
        "on dev: mean ± standard deviation, in percent",
        "on test, which ranks nothing here",
        "sw Swahili",
        "target mean",
    ):
        assert part in text


def test_numbers_are_in_percent_for_reading_and_fractions_in_files(in_folder: Path) -> None:
    made = filled(in_folder / "outputs")
    [row] = [line for line in page(made).splitlines() if line.startswith("| 1 | 3 |")]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        *("1", "3", "1", "2e-5", "2"),
        *("72.0", "82.8 (4)", "52.0 (1)"),
    ]
    document = sweep_files.document(collect(made.sweep))
    assert document["trials"][0]["objectives"]["mean_dev"] == 0.6 + 0.1 + 0.02


def test_every_table_row_has_as_many_cells_as_its_header(in_folder: Path) -> None:
    widths: list[set[int]] = [set()]
    for line in page(filled(in_folder / "outputs")).splitlines():
        if line.startswith("|"):
            widths[-1].add(line.count("|"))
        elif widths[-1]:
            widths.append(set())

    assert len([one for one in widths if one]) == 6
    assert all(len(one) <= 1 for one in widths)


def test_that_the_best_were_picked_from_many_is_said(in_folder: Path) -> None:
    made = filled(in_folder / "outputs")
    assert "so p is optimistic" not in plain(page(made))
    for seed in (1, 2):
        made.add({RATE: "3e-5", "seed": str(seed)}, source_dev=0.5, mean_dev=0.5 + seed / 100)

    assert "picked as the best of 3 groups by the same scores, so p is optimistic" in plain(page(made))


@pytest.mark.parametrize("told", BOTH)
def test_where_seeds_are_too_few_the_command_that_adds_them_stands_whole_on_a_line(
    in_folder: Path, told: Callable[[MadeSweep], str]
) -> None:
    made = MadeSweep(in_folder / "outputs")
    fixed = [f"data.folder=/{'long' * 60}", "encoder.name='a b'"]
    made.add({RATE: "1e-5"}, fixed=fixed, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "2e-5"}, fixed=fixed, source_dev=0.5, mean_dev=0.6)
    text = told(made)
    found = collect(made.sweep).comparison

    assert found is not None
    assert found.seeds_command in [line.strip() for line in text.splitlines()]
    assert "can't tell: needs at least two seeds in each group" in plain(text)
    assert "Welch's t-test" in plain(text), "named all the same"


@pytest.mark.parametrize("told", BOTH)
def test_seeds_without_noise_are_said_to_be_so(in_folder: Path, told: Callable[[MadeSweep], str]) -> None:
    made = MadeSweep(in_folder / "outputs")
    for rate, value in (("1e-5", 0.5), ("2e-5", 0.6)):
        for seed in (1, 2):
            made.add({RATE: rate, "seed": str(seed)}, source_dev=0.5, mean_dev=value)
    text = plain(told(made))

    assert "within each group all seeds score the same, so there is no seed noise to measure by" in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_lose_no_number(in_folder: Path, width: int) -> None:
    made = filled(in_folder / "outputs")
    for number in range(12):
        settings = {RATE: f"{1.7617995803431617e-05 * (number + 1)}", "optimization.batch_size": "16", "seed": "1"}
        state = "pruned" if number == 11 else "complete"
        numbers = {} if number == 11 else dict.fromkeys(("source_dev", "mean_dev", "worst_dev", "target_dev"), 0.5)
        made.add(settings, state=state, **numbers)
    laid_out = sheets(collect(made.sweep))

    assert len(laid_out) == 6
    for sheet in laid_out:
        assert_whole(sheet, width=width)


def test_repeats_are_counted_aloud(in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs")
    folder = made.add({RATE: "1e-5"}, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "1e-5"}, folder=folder, source_dev=0.5, mean_dev=0.5)

    assert count_in_words(collect(made.sweep)) == (
        "1 trial: 1 complete; 1 more had the config of one of these and count once with it"
    )
    assert "| 1 | 0, 1 |" in page(made)


MARKUP = ["<script>alert(1)</script>", "a|b", "[x](http://y)", "*b*", "_i_", "`c`", "[red]a[/red]", "$x^$", "\x1b[31m"]


@pytest.mark.parametrize("text", MARKUP)
def test_text_is_no_markup_anywhere(in_folder: Path, text: str) -> None:
    made = MadeSweep(in_folder / "outputs", search=text)
    for number in range(4):
        folder = made.add({"a": f"{text}{number}", "b": str(number)}, source_dev=0.5, mean_dev=number / 10)
        write_scores(folder, "validation", {"en": 0.8, "sw": 0.5}, contaminated={"languages": ["sw"], "why": text})
        write_metrics(folder, [(1, "mean_dev", 0.1)])
    made.add({"a": "x", "b": "7"}, state="failed", why=f"{text}\nsecond line")
    in_words = text.replace("\x1b", r"\x1b")
    escaped = "".join(f"\\{one}" if one in "\\`*_[]|<>" else one for one in in_words)
    written = page(made)
    without_command = "\n".join(line for line in written.splitlines() if not line.startswith("      babelfit train"))

    assert f"- search: {escaped};" in written
    assert f"\n- trial 4 failed: {escaped} second line\n" in written
    assert "\x1b" not in written
    if escaped != in_words:
        assert in_words not in without_command.replace(escaped, "")
    assert in_words in printed(made)


def test_no_cell_of_the_csv_is_a_formula_or_steers_a_terminal(in_folder: Path) -> None:
    made = MadeSweep(in_folder)
    made.add({"=cmd|' /C calc'!A0": "@SUM(1)", RATE: "-1e-5"}, source_dev=0.5, mean_dev=0.5)
    made.add({RATE: "+1+1"}, state="failed", why="-2+3\x1b[2J")
    header, *rows = csv.reader(io.StringIO(sweep_files.as_csv(collect(made.sweep))))

    assert "'=cmd|' /C calc'!A0" in header
    cells = [cell for row in rows for cell in row]
    assert {"'@SUM(1)", "-1e-5", "'+1+1", r"'-2+3\x1b[2J"} <= set(cells)
    assert not [cell for cell in (*header, *cells) if cell[:1] in ("=", "@", "+")]


def test_the_csv_has_a_row_per_trial_at_full_precision(in_folder: Path) -> None:
    made = filled(in_folder / "outputs")
    third = 1 / 3
    made.add({RATE: "7", "seed": "1"}, source_dev=0.1, mean_dev=third)
    rows = list(csv.DictReader(io.StringIO(sweep_files.as_csv(collect(made.sweep)))))

    assert [row["number"] for row in rows] == ["3", "2", "1", "0", "6", "5", "4"]
    assert rows[0] | {"x": "y"} == {
        **{"number": "3", "repeats": "", "state": "complete", "group": "1", RATE: "2e-5", "seed": "2", "x": "y"},
        **{"mean_dev": "0.72", "source_dev": str(0.9 - 0.72 / 10), "worst_dev": str(0.72 - 0.2)},
        **{"rank/mean_dev": "1", "rank/source_dev": "4", "rank/worst_dev": "1"},
        **{"test/en": str(0.72 + 0.11), "test/de": "0.73"},
        **{"validation/en": str(0.72 + 0.1), "validation/de": "0.72", "validation/sw": str(0.72 - 0.2)},
        **{"folder": "00000003", "why": ""},
    }
    assert float(rows[4]["mean_dev"]) == third
    assert (rows[6]["state"], rows[6]["why"], rows[6]["rank/mean_dev"]) == ("failed", "loss is NaN in step 3", "")


def test_the_json_has_everything_and_no_path_of_this_machine(in_folder: Path) -> None:
    made = filled(in_folder / "outputs")
    sweep_files.write_files(collect(made.sweep), folder=made.folder)
    text = (made.folder / "sweep.json").read_text(encoding="utf-8")
    document = json.loads(text)

    assert str(in_folder) not in text
    assert (document["schema"], document["name"], document["objective"]) == (1, "made", "mean_dev")
    assert document["counts"] == {"complete": 4, "pruned": 1, "failed": 1}
    assert document["trials"][4]["curve"] == {"metric": "source_dev", "steps": [2], "values": [0.3]}
    assert document["groups"][0]["objectives"]["mean_dev"]["values"] == [0.6 + 0.1 + 0.01, 0.6 + 0.1 + 0.02]
    assert document["groups"][0]["scores"]["test"]["languages"]["de"]["count"] == 2
    assert document["selection"]["objectives"]["mean_dev"]["difference"] == pytest.approx(0.11)
    assert document["comparison"]["test"] == "Welch's t-test, two-sided (Welch 1947)"
    assert document["importance"]["method"].startswith("PED-ANOVA")


def test_the_verb_prints_and_writes_into_the_folder_of_the_sweep(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = filled(in_folder / "outputs")
    monkeypatch.setattr(sweep_files, "read_sweep", lambda folder: made.sweep)
    before = {path.name for path in made.folder.iterdir()}
    for _ in range(2):
        cli.main(["sweep", "outputs/made"])
        assert "6 trials: 4 complete, 1 pruned, 1 failed" in capsys.readouterr().out

    written = {path.name for path in made.folder.iterdir()} - before
    assert written == {"sweep.csv", "sweep.json", "sweep.md", "sweep.png"}


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("evaluation.yaml", "is an evaluation, not a sweep"),
        ("config.yaml", "is a single run, not a sweep"),
        (None, "not a sweep"),
    ],
)
def test_another_folder_is_refused(
    in_folder: Path, capsys: pytest.CaptureFixture[str], file: str | None, part: str
) -> None:
    folder = in_folder / "outputs" / "other"
    folder.mkdir(parents=True)
    if file is not None:
        (folder / file).touch()
    with pytest.raises(SystemExit) as end:
        cli.main(["sweep", "outputs/other"])

    assert end.value.code == 2
    assert part in capsys.readouterr().err
    assert len(list(folder.iterdir())) == (file is not None), "nothing is written"


def test_a_link_out_of_the_sweep_is_refused(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = filled(in_folder / "outputs")
    (in_folder / "outside").write_text("mine")
    (made.folder / "sweep.csv.tmp").symlink_to(in_folder / "outside")
    monkeypatch.setattr(sweep_files, "read_sweep", lambda folder: made.sweep)
    with pytest.raises(SystemExit):
        cli.main(["sweep", "outputs/made"])

    assert "is a link that leads out of" in capsys.readouterr().err
    assert (in_folder / "outside").read_text() == "mine"


def test_a_file_that_is_gone_by_the_time_it_is_looked_at_is_no_trouble(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = filled(in_folder / "outputs")
    monkeypatch.setattr(sweep_files, "read_sweep", lambda folder: made.sweep)
    monkeypatch.setattr(os, "walk", lambda folder: [(str(folder), [], ["status.json.tmp"])])
    cli.main(["sweep", "outputs/made"])

    assert "6 trials" in capsys.readouterr().out


def colours(path: Path) -> int:
    """Count the colours of a picture."""
    with Image.open(path) as picture:
        found = picture.convert("RGB").getcolors(maxcolors=2**24)
    assert found is not None
    return len(found)


def test_the_picture_is_larger_with_more_to_show(in_folder: Path) -> None:
    empty = MadeSweep(in_folder / "outputs", name="empty")
    made = filled(in_folder / "outputs")
    for one in (empty, made):
        sweep_pictures.draw(collect(one.sweep), path=one.folder / "sweep.png")

    with Image.open(made.folder / "sweep.png") as picture, Image.open(empty.folder / "sweep.png") as nothing:
        assert picture.size[0] > nothing.size[0] > 600
        assert picture.size[1] > nothing.size[1] > 400
    assert colours(made.folder / "sweep.png") > 300 > colours(empty.folder / "sweep.png")


def test_pictures_of_many_groups_of_strange_letters_are_drawn(in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs", name="n" * 90)
    for number, text in enumerate((["データ" * 9] * 5 + MARKUP) * 2):
        folder = made.add({RATE: f"{text}{number}", "b": str(number)}, source_dev=0.5, mean_dev=number / 30)
        languages = {f"l{one}": one / 40 for one in range(40)}
        write_scores(folder, "validation", {"en": 0.9} | languages if number else {"en": 0.7})
        write_metrics(folder, [(1, "mean_dev", 0.1), (2, "mean_dev", number / 30)])
    sweep_pictures.draw(collect(made.sweep), path=made.folder / "sweep.png")

    assert colours(made.folder / "sweep.png") > 300


def test_keys_are_cut_to_what_tells_them_apart() -> None:
    assert short_names(["a.rate", "b.rate", "c.d.seed", "seed", "x.y"]) == {
        "a.rate": "a.rate",
        "b.rate": "b.rate",
        "c.d.seed": "d.seed",
        "seed": "seed",
        "x.y": "y",
    }


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2e-05", "2e-05"),
        ("2.3456789e-05", "2.346e-05"),
        ("[en,de,sw,fr]", "[en,de,sw,fr]"),
        ("infinityinfinity", None),
    ],
)
def test_long_numbers_are_rounded_for_reading(value: str, read: str | None) -> None:
    assert shorten(value) == (read or value)
