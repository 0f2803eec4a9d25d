"""Scores of before files said themselves which task, labels and measures they are of: what the three datasets were.

Only this file knows a dataset by name; files of now say it all themselves.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from babelfit.files import documents
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.tasks import Classification, MaskedTokens, Tagging, Task
from babelfit.tasks.tagging import OUTSIDE

_NLI = Classification(labels=("entailment", "neutral", "contradiction"))
_PARAPHRASES = Classification(labels=("not_paraphrase", "paraphrase"))
_ENTITIES = Tagging(labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"))

DATASETS: Mapping[str, tuple[Task, bool]] = {
    "xnli": (_NLI, True),
    "pawsx": (_PARAPHRASES, True),
    "wikiann": (_ENTITIES, False),
    "text": (MaskedTokens(), False),
}
"""The task of each dataset, and whether row i is the same item in every language."""


def upgraded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of schema 1 as one of schema 2; what is wrong in it is left to be found there."""
    name, metric = document.get("data"), document.get("metric")
    task, parallel = DATASETS.get(str(name), (None, False))
    if task is None or metric != task.selecting.key:
        task, parallel = _guessed(document), isinstance(document.get("consistency"), Mapping)
    languages = document.get("languages")
    transfer, groups = document.get("transfer"), document.get("groups")
    return {
        **document,
        "schema": 2,
        "task": task.name,
        "labels": list(task.labels),
        "parallel": parallel,
        "measures": [documents.dumped(MeasureFacts.of(measure)) for measure in task.measures],
        "few_shot_unit": task.few_shot,
        "languages": _filled(languages, interval=None),
        **({"transfer": {"mean": None, **transfer}} if isinstance(transfer, Mapping) else {}),
        **({"groups": _filled_groups(groups)} if isinstance(groups, Mapping) else {}),
    }


def upgraded_selections(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return selections of schema 1 as those of schema 2."""
    task = Tagging(labels=()) if document.get("metric") == "f1" else Classification(labels=())
    return {**document, "schema": 2, "measure": documents.dumped(MeasureFacts.of(task.selecting))}


def _guessed(document: Mapping[str, Any]) -> Task:
    """Return the task of a dataset that its user had added, from what is counted of it."""
    languages = document.get("languages")
    counted: Any = next(iter(languages.values()), {}) if isinstance(languages, Mapping) else {}
    confusion = counted.get("confusion", {}) if isinstance(counted, Mapping) else {}
    labels = [str(label) for label in confusion.get("labels", ())]
    if document.get("metric") == "f1":
        tags = [[label] if label == OUTSIDE else [f"B-{label}", f"I-{label}"] for label in labels]
        return Tagging(labels=[*chain(*tags)])
    return Classification(labels=labels)


def _filled(by_name: Any, **defaults: Any) -> Any:
    """Add fields that older files lack to each value of an object."""
    if not isinstance(by_name, Mapping):
        return by_name
    return {name: {**defaults, **one} if isinstance(one, Mapping) else one for name, one in by_name.items()}


def _filled_groups(groups: Mapping[str, Any]) -> dict[str, Any]:
    filled = {name: one if name == "size_correlation" else _filled(one, interval=None) for name, one in groups.items()}
    return {"size_correlation": None, **filled}
