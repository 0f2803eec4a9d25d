"""Comparisons say better, worse or can't tell for the right reason, and refuse what cannot be compared."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from made_runs import labels, ratings, write_run
from made_tasks import RATINGS, TOKENS
from rich.console import Console
from scipy.stats import ttest_ind
from whole_tables import WIDTHS, assert_whole

from babelfit.commands import cli
from babelfit.comparing.compare import compare
from babelfit.comparing.comparison_sheets import sheets
from babelfit.comparing.scored_runs import folders
from babelfit.errors import UserError
from babelfit.reports.sheets import Sheet, latex, markdown, terminal
from babelfit.scoring.scores import Contaminated, Resamples
from babelfit.tasks import TASKS, Classification, Regression
from babelfit.tasks.masked_tokens import MaskedPrediction
from babelfit.tasks.tagging import TagPrediction

CONFIGS = Path(__file__).parents[1] / "config" / "configs"


def answered(rates: Mapping[str, float], *, seed: int, count: int = 400) -> dict[str, Sequence[int]]:
    generator = np.random.default_rng(seed)
    return {language: (generator.random(count) < rate).astype(int) for language, rate in rates.items()}


def run(folder: Path, right: Mapping[str, Sequence[int]], **settings: Any) -> str:
    return str(write_run(folder, {language: labels(one) for language, one in right.items()}, **settings))


def with_config(folder: str, *, seed: int, **changes: object) -> str:
    values = yaml.safe_load((CONFIGS / "version-1.yaml").read_text()) | {
        "seed": seed,
        "name": Path(folder).name,
    }
    (Path(folder) / "config.yaml").write_text(yaml.safe_dump(values | changes))
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Two runs of which the second is better in sw, worse in de, and about the same in en."""
    first = answered({"en": 0.8, "de": 0.8, "sw": 0.5}, seed=1)
    second = {**answered({"en": 0.8, "sw": 0.7}, seed=2), "de": first["de"] & answered({"de": 0.9}, seed=3)["de"]}
    return run(tmp_path / "one", first), run(tmp_path / "other", {one: second[one] for one in ("en", "de", "sw")})


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_loses_no_number(pair: tuple[str, str], width: int) -> None:
    [sheet] = sheets(compare(pair, split=None))
    assert_whole(sheet, width=width)


def test_a_table_is_written_in_each_form(pair: tuple[str, str], tmp_path: Path) -> None:
    cli.main(["compare", *pair, "--markdown", str(tmp_path / "a.md"), "--latex", str(tmp_path / "a.tex")])
    [sheet] = sheets(compare(pair, split=None))

    assert (tmp_path / "a.md").read_text() == markdown(sheet)
    assert (tmp_path / "a.tex").read_text() == latex(sheet)


def test_each_language_has_its_verdict(pair: tuple[str, str]) -> None:
    [found] = compare(pair, split=None).comparisons

    assert {row.language: row.verdict for row in found.languages} == {
        "en": "can't tell",
        "de": "worse",
        "sw": "better",
    }
    assert found.test.startswith("McNemar's exact test")
    for row in found.languages:
        assert row.interval[0] <= row.difference <= row.interval[1]
        assert row.difference == pytest.approx(row.second - row.first)
        discordant = row.only_second_right - row.only_first_right
        assert row.difference == pytest.approx(discordant / 400)
        assert row.p_holm >= row.p


def test_the_mean_is_over_target_languages(pair: tuple[str, str]) -> None:
    [found] = compare(pair, split=None).comparisons
    rows = {row.language: row for row in found.languages}

    assert found.target_mean.languages == ["de", "sw"]
    assert found.target_mean.difference == pytest.approx((rows["de"].difference + rows["sw"].difference) / 2)
    assert found.resamples == Resamples(number=10_000, of="items")


