"""report.html says what the run's folder says, shows what newer scores have, and takes no text for markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from made_pages import ATTACK, FACTS, made_run, page, richer
from made_tasks import NER

from babelfit.errors import UserError
from babelfit.reports.mistakes import MOST, mistakes, most_of_each
from babelfit.scoring import scores as score_files
from babelfit.scoring.scores import Contaminated
from babelfit.tasks.tagging import TagPrediction


class Parsed(HTMLParser):
    """Counts elements and keeps ids, and refuses a page whose elements do not close."""

    VOID = ("meta", "input", "br", "img", "link")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.all)


def with_richer_scores(run: Path) -> Path:
    (scores,) = score_files.read_all(run)
    score_files.write(richer(scores), run)
    return run


def test_the_page_says_facts_scores_and_transfer(tmp_path: Path) -> None:
    text = page(made_run(tmp_path))

    facts = (*FACTS, *FACTS.values(), "ar Arabic")
    for told in (*facts, "87.5", "49.0", "-38.5", "retention, in percent", "55.4", "worst target"):
        assert told in text


def test_the_page_is_whole_has_no_id_twice_and_headings_in_order(tmp_path: Path) -> None:
    text = page(with_richer_scores(made_run(tmp_path)))
    parsed = Parsed(text)

    assert len(set(parsed.ids)) == len(parsed.ids)
    headings = [int(tag[1]) for tag, _ in parsed.all if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 == headings.count(1)
    assert all(after <= before + 1 for before, after in pairwise(headings))
    for tag, attributes in parsed.all:
        assert tag != "th" or "scope" in attributes
        for reference in ("aria-labelledby", "data-filters"):
            assert set((attributes.get(reference) or "").split()) <= set(parsed.ids)


def test_the_page_takes_nothing_from_anywhere_else(tmp_path: Path) -> None:
    text = page(with_richer_scores(made_run(tmp_path)))

    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert not re.findall(r"""(?:src|href)=["'](?!#)[^"']*""", text.replace("src=x onerror", ""))
    assert not re.findall(r"url\((?!['\"]?#)", text)


def test_text_of_the_data_is_shown_and_is_no_markup(tmp_path: Path) -> None:
    text = page(made_run(tmp_path))

    assert ATTACK not in text
    assert "&lt;script&gt;document.title = &#39;taken over&#39;&lt;/script&gt;" in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "Hypothesis 2 &amp; more" in text
    assert Parsed(text).count("script") == 1
    assert Parsed(text).count("img") == 0


def test_text_of_the_run_is_no_markup(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    (run / "config.yaml").write_text("name: </pre><script>alert(1)</script>\n")
    metrics = run / "metrics.csv"
    metrics.write_text(metrics.read_text() + "4,validation/accuracy/<script>,0.5\n4,validation/accuracy/$x^{,0.5\n")

    assert Parsed(page(run)).count("script") == 1


def test_errors_stand_beside_their_text_and_the_same_item_in_the_source_language(tmp_path: Path) -> None:
    text = page(made_run(tmp_path))
    german = text.split('data-choice="de"')[1].split("</article>")[0]

    assert f"Wrong, the surest first: {MOST} of 40" in german
    # Of the even rows no one is wrong in English.
    assert f"Wrong here and right in en, the surest first: {MOST} of 40" in german
    assert german.index("Premise 2 in de.") < german.index("Premise 4 in de.")
    assert "Premise 2 in en." in german
    assert "Premise 1 in de." not in german
    english = text.split('data-choice="en"')[1].split("</article>")[0]
    assert "Wrong, the surest first: 10 of 10" in english
    assert "Wrong here" not in english


def test_text_has_its_language_and_direction(tmp_path: Path) -> None:
    parsed = Parsed(page(made_run(tmp_path)))

    assert parsed.count("span", lang="ar", dir="rtl") >= MOST
    assert parsed.count("span", lang="de", dir="auto") >= MOST
    assert parsed.count("html", lang="en") == 1


@pytest.mark.parametrize("damage", ["delete", "change"])
def test_where_the_data_are_gone_the_page_says_so(tmp_path: Path, damage: str) -> None:
    run = made_run(tmp_path)
    file = tmp_path / "data" / "xnli" / "test-de.tsv"
    if damage == "delete":
        file.unlink()
    else:
        file.write_text(file.read_text().replace("Premise 2 in", "Premise 2 xx"))
    german = page(run).split('data-choice="de"')[1].split("</article>")[0]

    told = "is not there any more" if damage == "delete" else "has changed since"
    assert f"The text is not shown: {file} {told}." in german
    assert "in de." not in german
    assert "Premise 2 in en." in german
    assert "neutral" in german


def test_a_manifest_reads_no_file_but_the_one_it_speaks_of(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    manifest = json.loads((run / "manifest.json").read_text())
    secret = tmp_path / "secret"
    secret.write_text("premise\thypothesis\tneutral\n" * 80)
    manifest["splits"]["test"]["de"]["files"][0]["path"] = str(secret)
    manifest["splits"]["test"]["ar"]["files"][0]["path"] = "/dev/zero"
    (run / "manifest.json").write_text(json.dumps(manifest))
    text = page(run)

    assert f"{secret} has changed since" in text
    assert "/dev/zero is not there any more" in text


def test_scores_without_intervals_and_groups_leave_them_out(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    text = page(run)

    for absent in ("Groups of target languages", "Consistency", "Calibration", "bootstrap", "Gold (rows)"):
        assert absent not in text
    assert sorted(file.name for file in (run / "figures").iterdir()) == ["scores-test.png"]


def test_scores_with_intervals_and_groups_show_them(tmp_path: Path) -> None:
    run = with_richer_scores(made_run(tmp_path))
    text = page(run)

    for told in (
        "49.0 (39.0 to 59.0)",
        "31.0 to 45.0",
        "Semitic",
        "49.0 (42.0 to 57.0)",
        "ECE 12.3",
        "Gold (rows)",
        "31.0 % of 80 items",
    ):
        assert told in text
    figures = sorted((run / "figures").iterdir())
    assert [file.name for file in figures] == ["consistency-test.png", "groups-test.png", "scores-test.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in figures)


def test_what_was_read_says_letters_as_they_are_called(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["splits"]["test"]["de"]["scripts"] = {"LATIN": 0.9, "CJK": 0.1}
    (run / "manifest.json").write_text(json.dumps(manifest))

    assert "Latin 90.0 %, CJK 10.0 %" in page(run)


def test_warnings_are_on_the_page(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    (scores,) = score_files.read_all(run)
    contaminated = Contaminated(languages=["en", "ar", "de"], why="trained on the test split of en")
    score_files.write(replace(scores, synthetic=True, contaminated=contaminated), run)
    text = page(run)

    assert "<strong>Synthetic data.</strong>" in text
    assert "Contaminated (en, ar, de): the model was trained on the test split of en" in text


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = with_richer_scores(made_run(tmp_path))
    first = page(run), [file.read_bytes() for file in sorted((run / "figures").iterdir())]

    assert (page(run), [file.read_bytes() for file in sorted((run / "figures").iterdir())]) == first


def test_charts_are_in_the_colours_of_the_page_and_say_in_words_what_they_show(tmp_path: Path) -> None:
    text = page(with_richer_scores(made_run(tmp_path)))
    charts = re.findall(r'<svg role="img".*?</svg>', text, re.DOTALL)

    assert len(charts) == 2
    for chart in charts:
        assert "<title id=" in chart
        assert "<desc id=" in chart
        assert "currentColor" in chart
        assert "#000000" not in chart
        assert "<text" in chart
    assert "dev accuracy by language: en ends at 0.4, ar ends at 0.4" in text


def test_predictions_that_are_gone_leave_the_scores(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    (run / "predictions" / "test" / "de.jsonl").unlink()

    assert "The predictions are not there any more." in page(run)


def test_a_damaged_log_of_metrics_is_named(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    (run / "metrics.csv").write_text("step,metric,value\n1,train/loss,abc\n")

    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        page(run)


def test_many_languages_have_shorter_lists() -> None:
    assert most_of_each(30) == MOST
    assert most_of_each(2 * 40) < MOST
    assert most_of_each(2 * 176) == 3


def test_a_tagged_sentence_shows_its_words_and_which_tags_are_wrong(tmp_path: Path) -> None:
    gold = ["O"] * 100 + ["B-PER", "I-PER"]
    predicted = ["O"] * 100 + ["B-ORG", "I-PER"]
    record = TagPrediction(index=1, gold=gold, predicted=predicted, probabilities=[0.9] * 100 + [0.7, 0.8])
    right = TagPrediction(index=0, gold=["O"], predicted=["O"], probabilities=[1.0])
    words = [f"w{place}" for place in range(102)]
    table = pa.table({"words": [["x"], words]})
    found = mistakes(NER, [right, record], source=[], text=table, source_text="", most=3)

    (one,) = found.worst
    assert (found.num_wrong, found.num_right_in_source, one.extent) == (1, 0, "70.0 %")
    assert [(word.text, word.gold, word.predicted) for word in one.words[-2:]] == [
        ("w100", "B-PER", "B-ORG"),
        ("w101", "I-PER", None),
    ]
    bare = TagPrediction(index=0, gold=["O"], predicted=["B-PER"], probabilities=[])  # as made elsewhere
    assert mistakes(NER, [bare], source=[], text="", source_text="", most=3).worst[0].extent == ""
    assert one.words[0].text == "…"
    assert len(one.words) == 61
