"""A run in each regime, from command to report: what it trains on, what it scores, and what its files say of it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from babelfit.commands import cli
from babelfit.finetuning.finetuner import Finetuner
from babelfit.sample import NER_LANGUAGES, NLI_LANGUAGES

RUN = Path("outputs/xnli-mini")
SHORT = ("optimization.max_steps=4", "validation.every=4", "logger.tensorboard=false")


def scores(run: Path = RUN, split: str = "test") -> dict[str, Any]:
    read: dict[str, Any] = json.loads((run / "scores" / f"{split}.json").read_text())
    return read


def manifest(run: Path = RUN) -> dict[str, Any]:
    splits: dict[str, Any] = json.loads((run / "manifest.json").read_text())["splits"]
    return splits


def test_a_plain_run_is_zero_shot_and_says_so(train: Callable[..., Any]) -> None:
    outcome = train(*SHORT, "data.languages=[en,sw]")

    assert outcome.status == 0, outcome.err
    assert (scores()["regime"], scores()["source_languages"]) == ("zero_shot", ["en"])
    assert "- regime: zero\\_shot" in (RUN / "report.md").read_text()
    assert "few_shot" not in scores()


def test_translated_training_rows_take_the_place_of_the_originals(train: Callable[..., Any]) -> None:
    arguments = (*SHORT, "data.languages=[en,sw]", "data.regime=translate_train", "data.train_languages=[sw]")
    outcome = train(*arguments)

    assert outcome.status == 0, outcome.err
    assert "xnli train, translate_train: 192 examples (sw 192)" in outcome.err
    assert (scores()["regime"], scores()["source_languages"]) == ("translate_train", ["sw"])
    assert list(manifest()["train"]) == ["sw"]
    assert manifest()["train"]["sw"]["files"][0]["path"].endswith("train-sw.tsv")
    other = train(*arguments, "data.regime=zero_shot")
    assert other.status == 2
    assert "data.regime: translate_train -> zero_shot" in other.err


def test_of_all_translations_none_is_called_a_target(train: Callable[..., Any], command: Callable[..., Any]) -> None:
    arguments = (*SHORT, "data.languages=[en,sw,ur]", "data.regime=translate_train_all", "data.limit.train=20")
    outcome = train(*arguments)

    assert outcome.status == 0, outcome.err
    assert re.search(r"xnli train, translate_train_all: 300 examples \(en 20, .*sw 20.*\)", outcome.err)
    found = scores()
    assert found["regime"] == "translate_train_all"
    assert found["source_languages"][0] == "en"
    assert set(found["source_languages"]) == set(NLI_LANGUAGES)
    assert found["transfer"]["target_mean"] is found["transfer"]["gap"] is found["transfer"]["worst"] is None
    assert found["transfer"]["source"] == found["transfer"]["mean"]
    assert set(manifest()["train"]) == set(manifest()["validation"]) == set(NLI_LANGUAGES)
    assert set(yaml.safe_load((RUN / "config.yaml").read_text())["data"]["train_languages"]) == set(NLI_LANGUAGES)
    # The same command finds the same languages, and so does an evaluation.
    again = train(*arguments)
    assert again.status == 0, again.err
    assert "is complete" in again.err
    more = command("evaluate.py", f"run={RUN}", "languages=[zh]")
    assert more.status == 0, more.err
    assert scores()["source_languages"] == found["source_languages"]


def test_a_few_examples_leave_the_target_languages_targets(
    train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    arguments = (*SHORT, "data.languages=[en,sw,ur]", "data.regime=few_shot", "data.few_shot.k=5")
    outcome = train(*arguments)

    assert outcome.status == 0, outcome.err
    assert "xnli train, few_shot: 222 examples (en 192, sw 15, ur 15)" in outcome.err
    found = scores()
    assert (found["regime"], found["source_languages"]) == ("few_shot", ["en"])
    assert found["few_shot"] == {"k": 5, "languages": ["sw", "ur"]}
    assert found["transfer"]["target_mean"] == pytest.approx(
        sum(found["languages"][one]["accuracy"] for one in ("sw", "ur")) / 2
    )
    entries = manifest()["train"]
    assert [entries[one]["examples"] for one in ("en", "sw", "ur")] == [192, 15, 15]
    assert len(entries["sw"]["drawn"]) == 15
    assert list(manifest()["validation"]) == ["en"], "selected by the source language alone"
    report = (RUN / "report.md").read_text()
    assert "few\\_shot, 5 examples of each label of sw, ur" in report
    # Scored in another language, it is still what it was trained on.
    more = command("evaluate.py", f"run={RUN}", "languages=[zh]")
    assert more.status == 0, more.err
    assert scores()["few_shot"] == {"k": 5, "languages": ["sw", "ur"]}
    other = train(*arguments, "data.few_shot.k=6")
    assert other.status == 2
    assert "data.few_shot.k: 5 -> 6" in other.err


def test_a_few_sentences_are_trained_on(train: Callable[..., Any]) -> None:
    outcome = train(*SHORT, "data=wikiann", "data.folder=sample", "data.regime=few_shot", "data.few_shot.k=3")

    assert outcome.status == 0, outcome.err
    targets = [one for one in NER_LANGUAGES if one != "en"]
    entries = manifest(Path("outputs/wikiann-mini"))["train"]
    assert {one: entries[one]["examples"] for one in entries} == {"en": 192, **dict.fromkeys(targets, 3)}
    assert "3 sentences of" in Path("outputs/wikiann-mini/report.md").read_text()


def test_a_few_shot_run_goes_on_with_the_same_examples(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("data.languages=[en,sw]", "data.regime=few_shot", "checkpoint.every=1", "logger.every=1",
                 "optimization.max_steps=6", "validation.every=3")  # fmt: skip
    assert train("name=whole", *arguments).status == 0
    step = Finetuner.training_step

    def broken(self: Finetuner, *given: Any) -> Any:
        if self.global_step == 4:
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        assert train("name=halved", *arguments).status == 130
    assert train("name=halved", *arguments).status == 0

    whole, halved = (Path("outputs") / name for name in ("whole", "halved"))
    assert (halved / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert scores(halved) == scores(whole)


@pytest.fixture
def translated(tmp_path: Path) -> Path:
    """A folder of XNLI whose test rows in Swahili are there as translated into English too, and are easier there."""
    rows = [(f"p{n}", f"h{n}", ("entailment", "neutral", "contradiction")[n % 3]) for n in range(48)]
    text = "".join("\t".join(row) + "\n" for row in rows)
    (tmp_path / "data" / "xnli" / "translate-test").mkdir(parents=True)
    for language in ("en", "sw"):
        for split in ("train", "dev", "test"):
            (tmp_path / "data" / "xnli" / f"{split}-{language}.tsv").write_text(text)
    beside = "".join("\t".join(("asili", "asili", *row)) + "\n" for row in rows[:40])
    (tmp_path / "data" / "xnli" / "translate-test" / "test-sw-en-translated.tsv").write_text(beside)
    return tmp_path / "data"


def test_test_rows_are_scored_as_translated(
    train: Callable[..., Any], command: Callable[..., Any], translated: Path
) -> None:
    place = ("data=xnli", f"data.folder={translated}", "data.languages=[en,sw]")
    outcome = train(*place, *SHORT, "data.regime=translate_test")

    assert outcome.status == 0, outcome.err
    found = scores()
    assert (found["regime"], found["source_languages"]) == ("translate_test", ["en"])
    assert [found["languages"][one]["examples"] for one in ("en", "sw")] == [48, 40]
    assert manifest()["test"]["sw"]["split"] == "translated test"
    assert manifest()["test"]["sw"]["files"][0]["path"].endswith("test-sw-en-translated.tsv")
    assert list(manifest()["train"]) == list(manifest()["validation"]) == ["en"]
    # A zero-shot run is the same training: its model can be scored so, too.
    assert train(*place, *SHORT, "name=zero").status == 0
    evaluation = command("evaluate.py", "run=outputs/zero", *place, "data.regime=translate_test", "name=also")
    assert evaluation.status == 0, evaluation.err
    theirs = scores(Path("outputs/also"))
    assert (theirs["regime"], theirs["languages"]) == ("translate_test", found["languages"])
    assert scores(Path("outputs/zero"))["languages"]["sw"]["examples"] == 48
    # And the other way round.
    back = command("evaluate.py", f"run={RUN}", *place, "name=back")
    assert back.status == 0, back.err
    assert scores(Path("outputs/back"))["regime"] == "zero_shot"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["data.regime=zero"], ["data.regime=zero", "zero_shot, translate_train, translate_train_all"]),
        (["data.regime=few_shot", "data.few_shot.k=0"], ["data.few_shot.k=0", "at least 1"]),
        (["data.regime=few_shot", "data.few_shot.k=5000"], ["data.few_shot.k=5000", "'sw' have only", "smaller k"]),
        (["data.regime=few_shot", "data.few_shot.shots=3"], ["data.few_shot.shots"]),
        (["data.regime=translate_train"], ["'en' in data.train_languages is the original, not a translation"]),
        (["data.regime=translate_test"], ["the sample has no dev and test rows of xnli translated"]),
        (["data.regime=translate_test", "data=wikiann", "data.folder=sample"], ["wikiann has no machine translations"]),
    ],
)
def test_a_wrong_regime_is_told_before_anything_is_trained(
    train: Callable[..., Any], arguments: list[str], parts: list[str]
) -> None:
    outcome = train("data.languages=[en,sw]", *arguments)

    assert outcome.status in (1, 2), outcome.err
    for part in parts:
        assert part in outcome.err + outcome.out
    assert not Path("outputs").exists()


def test_a_plan_counts_the_rows_of_a_regime(in_folder: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    cli.main(["plan", "data.languages=[en,sw]", "data.limit={train: 192, validation: 48, test: 48}",
              "data.regime=few_shot", "data.few_shot.k=5"])  # fmt: skip

    said = capsys.readouterr().out
    assert re.search(r"train\s+en\s+4,500\s+192\s", said)
    assert re.search(r"train\s+sw\s+4,500\s+15\s", said)
    assert re.search(r"steps\s+\d+, of 7 in an epoch", said), "of 32 examples, from 207"
