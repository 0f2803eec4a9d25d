"""The matrix has the runs' scores in place, marks what was trained on, and refuses what does not belong together."""

import json
import re
from pathlib import Path

import pytest
from made_runs import labels, ratings, write_run
from made_tasks import RATINGS
from whole_tables import WIDTHS, assert_whole

from babelfit.commands import cli
from babelfit.comparing.matrix import draw, matrix, sheet, write_page
from babelfit.errors import UserError
from babelfit.scoring.scores import Contaminated, FewShotNote

RIGHT = {"en": [1, 1, 1, 0], "de": [1, 1, 0, 0], "sw": [1, 0, 0, 0]}


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    records = {language: labels(right) for language, right in RIGHT.items()}
    return [
        str(write_run(tmp_path / "-".join(sources), records, sources=sources))
        for sources in (["sw"], ["en"], ["en", "de"])
    ]


def test_a_row_is_a_run_and_a_mean_over_its_own_targets(runs: list[str]) -> None:
    found = matrix(runs, split=None)
    order = found.languages

    assert sorted(row.run for row in found.rows) == sorted(runs)
    for row in found.rows:
        assert dict(zip(order, row.scores, strict=True)) == {"en": 0.75, "de": 0.5, "sw": 0.25}
    assert {"+".join(row.sources): row.target_mean for row in found.rows} == {
        "sw": 0.625,
        "en": 0.375,
        "en+de": 0.25,
    }


def test_what_was_trained_on_is_marked(runs: list[str]) -> None:
    laid_out = sheet(matrix(runs, split=None))

    assert laid_out.columns == ["trained on", "sw", "de", "en", "mean"]
    assert laid_out.rows == [
        ["sw", "25.0*", "50.0", "75.0", "62.5"],
        ["en", "25.0", "50.0", "75.0*", "37.5"],
        ["en+de", "25.0", "50.0*", "75.0*", "25.0"],
    ]


def test_correlations_below_zero_on_data_that_nobody_knows_by_name_make_a_matrix(tmp_path: Path) -> None:
    runs = [
        str(
            write_run(
                tmp_path / source,
                {"en": ratings(0.5, seed=1), "sw": ratings(rate, seed=2)},
                data="sts",
                task=RATINGS,
                is_parallel=True,
                sources=[source],
            )
        )
        for source, rate in (("en", -0.6), ("sw", 0.9))
    ]
    found = matrix(runs, split=None)
    laid_out = sheet(found)
    write_page(found, path=tmp_path / "matrix.html")
    draw(found, path=tmp_path / "matrix.png")

    assert laid_out.title == "sts, test: Pearson's r, by source languages"
    low, high = (row.scores[1] for row in found.rows)
    assert low < 0 < high
    assert [row[2] for row in laid_out.rows] == [f"{low:.3f}", f"{high:.3f}*"]
    page = (tmp_path / "matrix.html").read_text()
    shades = {score: shade for shade, score in re.findall(r"background:(#\w+);color:#\w+\">([-\d.]+)", page)}
    assert (shades[f"{low:.3f}"], shades[f"{high:.3f}"]) == ("#00224e", "#fee838")


def test_runs_of_the_same_sources_are_told_apart(tmp_path: Path, runs: list[str]) -> None:
    again = str(write_run(tmp_path / "again", {one: labels(right) for one, right in RIGHT.items()}))
    laid_out = sheet(matrix([runs[1], again], split=None))

    assert [row[0] for row in laid_out.rows] == [f"en ({runs[1]})", f"en ({again})"]


def test_a_run_stands_in_one_row(tmp_path: Path, runs: list[str]) -> None:
    with pytest.raises(UserError, match="give each run once"):
        matrix([*runs, f"{tmp_path}/en/../sw"], split=None)


def test_other_data_or_splits_are_refused(tmp_path: Path, runs: list[str]) -> None:
    other = write_run(tmp_path / "other", {"en": labels([1])}, split="validation")
    with pytest.raises(UserError, match="has no scores of validation, only of test"):
        matrix([*runs, str(other)], split=None)

    file = other / "scores" / "validation.json"
    (other / "scores" / "test.json").write_text(
        json.dumps(json.loads(file.read_text()) | {"split": "test", "data": "pawsx"})
    )
    file.unlink()
    with pytest.raises(UserError, match="different data: data xnli and pawsx"):
        matrix([*runs, str(other)], split=None)