def test_a_run_is_no_better_than_its_like(tmp_path: Path, pair: tuple[str, str]) -> None:
    like = str(shutil.copytree(pair[0], tmp_path / "like"))
    [found] = compare([pair[0], like], split=None).comparisons

    assert {(row.p, row.verdict, *row.interval) for row in found.languages} == {(1, "can't tell", 0, 0)}
    assert found.target_mean.verdict == "can't tell"


def test_further_runs_are_each_compared_with_the_first(tmp_path: Path, pair: tuple[str, str]) -> None:
    like = str(shutil.copytree(pair[0], tmp_path / "like"))
    found = compare([*pair, like], split=None).comparisons

    assert [one.second.name for one in found] == [pair[1], like]
    assert {one.first.name for one in found} == {pair[0]}


def test_a_run_stands_once_and_on_one_side(tmp_path: Path, pair: tuple[str, str]) -> None:
    same = f"{tmp_path}/other/../one"

    with pytest.raises(UserError, match="is given on two sides"):
        compare([pair[0], same], split=None)
    with pytest.raises(UserError, match="give each run once"):
        compare([f"{pair[0]},{same}", pair[1]], split=None)


def test_spans_are_compared_over_sentences(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)

    def tagged(rate: float) -> list[TagPrediction]:
        gold = ["B-PER", "I-PER", "O", "B-LOC"]
        return [
            TagPrediction(
                index=index,
                gold=gold,
                predicted=gold if generator.random() < rate else ["O", "O", "O", "B-LOC"],
                probabilities=[1.0] * 4,
            )
            for index in range(200)
        ]

    one = write_run(tmp_path / "one", {"en": tagged(0.8), "de": tagged(0.5)}, data="wikiann")
    other = write_run(tmp_path / "other", {"en": tagged(0.8), "de": tagged(0.8)}, data="wikiann")
    [found] = compare([str(one), str(other)], split=None).comparisons

    assert found.test == "paired permutation test over sentences (Yeh 2000)"
    assert [row.verdict for row in found.languages] == ["can't tell", "better"]
    assert found.resamples.of == "examples of each language"


def test_a_run_on_data_that_nobody_knows_by_name_is_compared_as_its_scores_say(tmp_path: Path) -> None:
    task = Classification(labels=("no", "yes"))
    generator = np.random.default_rng(3)
    pair = []
    for name, rate in (("one", 0.5), ("other", 0.7)):
        records = {
            language: labels((generator.random(300) < rate).astype(int), gold="yes", wrong="no")
            for language in ("en", "sw")
        }
        pair.append(str(write_run(tmp_path / name, records, data="questions", task=task, is_parallel=True)))
    document = compare(pair, split=None)
    [found] = document.comparisons

    assert (document.data, document.task) == ("questions", "classification")
    assert found.test.startswith("McNemar's exact test")
    assert found.resamples.of == "items"
    assert [row.verdict for row in found.languages] == ["better", "better"]


def test_correlations_below_zero_are_compared_by_permutation_and_not_in_percent(tmp_path: Path) -> None:
    pair = []
    for number, (name, sw) in enumerate((("one", -0.6), ("other", 0.2))):
        records = {"en": ratings(-0.5, seed=10 + number), "sw": ratings(sw, seed=20 + number)}
        pair.append(str(write_run(tmp_path / name, records, data="sts", task=RATINGS, is_parallel=True)))
    document = compare(pair, split=None)
    [found] = document.comparisons
    rows = {row.language: row for row in found.languages}

    assert found.test == "paired permutation test over examples (Yeh 2000)"
    assert found.resamples.of == "items"
    for language, row in rows.items():
        for score, folder in ((row.first, pair[0]), (row.second, pair[1])):
            lines = (Path(folder) / "predictions" / "test" / f"{language}.jsonl").read_text().splitlines()
            gold, predicted = np.array([[json.loads(line)[key] for line in lines] for key in ("gold", "predicted")])
            assert score == pytest.approx(np.corrcoef(gold, predicted)[0, 1])
        assert row.interval is not None
        assert row.interval[0] <= row.difference <= row.interval[1]
    assert rows["sw"].first < 0 < rows["sw"].second
    assert (rows["en"].verdict, rows["sw"].verdict) == ("can't tell", "better")
    assert found.target_mean is not None
    assert found.target_mean.verdict == "better"
    [sheet] = sheets(document)
    assert sheet.title == "sts, test: Pearson's r"
    assert sheet.rows[1][1] == f"{rows['sw'].first:.3f}"
    assert "points" not in markdown(sheet)


