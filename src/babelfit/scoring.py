"""From prediction files to `scores/<split>.json`: needs neither a GPU nor the model."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from babelfit import durable, predictions
from babelfit.errors import UserError
from babelfit.metrics import MAIN_METRIC, build_metrics
from babelfit.predictions import AnyPrediction, Prediction, TagPrediction
from babelfit.transfer.numbers import transfer_numbers

SCHEMA = 1
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
    source_languages: Sequence[str],
    examples: Mapping[str, int],
    dropped: Mapping[str, Collection[int]],
    notes: Mapping[str, Any],
) -> dict[str, Any]:
    """Score every language of a split that has predictions in a run folder, source languages first.

    A language without any gold is named as unscored. `examples` says how many each language has, `dropped` which rows
    are none, `notes` what a reader of the scores must know. Raises UserError for damaged prediction files.
    """
    found = predictions.languages(folder, split=split)
    ordered = [
        *(one for one in source_languages if one in found),
        *(one for one in found if one not in source_languages),
    ]
    languages = {
        language: _score_language(
            predictions.read(
                predictions.path(folder, split=split, language=language),
                RECORDS[head],
                label_names=label_names,
                num_examples=examples.get(language),
                dropped=dropped.get(language, ()),
            ),
            head=head,
            label_names=label_names,
        )
        for language in ordered
    }
    scored = {language: scores for language, scores in languages.items() if scores["examples"]}
    unscored = [language for language in languages if language not in scored]
    main = {language: scores[MAIN_METRIC[head]] for language, scores in scored.items()}
    return {
        "schema": SCHEMA,
        "data": data,
        **notes,
        "split": split,
        "metric": MAIN_METRIC[head],
        "source_languages": list(source_languages),
        "languages": scored,
        **({"unscored_languages": unscored} if unscored else {}),
        "transfer": transfer_numbers(main, source_languages=source_languages),
    }


def _score_language(records: Sequence[AnyPrediction], *, head: str, label_names: Sequence[str]) -> dict[str, Any]:
    """Score one language's records: only the counts where none has gold."""
    scored = [record for record in records if record.gold is not None]
    counts = {"examples": len(scored)}
    if len(scored) < len(records):
        counts["unlabelled"] = len(records) - len(scored)
    if not scored:
        return counts
    label_ids = {name: label_id for label_id, name in enumerate(label_names)}
    predicted = [_as_list(record.predicted) for record in scored]
    gold = [_as_list(record.gold or ()) for record in scored]
    words = torch.tensor([len(tags) for tags in gold])
    metrics = build_metrics(head, label_names=label_names, across_ranks=False).set_dtype(torch.float64)
    metrics.update(
        preds=torch.tensor([label_ids[name] for name in chain(*predicted)]),
        target=torch.tensor([label_ids[name] for name in chain(*gold)]),
        sentences=torch.arange(len(scored)).repeat_interleave(words),
    )
    if head == "token_classification":
        counts["words"] = int(words.sum())
    return {name: float(value) for name, value in metrics.compute().items()} | counts


def _as_list(labels: str | Sequence[str]) -> Sequence[str]:
    return [labels] if isinstance(labels, str) else labels


def write(scores: dict[str, Any], folder: Path) -> None:
    """Write the scores of one split into a run folder."""
    file = folder / "scores" / f"{scores['split']}.json"
    file.parent.mkdir(exist_ok=True)
    durable.write_text(file, json.dumps(scores, indent=2) + "\n")


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Read the scores of every split in a run folder; raises UserError for what is none."""
    return [_read(file) for file in sorted((folder / "scores").glob("*.json"))]


def _read(file: Path) -> dict[str, Any]:
    try:
        scores: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        known = scores["schema"] == SCHEMA and scores["metric"] in MAIN_METRIC.values()
        if not known or not isinstance(scores["languages"], dict) or not isinstance(scores["transfer"], dict):
            raise ValueError("schema, metric, languages or transfer are not as written here")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{file} holds no scores ({error!r}): delete it, and the same command writes it anew"
        ) from error
    return scores
