"""From prediction files to `scores/<split>.json`: needs neither a GPU nor the model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from babelfit import predictions
from babelfit.errors import UserError
from babelfit.metrics import classification_metrics
from babelfit.predictions import Prediction
from babelfit.transfer.numbers import transfer_numbers

SCHEMA = 1
METRIC = "accuracy"


def score(
    folder: Path,
    *,
    data: str,
    split: str,
    label_names: Sequence[str],
    source_languages: Sequence[str],
    synthetic: bool,
) -> dict[str, Any]:
    """Score every language of a split that has predictions in a run folder, source languages first.

    Raises UserError for a language without any gold label, and for damaged prediction files.
    """
    found = predictions.languages(folder, split=split)
    ordered = [
        *(one for one in source_languages if one in found),
        *(one for one in found if one not in source_languages),
    ]
    languages = {
        language: _score_language(
            predictions.read(predictions.path(folder, split=split, language=language), label_names=label_names),
            label_names=label_names,
            where=f"{data} {split} {language}",
        )
        for language in ordered
    }
    main = {language: scores[METRIC] for language, scores in languages.items()}
    return {
        "schema": SCHEMA,
        "data": data,
        **({"synthetic": True} if synthetic else {}),
        "split": split,
        "metric": METRIC,
        "source_languages": list(source_languages),
        "languages": languages,
        "transfer": transfer_numbers(main, source_languages=source_languages),
    }


def _score_language(records: Sequence[Prediction], *, label_names: Sequence[str], where: str) -> dict[str, Any]:
    label_ids = {name: label_id for label_id, name in enumerate(label_names)}
    scored = [record for record in records if record.gold is not None]
    if not scored:
        raise UserError(f"{where}: no row has a gold label, so there is nothing to score; predictions are kept")
    metrics = classification_metrics(len(label_names)).set_dtype(torch.float64)
    metrics.update(
        torch.tensor([label_ids[record.predicted] for record in scored]),
        torch.tensor([label_ids[str(record.gold)] for record in scored]),
    )
    scores: dict[str, Any] = {name: float(value) for name, value in metrics.compute().items()}
    scores["examples"] = len(scored)
    if len(scored) < len(records):
        scores["unlabelled"] = len(records) - len(scored)
    return scores


def write(scores: dict[str, Any], folder: Path) -> None:
    """Write the scores of one split into a run folder."""
    file = folder / "scores" / f"{scores['split']}.json"
    file.parent.mkdir(exist_ok=True)
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Read the scores of every split in a run folder."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted((folder / "scores").glob("*.json"))]