def test_seeds_of_correlations_are_tested_by_their_spread(tmp_path: Path) -> None:
    for side, sw in (("one", -0.6), ("other", 0.2)):
        for seed in range(2):
            records = {"en": ratings(0.5, seed=seed), "sw": ratings(sw, seed=20 + seed)}
            folder = write_run(tmp_path / side / str(seed), records, data="sts", task=RATINGS, is_parallel=True)
            with_config(str(folder), seed=seed)
    document = compare([f"{tmp_path}/one", f"{tmp_path}/other"], split=None)
    mean = document.comparisons[0].target_mean

    assert mean is not None
    assert mean.seeds is not None
    page = markdown(sheets(document)[0])
    assert f"standard deviations over seeds {mean.seeds.first_sd:.4f} and {mean.seeds.second_sd:.4f}; 95 %" in page


def test_a_score_of_ranks_is_compared_and_not_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ranks(Regression):
        name = "ranks"
        measures = (Regression.measures[1], Regression.measures[0])

    monkeypatch.setitem(TASKS, Ranks.name, Ranks)
    pair = [
        str(write_run(tmp_path / name, {"sw": ratings(rate, seed=5)}, data="sts", task=Ranks(), is_parallel=True))
        for name, rate in (("one", 0.2), ("other", 0.9))
    ]
    document = compare(pair, split=None)
    [row] = document.comparisons[0].languages

    assert row.first < row.second
    assert (row.p, row.interval, row.verdict) == (None, None, "can't tell")
    page = markdown(sheets(document)[0])
    assert "p: none, for Spearman's rho is no sum over examples" in page
    assert "bootstrap" not in page


def test_runs_on_masked_tokens_are_refused(tmp_path: Path) -> None:
    records = {"en": [MaskedPrediction(index=0, masked=3, right=1, nll=2.5)]}
    pair = [str(write_run(tmp_path / name, records, data="text", task=TOKENS)) for name in ("one", "other")]

    with pytest.raises(UserError, match=r"test\.json has scores of masked tokens, which this command does not read"):
        compare(pair, split=None)


def test_the_document_has_its_keys_in_order(tmp_path: Path, pair: tuple[str, str]) -> None:
    cli.main(["compare", *pair, "--json", str(tmp_path / "c.json")])
    found = json.loads((tmp_path / "c.json").read_text())
    [comparison] = found["comparisons"]

    assert " ".join(found) == "schema data task split metric measure synthetic comparisons"
    assert " ".join(comparison) == "first second test resamples languages left_out target_mean"
    assert " ".join(comparison["languages"][0]) == (
        "language is_target first second difference interval only_first_right only_second_right p p_holm verdict"
    )
    assert " ".join(comparison["target_mean"]) == "languages first second difference interval p verdict"
    assert found["measure"] == {"key": "accuracy", "title": "accuracy", "unit": "percent", "better": "higher"}


def test_three_examples_prove_no_target_mean(tmp_path: Path) -> None:
    one, other = run(tmp_path / "one", {"de": [0, 0, 0]}), run(tmp_path / "other", {"de": [1, 1, 1]})
    [found] = compare([one, other], split=None).comparisons

    assert found.target_mean.p == pytest.approx(0.25, abs=0.02)
    assert found.target_mean.verdict == "can't tell"


def seeds(folder: Path, rate: float, numbers: Sequence[int], **changes: object) -> list[str]:
    return [
        with_config(
            run(folder / str(number), answered({"en": 0.8, "de": rate + 0.01 * (number % 3)}, seed=number)),
            seed=number,
            **changes,
        )
        for number in numbers
    ]


