"""A run folder as an evaluation leaves it, with the data that it read, and the page written from it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from made_scores import scores as made_scores
from made_tasks import NLI

from babelfit.predictions import prediction_files
from babelfit.reports.page import write_page
from babelfit.scoring import scores as score_files
from babelfit.scoring.scores import Scores
from babelfit.tasks.classification import LabelPrediction

LABELS = NLI.labels
ATTACK = "<script>document.title = 'taken over'</script><img src=x onerror=alert(1)>"
ARABIC = "القطة تجلس على الحصيرة."
FACTS = {"run": "made", "trained on": "en", "checkpoint": "step 3 of 4, chosen by source_dev (50.0)"}
NUM_ROWS = 80


def rows(language: str) -> list[tuple[str, str, str]]:
    """Make rows of text; of German the first is an attack, and of Arabic all are Arabic."""
    made = []
    for index in range(NUM_ROWS):
        premise = f"{ARABIC} {index}" if language == "ar" else f"Premise {index} in {language}."
        made.append((premise, f"Hypothesis {index} & more", LABELS[index % 3]))
    if language == "de":
        made[0] = (ATTACK, "<b>bold</b>", LABELS[0])
    return made


def entry(folder: Path, language: str, *, split: str = "test") -> dict[str, Any]:
    """Write a data file of XTREME's layout, and say of it what a manifest does."""
    file = folder / "xnli" / f"{'dev' if split == 'validation' else split}-{language}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join("\t".join(row) + "\n" for row in rows(language)), encoding="utf-8")
    content = file.read_bytes()
    return {
        "split": split,
        "layout": "XTREME",
        "files": [{"path": str(file), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}],
        "rows": NUM_ROWS,
        "dropped": {},
        "examples": NUM_ROWS,
        "labels": dict.fromkeys(LABELS, NUM_ROWS // 3),
        "truncated": 2,
        "windows": NUM_ROWS,
    }


def made_run(folder: Path, *, languages: tuple[str, ...] = ("en", "ar", "de"), **more: Any) -> Path:
    """Make a run that is right in English but for every eighth row, and elsewhere wrong in every second."""
    run = folder / "run"
    run.mkdir(parents=True)
    entries = {language: entry(folder / "data", language) for language in languages}
    (run / "manifest.json").write_text(json.dumps({"schema": 1, "data": "xnli", "splits": {"test": entries}} | more))
    (run / "metrics.csv").write_text(
        "step,metric,value\n1,train/loss,1.1\n2,train/loss,0.9\n"
        + "".join(f"{step},validation/accuracy/{one},0.{step}\n" for step in (2, 4) for one in languages)
        + "2,mean_dev,0.4\n4,mean_dev,0.5\n"
    )
    (run / "config.yaml").write_text("version: 2\nname: made\n")
    for place, language in enumerate(languages):
        records = []
        for index in range(NUM_ROWS):
            gold = LABELS[index % 3]
            wrong = index % 8 == 7 if language == "en" else index % 2 == 0
            predicted = LABELS[(index + 1) % 3] if wrong else gold
            sure = round(0.99 - 0.005 * index - 0.001 * place, 6)
            rest = dict.fromkeys(LABELS, round((1 - sure) / 2, 6))
            records.append(
                LabelPrediction(index=index, gold=gold, predicted=predicted, probabilities=rest | {predicted: sure})
            )
        prediction_files.write(prediction_files.path(run, split="test", language=language), records)
    values = {
        one: {"accuracy": 0.875 if one == "en" else 0.5 - 0.01 * place, "f1": 0.4 + 0.1 * place, "examples": 80}
        for place, one in enumerate(languages)
    }
    score_files.write(made_scores(NLI, values, parallel=True), run)
    return run


def richer(scores: Scores) -> Scores:
    """Add to scores what newer evaluations say: intervals, calibration, confusion, groups, consistency."""
    document = score_files.as_document(scores)
    languages = list(scores.languages)
    for values in document["languages"].values():
        values |= {
            "interval": [values["accuracy"] - 0.1, values["accuracy"] + 0.1],
            "ece": 0.123,
            "calibration": {"count": [0, 30, 50], "confidence": [None, 0.5, 0.9], "accuracy": [None, 0.4, 0.7]},
            "confusion": {"labels": list(LABELS), "counts": [[20, 5, 2], [4, 19, 3], [1, 6, 20]]},
        }
    document["transfer"]["intervals"] = {"source": [0.8, 0.9], "gap": [0.31, 0.45]}
    document["groups"] = {
        "family": {"Semitic": {"languages": ["ar"], "mean": 0.49, "gap": 0.385, "interval": [0.42, 0.57]}},
        "script": {"Arabic": {"languages": ["ar"], "mean": 0.49, "gap": None, "interval": None}},
        "pretraining": {},
        "size_correlation": None,
    }
    alike = [[1.0 if one == other else 0.62 for other in languages] for one in languages]
    document["consistency"] = {
        "languages": languages,
        "items": 80,
        "left_out": 0,
        "different_gold": {"items": 0},
        "alike": alike,
        "alike_if_right": [[None, *row[1:]] for row in alike],
        "all_alike": 0.31,
        "all_right": 0.27,
        "all_alike_if_right": {"en": 0.4},
    }
    return score_files.from_document(document)


def page(run: Path) -> str:
    """Write the page of a run and return it."""
    write_page(run, all_scores=score_files.read_all(run), facts=FACTS)
    return (run / "report.html").read_text(encoding="utf-8")
