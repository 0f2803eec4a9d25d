"""From prediction files to `scores/<split>.json`: needs neither a GPU nor the model."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from babelfit.errors import UserError
from babelfit.files import atomic_files, shapes
from babelfit.files.shapes import Each, Fields, check
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import AnyPrediction, Prediction, TagPrediction
from babelfit.reports.words import SHOWN
from babelfit.scoring.answers import Answers, answers, calibration, confusion, parts
from babelfit.scoring.consistency import consistency
from babelfit.scoring.groups import groups
from babelfit.scoring.metrics import MAIN_METRIC, build_metrics
from babelfit.statistics import bootstrap
from babelfit.transfer.numbers import transfer_numbers

SCHEMA = 1
NUMBER = (int, float)
SHARE = (None, *NUMBER)
INTERVAL = (None, [NUMBER, NUMBER])
GROUP = Each(of=Fields(required={"languages": [str], "mean": NUMBER, "gap": SHARE}, optional={"interval": INTERVAL}))
SCORES = Fields(
    required={
        "schema": int,
        "data": str,
        "split": str,
        "metric": str,
        "source_languages": [str],
        "languages": Each(of=Fields(optional={"interval": INTERVAL, "ece": NUMBER, "unlabelled": int})),
        "transfer": Fields(
            required={
                "source": SHARE,
                "target_mean": SHARE,
                "gap": SHARE,
                "retention": SHARE,
                "worst": (None, Fields(required={"language": str, "score": NUMBER})),
            },
            optional={"intervals": Each(of=INTERVAL)},
        ),
    },
    optional={
        "synthetic": bool,
        "regime": str,
        "few_shot": Fields(required={"k": int, "languages": (None, [str])}),
        "contaminated": Fields(required={"languages": [str], "why": str}),
        "unscored_languages": [str],
        "groups": Fields(
            optional={
                "family": GROUP,
                "script": GROUP,
                "pretraining": GROUP,
                "size_correlation": (None, Fields(required={"spearman": NUMBER, "languages": int})),
            }
        ),
        "consistency": Fields(
            required={
                "languages": [str],
                "items": int,
                "left_out": int,
                "different_gold": Fields(required={"items": int}),
                "alike": [[SHARE]],
                "alike_if_right": [[SHARE]],
                "all_alike": SHARE,
                "all_right": SHARE,
                "all_alike_if_right": Each(of=SHARE),
            }
        ),
        "not_parallel": str,
    },
)
"""What is read again of a file of scores: by the report, by comparisons and by matrices."""

RECORDS: dict[str, type[AnyPrediction]] = {
    "sequence_classification": Prediction,
    "token_classification": TagPrediction,
}


def score(
    folder: Path,
    *,
    data: str,
    split: str,
    head: str,
    label_names: Sequence[str],
    is_parallel: bool,
    source_languages: Sequence[str],
    examples: Mapping[str, int],
    dropped: Mapping[str, Collection[int]],
    notes: Mapping[str, Any],
    cut: Collection[str] = (),
) -> dict[str, Any]:
    """Score every language of a split that has predictions in a run folder, source languages first.

    A language without any gold is named as unscored. `is_parallel` says that row i is the same item in every language:
    then items are resampled for the intervals of all languages together, and compared. Where it is not so after all,
    the scores say why. `examples` says how many each language has, `dropped` which rows are none, `cut` in which
    languages a limit left out the last rows, `notes` what a reader of the scores must know. Raises UserError for
    damaged prediction files.
    """
    found = prediction_files.languages(folder, split=split)
    ordered = [
        *(one for one in source_languages if one in found),
        *(one for one in found if one not in source_languages),
    ]
    records = {
        language: prediction_files.read(
            prediction_files.path(folder, split=split, language=language),
            RECORDS[head],
            label_names=label_names,
            num_examples=examples.get(language),
            dropped=dropped.get(language, ()),
        )
        for language in ordered
    }
    unlabelled = {one: sum(record.gold is None for record in theirs) for one, theirs in records.items()}
    given = {
        language: answers(theirs, label_names=label_names)
        for language, theirs in records.items()
        if unlabelled[language] < len(theirs)
    }
    unscored = [language for language in ordered if language not in given]
    compared: dict[str, Any] = {}
    together = is_parallel and head == "sequence_classification" and len(given) > 1
    try:
        if together:
            found_alike = consistency(given, dropped=dropped, cut=cut, source_languages=source_languages)
            compared = {"consistency": found_alike}
    except UserError as error:
        # The scores of each language stand; those that compare rows do not.
        together, compared = False, {"not_parallel": str(error)}
    resampled = bootstrap.resampled(
        {language: parts(theirs, head=head, label_names=label_names) for language, theirs in given.items()},
        together=together,
    )
    scored = {
        language: _score_language(theirs, head=head, label_names=label_names)
        | ({"unlabelled": unlabelled[language]} if unlabelled[language] else {})
        | {"interval": bootstrap.interval(resampled[language])}
        | calibration(theirs)
        | {"confusion": confusion(theirs, head=head, label_names=label_names)}
        for language, theirs in given.items()
    }
    main = {language: scores[MAIN_METRIC[head]] for language, scores in scored.items()}
    transfer = transfer_numbers(main, source_languages=source_languages)
    return {
        "schema": SCHEMA,
        "data": data,
        **notes,
        "split": split,
        "metric": MAIN_METRIC[head],
        "source_languages": list(source_languages),
        "languages": scored,
        **({"unscored_languages": unscored} if unscored else {}),
        "transfer": transfer
        | {"intervals": bootstrap.transfer_intervals(resampled, source_languages=source_languages)},
        "resamples": {"number": bootstrap.NUM_RESAMPLES, "of": "items" if together else "examples of each language"},
        "groups": groups(main, resampled=resampled, source_languages=source_languages, source=transfer["source"]),
        **compared,
    }


def _score_language(given: Answers, *, head: str, label_names: Sequence[str]) -> dict[str, Any]:
    """Score one language's predictions."""
    metrics = build_metrics(head, label_names=label_names, across_ranks=False).set_dtype(torch.float64)
    metrics.update(
        preds=torch.from_numpy(given.predicted),
        target=torch.from_numpy(given.gold),
        sentences=torch.from_numpy(given.examples),
    )
    counts = {"examples": len(given.indices)}
    if head == "token_classification":
        counts["words"] = len(given.gold)
    return {name: float(value) for name, value in metrics.compute().items()} | counts


