"""Scores made by hand, as files have them."""

from collections.abc import Mapping
from typing import Any

from babelfit.files import documents
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import SCHEMA, Scores, from_document
from babelfit.tasks import Task
from babelfit.transfer.numbers import transfer_numbers


def document(
    task: Task,
    languages: Mapping[str, Mapping[str, Any]],
    *,
    data: str = "xnli",
    split: str = "test",
    sources: tuple[str, ...] = ("en",),
    parallel: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return what a file of scores says, given the numbers of each language; transfer follows from them."""
    key = task.selecting.key
    main = {language: values[key] for language, values in languages.items()}
    return {
        "schema": SCHEMA,
        "data": data,
        "task": task.name,
        "labels": list(task.labels),
        "parallel": parallel,
        "measures": [documents.dumped(MeasureFacts.of(measure)) for measure in task.measures],
        "few_shot_unit": task.few_shot,
        "examples_name": task.examples_name,
        "split": split,
        "metric": key,
        "source_languages": list(sources),
        "languages": {language: {"interval": None, **values} for language, values in languages.items()},
        **({"transfer": transfer_numbers(main, source_languages=sources)} if task.compares_languages else {}),
        **more,
    }


def scores(task: Task, languages: Mapping[str, Mapping[str, Any]], **more: Any) -> Scores:
    """Return scores, given the numbers of each language; the rest is as in `document`."""
    return from_document(document(task, languages, **more))
