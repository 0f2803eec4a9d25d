"""A task of numbers, whose score is no share and may be below zero, is right in every report."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_pages import FACTS, NUM_ROWS, entry
from made_runs import write_run
from made_sweeps import MadeSweep, write_metrics, write_scores
from made_tasks import RATINGS
from rich.console import Console

from babelfit.config import config_files
from babelfit.config.schema import TrainConfig
from babelfit.ledger.ledger import collect
from babelfit.reports import card, sheets, sweep_files, sweep_pictures, words, writing
from babelfit.reports.bars import Bars
from babelfit.reports.markdown import markdown
from babelfit.scoring import scores as score_files
from babelfit.scoring.scores import Scores
from babelfit.tasks.regression import NumberPrediction


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """An evaluation that is near in English, and in German says the opposite, but for one row."""
    ratings = {
        "en": [
            NumberPrediction(index=index, gold=index % 5, predicted=index % 5 + 0.25 * (index % 3))
            for index in range(NUM_ROWS)
        ],
        "de": [NumberPrediction(index=index, gold=index % 5, predicted=4.125 - index % 5) for index in range(NUM_ROWS)],
    }
    ratings["de"][7] = NumberPrediction(index=7, gold=2, predicted=-9.5)
    folder = write_run(tmp_path / "run", ratings, task=RATINGS)
    entries = {language: entry(tmp_path / "data", language) for language in ratings}
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "data": "xnli", "splits": {"test": entries}}))
    (folder / "metrics.csv").write_text(
        "step,metric,value\n1,validation/pearson/en,-0.25\n2,validation/pearson/en,0.5\n"
    )
    return folder


@pytest.fixture
def scores(run: Path) -> Scores:
    (found,) = score_files.read_all(run)
    return found


def terminal(scores: Scores) -> str:
    text = io.StringIO()
    Console(file=text, width=120).print(sheets.terminal(words.sheet(scores, on_terminal=True)))
    return text.getvalue()


def test_scores_are_below_zero_and_in_no_report_in_percent(scores: Scores) -> None:
    page, printed = markdown([scores], facts=FACTS), terminal(scores)
    assert scores.main["de"] < -0.5
    assert scores.transfer is not None
    german = words.rows_of(scores)[1]
    r, interval = f"{scores.main['de']:.3f}", scores.languages["de"].interval
    assert interval is not None

    assert german[1] == f"{r} ({interval[0]:.3f} to {interval[1]:.3f})"
    assert german[-2:] == ("80", f"{scores.main['de'] - scores.main['en']:+.3f}")
    for text in (page, printed):
        assert r in text
        assert "in percent" not in text
        assert "points" not in text
        assert f"gap {scores.main['en'] - scores.main['de']:.3f} (" in text
        assert f"worst target {r} (de)" in text
    assert "## xnli, test\n" in page
    assert "| language | Pearson's r | Spearman's rho | mean squared error | examples | to source |" in page
    assert "- **Pearson's r** is how predicted and gold numbers correlate" in page
    assert "mean Pearson's r over the source languages less the mean over the target languages (Hu" in page
    assert "What another seed of training would change is not in it.\n" in page
    for absent in ("macro F1", "ECE", "Answered alike", "0 or 100", "None", "nan"):
        assert absent not in page
    assert max(map(len, terminal(scores).splitlines())) <= 120


def test_a_source_below_zero_retains_nothing_and_has_a_distance(scores: Scores) -> None:
    assert scores.transfer is not None
    below = replace(scores, transfer=replace(scores.transfer, source=-0.25, retention=None))

    assert "retention" not in " ".join(words.transfer_lines(below))
    assert words.transfer_lines(below)[0].startswith("source mean -0.250 (")
    assert words.rows_of(below)[1][-1] == f"{scores.main['de'] + 0.25:+.3f}"


def test_the_page_has_bars_from_zero_to_both_sides_and_mistakes_by_distance(run: Path, scores: Scores) -> None:
    writing.write(run, all_scores=[scores], facts=FACTS)
    text = (run / "report.html").read_text(encoding="utf-8")
    german = text.split('data-choice="de"')[1].split("</article>")[0]

    bars = Bars.of(scores)
    assert bars.low < 0 < bars.high
    theirs = {language: bars.of_language(values) for language, values in scores.languages.items()}
    assert theirs["de"].start + theirs["de"].length == pytest.approx(theirs["en"].start), "they meet at zero"
    assert f"The bar shows Pearson&#39;s r from {bars.low:.3f} to {bars.high:.3f}" in text
    assert "dev Pearson&#x27;s r by language" in text
    assert "Off, the farthest first: 25 of 80" in german
    assert ">off by</th>" in german
    assert german.index("11.500") < german.index("4.125"), "row 7 is the farthest off"
    assert '<span class="right">2.000</span>' in german
    assert '<span class="wrong">-9.500</span>' in german
    assert "Premise 7 in de." in german
    assert "de German: 80 off</option>" in text
    for absent in ("Confusion", "Calibration", "Gold (rows)", "in percent; the bar", "gap, in points", "sure</th>"):
        assert absent not in text
    assert "gap</dt>" in text
    assert sorted(file.name for file in (run / "figures").iterdir()) == ["groups-test.png", "scores-test.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in (run / "figures").iterdir())


def test_what_the_page_shows_is_the_same_again(run: Path, scores: Scores) -> None:
    writing.write(run, all_scores=[scores], facts=FACTS)
    first = (run / "report.html").read_bytes()
    writing.write(run, all_scores=score_files.read_all(run), facts=FACTS)

    assert (run / "report.html").read_bytes() == first


def test_the_card_names_the_measures_as_the_hub_does(tmp_path: Path, scores: Scores) -> None:
    config = config_files.load(Path(__file__).parents[1] / "config" / "configs" / "version-1.yaml", TrainConfig)
    card.write_card(tmp_path, config=config, all_scores=[scores], facts=FACTS, doubts=(), hub_repo=None, revision=None)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")

    assert "| language | Pearson's r | 95 % interval | examples |" in text
    assert f"| de German | {scores.main['de']:.3f} | " in text
    for line in ("pipeline_tag: text-classification", "type: pearsonr", "type: spearmanr", "type: mse"):
        assert line in text
    assert f"value: {scores.main['de']:.4f}".rstrip("0") in text
    assert "in percent" not in text


def test_a_sweep_is_written_in_its_scores_unit(in_folder: Path) -> None:
    made = MadeSweep(in_folder / "outputs")
    for rate, shift in (("1e-5", 0.0), ("2e-5", 0.25)):
        for seed in (1, 2):
            value = shift - 0.125 + seed / 100
            overrides = {"optimization.learning_rate": rate, "seed": str(seed)}
            folder = made.add(overrides, source_dev=-value, mean_dev=value)
            write_scores(folder, "validation", {"en": value + 0.5, "de": value}, task=RATINGS)
            write_metrics(folder, [(step, "mean_dev", value * step / 8) for step in (2, 4, 8)])
    ledger = collect(made.sweep)
    page = sweep_files.markdown(ledger).replace("\\", "")
    sweep_pictures.draw(ledger, path=in_folder / "sweep.png")

    assert "## Trials, on dev (rank in brackets)\n" in page
    assert "-0.115" in page
    assert "group 1 is 0.250 above group 2 in mean_dev" in page
    assert "95 % interval of the difference 0.2" in page
    assert "| pearson by language" not in page
    assert "## Pearson by language on dev: mean ± standard deviation\n" in page
    assert "| gap | 0.500 ± 0.000 |" in page
    assert "| objective | best trial | its score | trial 0, by source_dev | lost |" in page
    assert "**lost** is what staying so costs" in page
    assert "points" not in page
    shares = page.split("## Importance")
    assert "in percent" not in shares[0]
    assert (in_folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