def test_several_seeds_are_tested_by_their_spread(tmp_path: Path) -> None:
    # Right answers of 100, by seed: the first side spreads more in de, the second in sw and in the mean of both.
    right = {
        "one": {"en": (80, 81, 82), "de": (59, 61, 64), "sw": (60, 62, 58)},
        "other": {"en": (80, 82, 81, 81), "de": (80, 81, 82, 83), "sw": (55, 65, 71, 60)},
    }
    for side, counts in right.items():
        for seed in range(len(counts["en"])):
            answers = {language: [1] * those[seed] + [0] * (100 - those[seed]) for language, those in counts.items()}
            with_config(run(tmp_path / side / str(seed), answers), seed=seed)
    one, other = (
        {language: np.divide(those, 100) for language, those in counts.items()}
        | {"mean": np.add(counts["de"], counts["sw"]) / 200}
        for counts in right.values()
    )
    document = compare([f"{tmp_path}/one", f"{tmp_path}/other"], split=None)
    [found] = document.comparisons

    assert found.test.startswith("Welch's t-test")
    assert found.first.runs == [f"{tmp_path}/one/{seed}" for seed in range(3)]
    rows = {row.language: row for row in found.languages} | {"mean": found.target_mean}
    for name, row in rows.items():
        tested = ttest_ind(other[name], one[name], equal_var=False)
        assert row.p == pytest.approx(tested.pvalue)
        assert row.difference == pytest.approx(other[name].mean() - one[name].mean())
    assert {name: row.verdict for name, row in rows.items()} == {
        "en": "can't tell",
        "de": "better",
        "sw": "can't tell",
        "mean": "better",
    }
    over_seeds = found.target_mean.seeds
    assert over_seeds.first_sd == pytest.approx(one["mean"].std(ddof=1))
    assert over_seeds.second_sd == pytest.approx(other["mean"].std(ddof=1))
    interval = ttest_ind(other["mean"], one["mean"], equal_var=False).confidence_interval(0.95)
    assert over_seeds.interval == pytest.approx([interval.low, interval.high])
    assert 0 < interval.low < found.target_mean.difference < interval.high
    [turned] = compare([f"{tmp_path}/other", f"{tmp_path}/one"], split=None).comparisons
    assert turned.target_mean.verdict == "worse"
    page = markdown(sheets(document)[0])
    assert "the mean of 3 seeds" in page
    first_sd, second_sd = (100 * side["mean"].std(ddof=1) for side in (one, other))
    assert f"standard deviations over seeds {first_sd:.2f} and {second_sd:.2f} points" in page


def test_languages_that_could_not_be_tested_are_not_corrected_for(tmp_path: Path) -> None:
    right = answered({"en": 0.8, "de": 0.6, "sw": 0.5}, seed=1)
    sides = []
    for side in range(2):
        seeded = []
        for seed in range(2):
            # In sw nothing is learned, whatever the seed.
            theirs = {one: answered({one: 0.5 + 0.2 * side}, seed=seed + 7 * side)[one] for one in ("en", "de")}
            seeded.append(with_config(run(tmp_path / f"{side}-{seed}", right | theirs), seed=seed))
        sides.append(",".join(seeded))
    document = compare(sides, split=None)
    rows = {row.language: row for row in document.comparisons[0].languages}

    assert (rows["sw"].p, rows["sw"].p_holm, rows["sw"].verdict) == (None, None, "can't tell")
    least = min(rows[one].p for one in ("en", "de"))
    assert min(rows[one].p_holm for one in ("en", "de")) == pytest.approx(2 * least)
    assert "Holm: corrected for 2 languages" in markdown(sheets(document)[0])