def write(scores: dict[str, Any], folder: Path) -> None:
    """Write the scores of one split into a run folder."""
    file = folder / "scores" / f"{scores['split']}.json"
    file.parent.mkdir(exist_ok=True)
    atomic_files.write_text(file, json.dumps(scores, indent=2) + "\n")


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Read the scores of every split in a run folder; raises UserError for what is none."""
    return [_read(file) for file in sorted((folder / "scores").glob("*.json"))]


def _read(file: Path) -> dict[str, Any]:
    try:
        scores: dict[str, Any] = shapes.loads(file.read_text(encoding="utf-8"))
        if isinstance(scores, dict) and scores.get("metric") == MAIN_METRIC["masked_language_modeling"]:
            raise UserError(
                f"{file}: scores of masked tokens, which this command does not read: they stand in report.md"
            )
        check(scores, SCORES, where="it")
        if scores["schema"] != SCHEMA or scores["metric"] not in SHOWN:
            raise ValueError(f"schema {scores['schema']} and metric {scores['metric']!r} are not known here")
        columns = Fields(required=dict.fromkeys(SHOWN[scores["metric"]], NUMBER))
        check(scores["languages"], Each(of=columns), where="languages")
        alike = scores.get("consistency", {"languages": [], "alike": []})
        if len(alike["languages"]) != len(alike["alike"]):
            raise ValueError("consistency.alike has not a row a language")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} holds no scores ({error}): delete it, and evaluating again writes it anew") from error
    return scores
