"""Scores of before files said themselves which task, labels and measures they are of: what the datasets of then were.

Only this file knows a dataset by name, and nothing here changes any more; files of now say it all themselves.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from babelfit.rows.read import DatasetRead

_CLASSIFICATION: Mapping[str, Any] = {
    "task": "classification",
    "few_shot_unit": "examples of each label",
    "measures": [
        {"key": "accuracy", "title": "accuracy", "unit": "percent", "better": "higher"},
        {"key": "f1", "title": "macro F1", "unit": "percent", "better": "higher"},
    ],
}
_TAGGING: Mapping[str, Any] = {
    "task": "tagging",
    "examples_name": "sentences",
    "few_shot_unit": "sentences",
    "measures": [
        {"key": "f1", "title": "span F1", "unit": "percent", "better": "higher"},
        {
            "key": "precision",
            "title": "precision",
            "unit": "percent",
            "better": "higher",
            "shown": "not on the terminal",
        },
        {"key": "recall", "title": "recall", "unit": "percent", "better": "higher", "shown": "not on the terminal"},
        {"key": "f1_strict", "title": "strict F1", "unit": "percent", "better": "higher"},
    ],
}
_MASKED_TOKENS: Mapping[str, Any] = {
    "task": "masked_tokens",
    "measures": [
        {"key": "log_likelihood", "title": "log-likelihood", "unit": "plain", "better": "higher", "shown": "nowhere"},
        {"key": "perplexity", "title": "perplexity", "unit": "perplexity", "better": "lower"},
        {"key": "accuracy", "title": "accuracy", "unit": "percent", "better": "higher"},
    ],
}
_KINDS = {kind["measures"][0]["key"]: kind for kind in (_CLASSIFICATION, _TAGGING, _MASKED_TOKENS)}
"""By the metric that selects checkpoints."""

_OUTSIDE = "O"


_DATASETS = {
    "xnli": DatasetRead(
        data="xnli",
        task="classification",
        labels=["entailment", "neutral", "contradiction"],
        aliases={"contradictory": "contradiction"},
        parallel=True,
        hub_repo="facebook/xnli",
    ),
    "pawsx": DatasetRead(
        data="pawsx",
        task="classification",
        labels=["not_paraphrase", "paraphrase"],
        aliases={"0": "not_paraphrase", "1": "paraphrase"},
        parallel=True,
        hub_repo="google-research-datasets/paws-x",
    ),
    "wikiann": DatasetRead(
        data="wikiann",
        task="tagging",
        labels=["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"],
        hub_repo="unimelb-nlp/wikiann",
    ),
    "text": DatasetRead(data="text", task="masked_tokens", hub_repo=None),
}
"""What is not said of a dataset in older files."""

NAMES = tuple(_DATASETS)


def upgraded_manifest(known: DatasetRead) -> DatasetRead:
    """Return what a manifest says of its dataset, with what an older one does not say, where that is known."""
    return known if known.task is not None else _DATASETS.get(str(known.data), known)


def hub_repo(name: str) -> str | None:
    """Return the repository on the Hub of a dataset that an older manifest names; None where it has none."""
    return _DATASETS[name].hub_repo if name in _DATASETS else None


def upgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of schema 1 as one of schema 2; what is wrong in it is left to be found there."""
    metric = str(document.get("metric"))
    known = _DATASETS.get(str(document.get("data")))
    kind = _KINDS.get(metric, _CLASSIFICATION)
    labels, is_parallel = _labels(document, kind), isinstance(document.get("consistency"), Mapping)
    if known is not None and known.task == kind["task"]:
        labels, is_parallel = known.labels, known.parallel
    transfer, groups = document.get("transfer"), document.get("groups")
    return {
        **document,
        **kind,
        "schema": 2,
        "labels": labels,
        "parallel": is_parallel,
        "languages": _filled(document.get("languages"), interval=None),
        **({"transfer": {"mean": None, **transfer}} if isinstance(transfer, Mapping) else {}),
        **({"groups": _filled_groups(groups)} if isinstance(groups, Mapping) else {}),
    }


def upgraded_selections(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return selections of schema 1 as those of schema 2."""
    kind = _KINDS.get(str(document.get("metric")), _CLASSIFICATION)
    return {**document, "schema": 2, "measure": kind["measures"][0]}


def _labels(document: Mapping[str, Any], kind: Mapping[str, Any]) -> list[str]:
    """Return the labels of a dataset that its user had added, as far as they are counted."""
    languages = document.get("languages")
    counted: Any = next(iter(languages.values()), {}) if isinstance(languages, Mapping) else {}
    confusion = counted.get("confusion") if isinstance(counted, Mapping) else None
    given = confusion.get("labels") if isinstance(confusion, Mapping) else None
    labels = [str(label) for label in given] if isinstance(given, list) else []
    if kind is not _TAGGING:
        return labels
    # Of tags, the types are counted.
    return [*chain(*([label] if label == _OUTSIDE else [f"B-{label}", f"I-{label}"] for label in labels))]


def _filled(by_name: Any, **defaults: Any) -> Any:
    """Add fields that older files lack to each value of an object."""
    if not isinstance(by_name, Mapping):
        return by_name
    return {name: {**defaults, **one} if isinstance(one, Mapping) else one for name, one in by_name.items()}


def _filled_groups(groups: Mapping[str, Any]) -> dict[str, Any]:
    filled = {name: one if name == "size_correlation" else _filled(one, interval=None) for name, one in groups.items()}
    return {"size_correlation": None, **filled}