def test_runs_of_a_side_that_differ_in_more_than_the_seed_are_refused(tmp_path: Path) -> None:
    one = seeds(tmp_path, 0.6, (1,))
    other = seeds(tmp_path, 0.6, (2,), selection="source_dev")
    config = Path(other[0]) / "config.yaml"
    config.write_text(config.read_text().replace("batch_size: ", "batch_size: 1"))

    with pytest.raises(UserError, match=r"differ in more than the seed:\n  optimization\.batch_size: "):
        compare([f"{one[0]},{other[0]}", str(tmp_path)], split=None)


def test_a_seed_counts_once(tmp_path: Path) -> None:
    one, other = seeds(tmp_path / "one", 0.6, (1, 2)), seeds(tmp_path / "other", 0.8, (1, 2))
    with_config(other[1], seed=1)

    with pytest.raises(UserError, match=r"other/1 and .*other/2 are given as one side and have the same seed, 1"):
        compare([",".join(one), ",".join(other)], split=None)


def test_one_run_is_not_compared_with_several(tmp_path: Path, pair: tuple[str, str]) -> None:
    several = ",".join(seeds(tmp_path / "seeds", 0.6, (1, 2)))

    with pytest.raises(UserError, match="one side is a single run and another several seeds"):
        compare([pair[0], several], split=None)


def test_other_rows_are_refused(tmp_path: Path) -> None:
    one, other = run(tmp_path / "one", {"en": [1, 0, 1]}), run(tmp_path / "other", {"en": [1, 0]})

    with pytest.raises(
        UserError, match=r"different rows of en: 3 and 2, 1 rows are in only one of the two, the first is row 2"
    ):
        compare([one, other], split=None)


def test_other_gold_is_refused(tmp_path: Path) -> None:
    records = labels([1, 0, 1])
    one = write_run(tmp_path / "one", {"en": records})
    other = write_run(tmp_path / "other", {"en": [*records[:2], replace(records[2], gold="contradiction")]})

    with pytest.raises(UserError, match="different gold in en, first in row 2"):
        compare([str(one), str(other)], split=None)


@pytest.mark.parametrize(
    ("other", "row"),
    [
        ({2: ["B-LOC", "O"]}, 2),  # a word more
        ({2: ["B-LOC", "O", "O"], 4: ["O", "O", "O"]}, 2),
        ({2: ["B-LOC", "O"], 4: ["B-LOC", "O"]}, 2),
        ({4: ["B-LOC", "B-LOC", "O"]}, 4),  # and nothing behind it
        ({2: ["B-LOC", "B-LOC"], 4: ["O"]}, 2),  # a word is another sentence's
    ],
)
def test_the_first_row_of_other_gold_is_named_where_sentences_have_other_lengths(
    tmp_path: Path, other: dict[int, list[str]], row: int
) -> None:
    given = {0: ["O", "B-LOC"], 2: ["B-LOC"], 4: ["B-LOC", "B-LOC"]}
    pair = []
    for name, gold in {"one": given, "other": given | other}.items():
        tags = [TagPrediction(index=index, gold=it, predicted=it, probabilities=[]) for index, it in gold.items()]
        dropped = {"splits": {"test": {"en": {"files": [], "dropped": {"empty": [1, 3]}}}}}
        pair.append(write_run(tmp_path / name, {"en": tags}, data="wikiann", dropped={"en": [1, 3]}))
        (pair[-1] / "manifest.json").write_text(json.dumps(dropped))

    for ordered in (pair, pair[::-1]):
        with pytest.raises(UserError, match=f"different gold in en, first in row {row}:"):
            compare([str(folder) for folder in ordered], split=None)


@pytest.mark.parametrize("accuracy", [0.9, float("nan")])
def test_scores_that_are_not_those_of_the_predictions_are_refused(tmp_path: Path, accuracy: float) -> None:
    one, other = run(tmp_path / "one", {"en": [1, 0]}), run(tmp_path / "other", {"en": [1, 1]})
    file = Path(one) / "scores" / "test.json"
    scores = json.loads(file.read_text())
    scores["languages"]["en"]["accuracy"] = accuracy
    file.write_text(json.dumps(scores))

    with pytest.raises(UserError, match=r"0\.5000 by its predictions \(2 examples|holds no scores"):
        compare([one, other], split=None)


