"""Predictions of others are scored as their files say, ours come back as they went; what does not fit is refused."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import ratings

from babelfit.commands import cli
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import Record
from babelfit.scoring.scores import read_all
from babelfit.tasks.classification import LabelPrediction
from babelfit.tasks.tagging import TagPrediction

XNLI = {"en": ["entailment", "neutral", "contradiction"], "de": ["entailment", "neutral", "contradiction"]}
PAWSX = ["0", "1", "1"]
PANX = "Ada\tB-PER\nLovelace\tI-PER\n\nin\tO\nRome\tB-LOC\n"


@pytest.fixture
def data(in_folder: Path) -> Path:
    """Tiny test splits in XTREME's layout; PAWS-X's row 1 was not translated into German."""
    folder = in_folder / "data"
    for language, gold in XNLI.items():
        write(folder / "xnli" / f"test-{language}.tsv", "".join(f"a man sleeps\tsome man\t{one}\n" for one in gold))
    for language in ("en", "de"):
        second = ["b", "NS" if language == "de" else "b", "b"]
        rows = zip(second, PAWSX, strict=True)
        write(folder / "pawsx" / f"test-{language}.tsv", "".join(f"a\t{text}\t{label}\n" for text, label in rows))
    write(folder / "panx" / "test-en.tsv", PANX)
    return folder


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def run_import(given: Path, data: Path, *, name: str, of: str = "xnli", format: str = "xtreme") -> Path:
    cli.main(
        ["import-predictions", str(given), "--format", format, "--data", of, "--folder", str(data), "--name", name]
    )
    return Path("outputs") / name


def refused(capsys: pytest.CaptureFixture[str], given: Path, data: Path, **settings: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        run_import(given, data, name="refused", **settings)
    assert not (Path("outputs") / "refused" / "predictions").exists()
    return " ".join(capsys.readouterr().err.split())


def kept(run: Path, language: str) -> list[dict[str, Any]]:
    lines = prediction_files.path(run, split="test", language=language).read_text().splitlines()
    return [json.loads(line) for line in lines]


def scores(run: Path) -> Mapping[str, float]:
    [found] = read_all(run)
    return found.main


def test_a_submission_is_scored_and_reported(in_folder: Path, data: Path) -> None:
    write(in_folder / "theirs" / "xnli" / "test-en.tsv", "entailment\nneutral\nneutral\n")
    write(in_folder / "theirs" / "xnli" / "test-de.tsv", "entailment\ncontradictory\nEntailment\n")
    run = run_import(in_folder / "theirs", data, name="theirs")

    assert scores(run) == {"en": pytest.approx(2 / 3), "de": pytest.approx(1 / 3)}
    assert kept(run, "de")[0] == {"index": 0, "gold": "entailment", "predicted": "entailment", "probabilities": {}}
    report = (run / "report.md").read_text()
    assert "imported from" in report
    assert "as --sources says; not checked" in report
    assert "ECE" not in report


def test_one_file_is_enough(in_folder: Path, data: Path) -> None:
    file = write(in_folder / "test-de.tsv", "entailment\nneutral\ncontradiction\n")

    assert scores(run_import(file, data, name="one")) == {"de": 1.0}


SUBMISSION = "entailment\nneutral\nneutral\n"


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != "lock"}


def test_further_languages_are_added_and_the_same_files_may_come_again(in_folder: Path, data: Path) -> None:
    en = write(in_folder / "theirs" / "test-en.tsv", SUBMISSION)
    run = run_import(in_folder / "theirs", data, name="theirs")
    write(in_folder / "theirs" / "test-de.tsv", SUBMISSION)
    run_import(in_folder / "theirs" / "test-de.tsv", data, name="theirs")
    run_import(in_folder / "theirs", data, name="theirs")

    assert scores(run) == {"en": pytest.approx(2 / 3), "de": pytest.approx(2 / 3)}
    imported = json.loads((run / "manifest.json").read_text())["imported"]["test"]
    digest = hashlib.sha256(SUBMISSION.encode()).hexdigest()
    assert imported["en"] == {"path": str(en), "sha256": digest}
    assert imported.keys() == {"en", "de"}


def test_predictions_from_other_files_are_not_mixed(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for language in ("de", "en"):
        write(in_folder / "theirs" / f"test-{language}.tsv", SUBMISSION)
    run = run_import(in_folder / "theirs", data, name="theirs")
    before = everything(run)
    other = SUBMISSION.replace("entailment", "contradiction")
    write(in_folder / "theirs" / "test-en.tsv", other)

    for given in ("theirs", "theirs/test-en.tsv"):
        with pytest.raises(SystemExit, match="2"):
            run_import(in_folder / given, data, name="theirs")
        told = " ".join(capsys.readouterr().err.split())
        for text in (other, SUBMISSION):
            assert f"test-en.tsv (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:12]})" in told
        assert "choose another --name, or delete outputs/theirs" in told
        assert everything(run) == before


def test_predictions_that_come_from_nobody_knows_where_stay(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(in_folder / "theirs" / "test-en.tsv", SUBMISSION)
    run = run_import(in_folder / "theirs", data, name="theirs")
    known = json.loads((run / "manifest.json").read_text())
    del known["imported"]
    write(run / "manifest.json", json.dumps(known))

    with pytest.raises(SystemExit, match="2"):
        run_import(in_folder / "theirs", data, name="theirs")
    assert "of test en from nobody knows where" in " ".join(capsys.readouterr().err.split())


def test_other_data_leave_imported_predictions_as_they_are(in_folder: Path, data: Path) -> None:
    write(in_folder / "theirs" / "test-en.tsv", SUBMISSION)
    run = run_import(in_folder / "theirs", data, name="theirs")
    before = everything(run)
    file = data / "xnli" / "test-en.tsv"
    file.write_text(file.read_text().replace("neutral", "entailment"))

    with pytest.raises(SystemExit, match="2"):
        run_import(in_folder / "theirs", data, name="theirs")
    assert everything(run) == before


def test_other_sources_are_another_model(in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for language in ("de", "en"):
        write(in_folder / "theirs" / f"test-{language}.tsv", SUBMISSION)
    run = run_import(in_folder / "theirs" / "test-en.tsv", data, name="theirs")
    before = everything(run)
    files, settings = str(in_folder / "theirs" / "test-de.tsv"), ["--format", "xtreme", "--data", "xnli"]

    with pytest.raises(SystemExit, match="2"):
        cli.main(["import-predictions", files, *settings, "--folder", str(data), "--name", "theirs", "--sources", "de"])
    assert "data.train_languages: ['en'] -> ['de']" in " ".join(capsys.readouterr().err.split())
    assert everything(run) == before


def test_labels_are_those_of_the_files_and_dropped_rows_are_not_scored(in_folder: Path, data: Path) -> None:
    write(in_folder / "pawsx" / "test-de.tsv", "0\n0\n1\n")
    write(in_folder / "pawsx" / "test-en.tsv", "0\n0\n1\n")
    run = run_import(in_folder, data, name="pawsx", of="pawsx")

    assert scores(run) == {"en": pytest.approx(2 / 3), "de": 1.0}
    assert [record["index"] for record in kept(run, "de")] == [0, 2]
    [found] = read_all(run)
    assert found.consistency is not None
    assert (found.consistency.items, found.consistency.left_out) == (2, 1)


@pytest.mark.parametrize("regime", [None, "translate_test"])
def test_what_a_strangers_model_saw_is_not_guessed(data: Path, tmp_path: Path, regime: str | None) -> None:
    given = write(tmp_path / "theirs" / "test-en.tsv", SUBMISSION)
    told = [] if regime is None else ["--regime", regime]
    cli.main(["import-predictions", str(given), "--format", "xtreme", "--data", "xnli", "--folder", str(data),
              "--name", "theirs", *told])  # fmt: skip
    [found] = read_all(Path("outputs/theirs"))

    assert found.regime == (regime or "unknown")
    assert f"- regime: {regime or 'not known'}" in Path("outputs/theirs/report.md").read_text().replace("\\", "")


def test_tags_are_one_a_word(in_folder: Path, data: Path) -> None:
    write(in_folder / "panx" / "test-en.tsv", "B-PER\nI-PER\n\nO\nO\n\n\n")
    run = run_import(in_folder, data, name="panx", of="wikiann")

    assert scores(run) == {"en": pytest.approx(2 / 3)}


TABLE = "index\tgold\tpredicted\tentailment\tneutral\tcontradiction\n"


def test_plain_tsv_has_an_index_and_probabilities(in_folder: Path, data: Path) -> None:
    rows = "2\tcontradiction\tneutral\t0.1\t0.6\t0.3\n0\t\tentailment\t0.9\t0.1\t0\n1\tneutral\tneutral\t0\t1\t0\n"
    file = write(in_folder / "test-en.tsv", TABLE + rows)
    run = run_import(file, data, name="table", format="tsv")

    assert scores(run) == {"en": pytest.approx(2 / 3)}
    [found] = read_all(run)
    assert found.languages["en"].ece == pytest.approx((0.1 + 0.6 + 0) / 3)


@pytest.mark.parametrize("of", ["xnli", "pawsx", "wikiann"])
@pytest.mark.parametrize("format", ["xtreme", "tsv"])
def test_what_is_exported_comes_back_the_same(in_folder: Path, data: Path, of: str, format: str) -> None:
    made: dict[str, list[Record]] = {
        "xnli": [
            LabelPrediction(
                index=row, gold=gold, predicted="neutral", probabilities={"entailment": 0.25, "neutral": 0.75}
            )
            for row, gold in enumerate(XNLI["en"])
        ],
        "pawsx": [
            LabelPrediction(index=row, gold=gold, predicted="paraphrase", probabilities={"paraphrase": 0.75})
            for row, gold in enumerate(["not_paraphrase", "paraphrase", "paraphrase"])
        ],
        "wikiann": [
            TagPrediction(index=0, gold=["B-PER", "I-PER"], predicted=["B-PER", "O"], probabilities=[0.5, 0.75]),
            TagPrediction(index=1, gold=["O", "B-LOC"], predicted=["O", "B-LOC"], probabilities=[1.0, 0.875]),
        ],
    }
    ours = in_folder / "outputs" / "ours"
    prediction_files.write(prediction_files.path(ours, split="test", language="en"), made[of])
    write(ours / "manifest.json", json.dumps(with_rows(of, en=len(made[of]))))
    cli.main(["export-predictions", str(ours), "--format", format, "--to", str(in_folder / "out")])
    again = run_import(in_folder / "out", data, name="again", of=of, format=format)

    records, expected = kept(again, "en"), kept(ours, "en")
    if format == "xtreme":
        none: list[float] | dict[str, float] = [] if of == "wikiann" else {}
        expected = [record | {"probabilities": none} for record in expected]
    assert records == expected


NEUTRAL = LabelPrediction(index=0, gold=None, predicted="neutral", probabilities={})


def ours(in_folder: Path, records: Sequence[Record], **known: Any) -> None:
    """Make a run of ours, with predictions of test in German, of which its manifest knows something."""
    prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language="de"), records)
    write(in_folder / "ours" / "manifest.json", json.dumps(known))


def refused_export(capsys: pytest.CaptureFixture[str], *, format: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", format, "--to", "out"])
    assert not Path("out").exists()
    return " ".join(capsys.readouterr().err.split())


def test_a_run_on_data_that_nobody_knows_by_name_is_exported_as_its_manifest_says(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = LabelPrediction(index=0, gold="yes", predicted="no", probabilities={"no": 0.75, "yes": 0.25})
    ours(in_folder, [record], **with_rows("questions", de=1), task="classification", labels=["no", "yes"], aliases={})
    cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out/tsv"])

    table = "index\tgold\tpredicted\tno\tyes\n0\tyes\tno\t0.75\t0.25\n"
    assert Path("out/tsv/test-de.tsv").read_text() == table
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", "xtreme", "--to", "out/xtreme"])
    assert "XTREME does not have questions; use --format tsv" in " ".join(capsys.readouterr().err.split())


def test_a_label_that_the_manifest_does_not_have_is_refused(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours(in_folder, [NEUTRAL], data="questions", task="classification", labels=["no", "yes"], aliases={})

    assert "predicted 'neutral' is not a label; expected one of no, yes" in refused_export(capsys, format="tsv")


def test_spellings_are_those_that_the_manifest_knows(in_folder: Path) -> None:
    record = LabelPrediction(index=0, gold=None, predicted="not_paraphrase", probabilities={})
    known = with_rows("pawsx", de=1) | {"task": "classification", "labels": ["not_paraphrase", "paraphrase"]}
    ours(in_folder, [record], **known, aliases={"n": "not_paraphrase", "y": "paraphrase"})
    cli.main(["export-predictions", "ours", "--format", "xtreme", "--to", "out"])

    assert Path("out/pawsx/test-de.tsv").read_text() == "n\n"


def test_numbers_are_exported_as_they_are(in_folder: Path) -> None:
    [record, *_] = records = ratings(-0.5, seed=1, count=3)
    ours(in_folder, records, data="sts", task="regression", labels=[], aliases={})
    cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])

    _, first, *_ = Path("out/test-de.tsv").read_text().splitlines()
    assert record.gold is not None
    assert first == f"0\t{round(record.gold, 6)}\t{round(record.predicted, 6)}"


def test_masked_tokens_stand_in_no_files_of_others(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "text has no labels, so its predictions are neither imported nor exported"
    prediction = LabelPrediction(index=0, gold=None, predicted="a", probabilities={})
    for known in ({"data": "text"}, {"data": "text", "task": "masked_tokens", "labels": [], "aliases": {}}):
        ours(in_folder, [prediction], **known)
        assert told in refused_export(capsys, format="tsv")
    write(in_folder / "theirs" / "test-en.tsv", "a\n")
    assert told in refused(capsys, in_folder / "theirs", data, of="text")


@pytest.mark.parametrize("known", [{"data": "questions"}, {"splits": {}}])
def test_an_older_manifest_of_data_that_nobody_knows_is_refused(
    in_folder: Path, capsys: pytest.CaptureFixture[str], known: dict[str, Any]
) -> None:
    ours(in_folder, [NEUTRAL], **known)

    told = refused_export(capsys, format="tsv")
    assert f"names no dataset (data: {known.get('data')!r}): expected one of xnli, pawsx, wikiann, text" in told


def test_a_task_that_is_not_known_here_is_refused(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours(in_folder, [NEUTRAL], data="own", task="parsing", labels=[], aliases={})

    assert "task 'parsing' is unknown" in refused_export(capsys, format="tsv")


def with_rows(data: str, **rows: int) -> dict[str, Any]:
    return {"data": data, "splits": {"test": {one: {"files": [], "rows": count} for one, count in rows.items()}}}


def test_the_exported_files_are_those_of_xtreme(in_folder: Path) -> None:
    record = LabelPrediction(index=0, gold=None, predicted="not_paraphrase", probabilities={})
    prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language="de"), [record])
    write(in_folder / "ours" / "manifest.json", json.dumps(with_rows("pawsx", de=1)))
    cli.main(["export-predictions", "ours", "--format", "xtreme", "--to", "out"])

    assert (in_folder / "out" / "pawsx" / "test-de.tsv").read_text() == "0\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("entailment\nneutral\n", "test-en.tsv: 2 predictions; the data have 3 rows"),
        ("entailment\nneutral\nmaybe\n", "test-en.tsv, line 3: unknown label 'maybe'; xnli has entailment, neutral"),
        ("entailment\n\nneutral\n", "test-en.tsv, line 2: empty line; expected a label"),
        ("entailment\t1\n", "several columns"),
        ("", "holds no predictions"),
    ],
)
def test_a_submission_that_does_not_fit_is_refused(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    write(in_folder / "theirs" / "test-de.tsv", "entailment\nneutral\nneutral\n")
    write(in_folder / "theirs" / "test-en.tsv", text)

    assert told in refused(capsys, in_folder / "theirs", data)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0\tneutral\tneutral\t0\t1\t0\n", "line 2: gold neutral is entailment in the data, row 0"),
        ("0\t\tneutral\t0\t1\t0\n", "no prediction for 2 rows, the first is row 1"),
        ("0\t\tneutral\t0\t1\t0\n0\t\tneutral\t0\t1\t0\n", "line 3: index 0 occurs twice"),
        ("7\t\tneutral\t0\t1\t0\n", "line 2: index 7 is not one of the data's 3 rows"),
        ("x\t\tneutral\t0\t1\t0\n", "line 2: index 'x' is not a row number"),
        ("9" * 5000 + "\t\tneutral\t0\t1\t0\n", f"line 2: index '{'9' * 40}' is not a row number"),
        ("0\t\tneutral\tmuch\t1\t0\n", "line 2: a probability is not a number"),
        ("0\t\tneutral\n", "line 2: 3 columns; expected 6"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    complete = "".join(f"{row}\t\tneutral\t0\t1\t0\n" for row in (1, 2)) if "gold" in told else ""
    write(in_folder / "theirs" / "test-en.tsv", TABLE + text + complete)

    assert told in refused(capsys, in_folder / "theirs", data, format="tsv")


def test_a_sentence_of_other_words_is_refused(in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(in_folder / "theirs" / "test-en.tsv", "B-PER\n\nO\nO\n")

    assert "line 1: 1 tags for the 2 words of row 0" in refused(capsys, in_folder / "theirs", data, of="wikiann")


def test_a_probability_above_one_is_refused(in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{row}\t\tneutral\t0\t2\t0\n" for row in range(3))
    write(in_folder / "theirs" / "test-en.tsv", TABLE + rows)

    assert "line 2: probability 2.0 is not a share from 0 to 1" in refused(
        capsys, in_folder / "theirs", data, format="tsv"
    )


@pytest.mark.parametrize(("columns", "odd"), [("neutral\tentailment", 0), ("entailment\tneutral", 2)])
def test_probabilities_of_other_labels_than_the_columns_say_are_warned_about(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str], columns: str, odd: int
) -> None:
    rows = "".join(f"{row}\t\tneutral\t{share}\t0.25\n" for row, share in enumerate((0.75, 0.25, 0.5)))
    file = write(in_folder / "test-en.tsv", f"index\tgold\tpredicted\t{columns}\n{rows}")
    run_import(file, data, name="columns", format="tsv")

    told = " ".join(capsys.readouterr().err.split())
    assert ("are the columns named rightly?" in told) == bool(odd)
    assert not odd or f"in {odd} of 3 rows another label" in told


def test_a_label_that_has_two_columns_is_refused(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{row}\t\tneutral\t0.25\t0.75\n" for row in range(3))
    write(in_folder / "theirs" / "test-en.tsv", "index\tgold\tpredicted\tneutral\tNeutral\n" + rows)

    assert "line 2: of neutral, Neutral, two columns are the same label" in refused(
        capsys, in_folder / "theirs", data, format="tsv"
    )


def test_a_folder_without_files_is_refused(in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (in_folder / "theirs").mkdir()

    assert "expected one file per language, named xnli/test-{language}.tsv" in refused(
        capsys, in_folder / "theirs", data
    )
    assert "named test-{language}.tsv, or the folder" in refused(capsys, in_folder / "theirs", data, format="tsv")


def test_a_file_of_an_unknown_language_is_told_of(
    in_folder: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(in_folder / "theirs" / "test-en.tsv", "entailment\nneutral\nneutral\n")
    write(in_folder / "theirs" / "test-xx.tsv", "entailment\n")
    run_import(in_folder / "theirs", data, name="theirs")

    assert "test-xx.tsv is left out" in capsys.readouterr().err


def test_nothing_is_overwritten_by_an_export(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours(in_folder, [NEUTRAL], data="xnli")
    write(in_folder / "out" / "test-de.tsv", "mine")

    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])
    assert "exists: choose another --to" in " ".join(capsys.readouterr().err.split())
    assert (in_folder / "out" / "test-de.tsv").read_text() == "mine"


@pytest.mark.parametrize("of", ["xnli", "wikiann"])
def test_probabilities_that_some_rows_lack_are_not_exported(in_folder: Path, of: str) -> None:
    records: dict[str, list[Record]] = {
        "xnli": [
            LabelPrediction(index=0, gold=None, predicted="neutral", probabilities={"neutral": 0.75}),
            LabelPrediction(index=1, gold=None, predicted="neutral", probabilities={}),
        ],
        "wikiann": [
            TagPrediction(index=0, gold=None, predicted=["O"], probabilities=[0.75]),
            TagPrediction(index=1, gold=None, predicted=["O"], probabilities=[]),
        ],
    }
    prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language="de"), records[of])
    write(in_folder / "ours" / "manifest.json", json.dumps({"data": of}))
    cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])

    label = records[of][0].predicted[0] if of == "wikiann" else records[of][0].predicted
    expected = f"index\tgold\tpredicted\n0\t\t{label}\n1\t\t{label}\n"
    assert (in_folder / "out" / "test-de.tsv").read_text() == expected


def test_a_manifest_that_names_no_dataset_is_refused(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(in_folder / "ours" / "manifest.json", json.dumps({"data": []}))

    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])
    assert "manifest.json is damaged" in " ".join(capsys.readouterr().err.split())


def test_a_submission_is_complete_or_is_not_written_at_all(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = LabelPrediction(index=0, gold=None, predicted="neutral", probabilities={})
    for language in ("de", "en"):
        prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language=language), [record])
    manifests = {"1 rows have no prediction, the first is row 1": with_rows("xnli", de=1, en=2)}
    manifests["the number of rows in the data is unknown"] = with_rows("xnli", de=1)
    for told, known in manifests.items():
        write(in_folder / "ours" / "manifest.json", json.dumps(known))
        with pytest.raises(SystemExit, match="2"):
            cli.main(["export-predictions", "ours", "--format", "xtreme", "--to", "out"])
        assert told in " ".join(capsys.readouterr().err.split())
        assert not (in_folder / "out").exists()


def test_predictions_that_lost_their_end_are_not_exported(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = LabelPrediction(index=0, gold=None, predicted="neutral", probabilities={})
    prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language="de"), [record])
    known = with_rows("xnli", de=2)
    known["splits"]["test"]["de"]["examples"] = 2
    write(in_folder / "ours" / "manifest.json", json.dumps(known))

    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])
    assert "de.jsonl: 1 predictions for 2 examples" in " ".join(capsys.readouterr().err.split())
    assert not (in_folder / "out").exists()


def test_a_dropped_row_has_no_line_in_a_submission(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [LabelPrediction(index=row, gold=None, predicted="paraphrase", probabilities={}) for row in (0, 2)]
    prediction_files.write(prediction_files.path(in_folder / "ours", split="test", language="de"), records)
    told = with_rows("pawsx", de=3)
    told["splits"]["test"]["de"]["dropped"] = {"untranslated, NS": [1]}
    write(in_folder / "ours" / "manifest.json", json.dumps(told))

    with pytest.raises(SystemExit, match="2"):
        cli.main(["export-predictions", "ours", "--format", "xtreme", "--to", "out"])
    assert "1 rows have no prediction, the first is row 1" in " ".join(capsys.readouterr().err.split())

    cli.main(["export-predictions", "ours", "--format", "tsv", "--to", "out"])
    assert (
        in_folder / "out" / "test-de.tsv"
    ).read_text() == "index\tgold\tpredicted\n0\t\tparaphrase\n2\t\tparaphrase\n"