def test_other_rows_or_other_gold_are_refused(tmp_path: Path, runs: list[str]) -> None:
    less = write_run(tmp_path / "less", {one: labels(right[:3]) for one, right in RIGHT.items()}, sources=["de"])
    with pytest.raises(
        UserError, match="different rows of sw: 4 and 3, 1 rows are in only one of the two, the first is row 3"
    ):
        matrix([*runs, str(less)], split=None)

    gold = {one: labels(right, gold="contradiction") for one, right in RIGHT.items()}
    other = write_run(tmp_path / "gold", gold, sources=["de"])
    with pytest.raises(UserError, match="different gold in sw, first in row 0"):
        matrix([*runs, str(other)], split=None)


def test_scores_that_are_not_those_of_the_predictions_are_refused(runs: list[str]) -> None:
    file = Path(runs[1]) / "scores" / "test.json"
    scores = json.loads(file.read_text())
    scores["languages"]["de"]["accuracy"] = 0.75
    file.write_text(json.dumps(scores))

    with pytest.raises(
        UserError, match=r"accuracy of test in de is 0\.7500 by its scores .* and 0\.5000 by its predictions"
    ):
        matrix(runs, split=None)


def test_a_language_that_one_run_lacks_is_left_out(tmp_path: Path, runs: list[str]) -> None:
    less = write_run(tmp_path / "less", {"en": labels(RIGHT["en"]), "de": labels(RIGHT["de"])}, sources=["de"])
    found = matrix([runs[0], str(less)], split=None)

    assert (found.languages, found.left_out) == (["de", "en"], ["sw"])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_of_many_languages_loses_no_number(tmp_path: Path, width: int) -> None:
    languages = ["en", "ar", "bg", "de", "el", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"]
    run = write_run(tmp_path / "run", {one: labels([1]) for one in languages})

    assert_whole(sheet(matrix([str(run)], split=None)), width=width)


def test_contaminated_scores_and_their_regime_are_told_in_every_form(
    tmp_path: Path, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = write_run(
        tmp_path / "told",
        {one: labels(right) for one, right in RIGHT.items()},
        sources=["de"],
        regime="few_shot",
        few_shot=FewShotNote(k=10, languages=["sw"]),
        contaminated=Contaminated(languages=["de", "sw"], why="trained on the test split of de"),
    )
    found = matrix([runs[0], str(told)], split=None)
    laid_out = sheet(found)

    assert [row.contaminated for row in found.rows] == [False, True]
    assert [row[0] for row in laid_out.rows] == ["sw", "de, few_shot, contaminated"]
    assert "de, few_shot, contaminated: Regime: few_shot, 10 examples of each label of sw." in laid_out.after
    assert any(
        "Contaminated (de, sw): the model was trained on the test split of de" in line for line in laid_out.after
    )
    cli.main(["matrix", runs[0], str(told)])
    assert "no measure of transfer" in " ".join(capsys.readouterr().out.split())


def test_the_command_writes_what_is_asked_for_and_nothing_else(runs: list[str], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    cli.main(["matrix", *runs])
    assert sorted(tmp_path.rglob("*")) == before

    files = {name: tmp_path / f"m.{name}" for name in ("json", "markdown", "png", "html")}
    cli.main(["matrix", *runs, *(word for name, file in files.items() for word in (f"--{name}", str(file)))])
    assert json.loads(files["json"].read_text())["languages"] == ["sw", "de", "en"]
    assert "| en+de | 25.0 | 50.0\\* | 75.0\\* | 25.0 |" in files["markdown"].read_text()
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.rglob("*")) == sorted([*before, *files.values()])


def test_the_page_is_a_heat_map_that_says_what_was_trained_on(tmp_path: Path, runs: list[str]) -> None:
    write_page(matrix(runs, split=None), path=tmp_path / "matrix.html")
    page = (tmp_path / "matrix.html").read_text()

    assert page.count('class="trained"') == 4
    assert re.findall(r"scope=\"row\">(.*?)</th>", page) == ["sw", "en", "en+de"]
    # The lowest score is the darkest, the highest the lightest.
    shades = {score: shade for shade, score in re.findall(r"background:(#\w+);color:#\w+\">([\d.]+)", page)}
    assert shades == {"25.0": "#00224e", "50.0": shades["50.0"], "75.0": "#fee838"}
    assert "http" not in page.replace("http-equiv", "")


def test_what_a_run_says_of_itself_is_text_on_the_page(tmp_path: Path) -> None:
    records = {one: labels(right) for one, right in RIGHT.items()}
    runs = [str(write_run(tmp_path / name, records)) for name in ("a", "<script>alert(1)<")]
    write_page(matrix(runs, split=None), path=tmp_path / "matrix.html")
    page = (tmp_path / "matrix.html").read_text()

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page