def test_predictions_that_lost_their_end_are_refused_though_their_score_is_the_same(tmp_path: Path) -> None:
    pair = run(tmp_path / "one", {"en": [1, 0] * 4}), run(tmp_path / "other", {"en": [0, 1] * 4})
    for folder in pair:
        file = Path(folder) / "predictions" / "test" / "en.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))

    with pytest.raises(
        UserError, match=r"is 0\.5000 by its scores \(8 examples\) and 0\.5000 by its predictions \(4 ex"
    ):
        compare(pair, split=None)


@pytest.mark.parametrize("settings", [{"data": "pawsx"}, {"synthetic": True}])
def test_other_data_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    one, other = run(tmp_path / "one", {"en": [1]}), run(tmp_path / "other", {"en": [1]})
    file = Path(other) / "scores" / "test.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))

    with pytest.raises(UserError, match=r"different data|on the synthetic sample"):
        compare([one, other], split=None)


def test_rows_that_were_dropped_are_missed_by_nobody(tmp_path: Path) -> None:
    records = {"en": labels([1, 0] * 5), "de": [*labels([1, 0] * 5)[:5], *labels([1, 0] * 5)[6:]]}
    pair = [str(write_run(tmp_path / name, records, dropped={"de": [5]})) for name in ("one", "other")]
    with pytest.raises(UserError, match="no prediction for index 5"):
        compare(pair, split=None)

    for folder in pair:
        dropped = {"splits": {"test": {"de": {"files": [], "dropped": {"untranslated, NS": [5]}}}}}
        (Path(folder) / "manifest.json").write_text(json.dumps(dropped))
    assert len(compare(pair, split=None).comparisons[0].languages) == 2


def test_rows_that_are_not_parallel_are_not_drawn_together_whatever_the_scores_say(tmp_path: Path) -> None:
    rows = {"en": labels([1, 0, 1]), "de": labels([1, 0])}
    pair = [write_run(tmp_path / name, rows) for name in ("one", "other")]
    for folder in pair:
        file = folder / "scores" / "test.json"
        scores = json.loads(file.read_text())
        del scores["not_parallel"]
        file.write_text(json.dumps(scores))
    document = compare([str(folder) for folder in pair], split=None)
    [found] = document.comparisons

    assert found.resamples.of == "examples of each language"
    assert "not parallel: 1 rows are in only one of the two" in found.not_parallel
    assert "not parallel: 1 rows" in markdown(sheets(document)[0])


def test_rows_behind_a_limit_are_missed_by_nobody(tmp_path: Path) -> None:
    rows = {"en": labels([1, 0, 1, 1]), "de": [labels([1] * 5)[row] for row in (0, 2, 4)]}
    pair = [str(write_run(tmp_path / name, rows, dropped={"de": [1, 3]})) for name in ("one", "other")]
    entries = {
        "en": {"files": [], "rows": 5, "dropped": {}, "examples": 4},
        "de": {"files": [], "rows": 5, "dropped": {"untranslated, NS": [1, 3]}, "examples": 3},
    }
    for folder in pair:
        (Path(folder) / "manifest.json").write_text(json.dumps({"splits": {"test": entries}}))
    [found] = compare(pair, split=None).comparisons

    assert found.resamples.of == "items"


def test_a_split_that_one_lacks_is_named(tmp_path: Path, pair: tuple[str, str]) -> None:
    other = run(tmp_path / "dev", {"en": [1]}, split="validation")

    with pytest.raises(UserError, match="one has no scores of validation, only of test"):
        compare([pair[0], other], split=None)
    with pytest.raises(UserError, match="dev has no scores of test, only of validation"):
        compare([pair[0], other], split="test")


def test_a_language_that_one_lacks_is_left_out_and_named(tmp_path: Path, pair: tuple[str, str]) -> None:
    less = run(tmp_path / "less", answered({"en": 0.8, "de": 0.8}, seed=9))
    document = compare([pair[0], less], split=None)

    assert document.comparisons[0].left_out == ["sw"]
    assert "Left out, for not all have them: sw." in markdown(sheets(document)[0])


def test_what_is_no_scored_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no scores, and no folder in it has"):
        folders(str(tmp_path))


@pytest.mark.parametrize("given", ["", "one,", ",one", "one,,other"])
def test_a_comma_too_many_stands_for_no_folder(
    tmp_path: Path, pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UserError, match="a folder is missing"):
        folders(given)


def test_predictions_that_are_gone_are_named(pair: tuple[str, str]) -> None:
    (Path(pair[1]) / "predictions" / "test" / "de.jsonl").unlink()

    with pytest.raises(UserError, match=r"de\.jsonl is missing"):
        compare(pair, split=None)


@pytest.mark.parametrize(
    "damage",
    [
        {"languages": {"en": {}}},
        {"languages": {"en": 1}},
        {"source_languages": None},
        {"data": []},
        {"data": {}},
        {"regime": 1},
        {"few_shot": {"k": "many"}},
    ],
)
def test_damaged_scores_are_named(pair: tuple[str, str], damage: dict[str, object]) -> None:
    file = Path(pair[1]) / "scores" / "test.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))

    with pytest.raises(UserError, match=r"scores/test\.json holds no scores"):
        compare(pair, split=None)


def test_a_language_that_is_a_path_is_read_from_nowhere(pair: tuple[str, str]) -> None:
    for folder in pair:
        file = Path(folder) / "scores" / "test.json"
        scores = json.loads(file.read_text())
        scores["languages"] = {"../test/en": scores["languages"]["en"]}
        file.write_text(json.dumps(scores))

    with pytest.raises(UserError, match=r"test\.json holds no scores .* a word of letters"):
        compare(pair, split=None)


def test_the_command_prints_within_80_columns_and_writes_what_is_asked_for(
    pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    cli.main(["compare", *pair])
    assert sorted(tmp_path.rglob("*")) == before
    assert "target mean" in capsys.readouterr().out

    cli.main(["compare", *pair, "--json", str(tmp_path / "c.json"), "--markdown", str(tmp_path / "c.md")])
    assert json.loads((tmp_path / "c.json").read_text())["comparisons"][0]["languages"][0]["language"] == "en"
    assert "| sw Swahili |" in (tmp_path / "c.md").read_text()


def test_contaminated_scores_and_their_regime_are_told(tmp_path: Path) -> None:
    why = Contaminated(languages=["en", "de"], why="trained on the test split of en")
    one = run(tmp_path / "one", {"en": [1, 0], "de": [1, 0]}, regime="zero_shot")
    other = run(tmp_path / "other", {"en": [1, 0], "de": [1, 1]}, regime="translate_test", contaminated=why)
    document = compare([one, other], split=None)
    [found] = document.comparisons

    assert (found.first.regimes, found.first.notes) == (["zero_shot"], [])
    assert found.second.regimes == ["translate_test"]
    regime, warning = found.second.notes
    assert regime == "Regime: translate_test."
    assert warning.startswith("Contaminated (en, de): the model was trained on the test split of en.")
    [sheet] = sheets(document)
    for page in (markdown(sheet), printed(sheet).replace("\n", " ")):
        assert "second: Contaminated (en, de)" in page
        assert "first: Contaminated" not in page


def printed(sheet: Sheet) -> str:
    text = io.StringIO()
    Console(file=text, width=80).print(terminal(sheet))
    return text.getvalue()


def test_the_table_fits_into_80_columns(pair: tuple[str, str]) -> None:
    [sheet] = sheets(compare(pair, split=None))

    lines = printed(sheet).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("can't tell" in line for line in lines) >= 1
