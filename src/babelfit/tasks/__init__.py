"""Kinds of task, a file each: what an example is, its gold, its prediction, its scores."""

from collections.abc import Sequence
from pathlib import Path

from babelfit.errors import UserError
from babelfit.tasks.classification import Classification
from babelfit.tasks.masked_tokens import MaskedTokens
from babelfit.tasks.regression import Regression
from babelfit.tasks.tagging import Tagging
from babelfit.tasks.task import Task

__all__ = ["TASKS", "Classification", "MaskedTokens", "Regression", "Tagging", "Task", "of_document", "of_head"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, MaskedTokens, Regression, Tagging)}


def of_document(name: str, labels: Sequence[str], *, where: Path | None = None) -> Task:
    """Return the task that a document names, of data that have these labels; raise UserError for one not known here.

    `where` is the file or the folder of the document, for the message.
    """
    if name not in TASKS:
        place = "" if where is None else f"{where}: "
        raise UserError(
            f"{place}task {name!r} is unknown; this version has {', '.join(TASKS)}. Was it written by another version?"
        )
    return TASKS[name].with_labels(labels)


def of_head(head: str) -> Task:
    """Return the task that a head learns, of data whose labels are not known; raise UserError where there is none."""
    for task in TASKS.values():
        if task.head == head:
            return task.with_labels(())
    raise UserError(f"head={head} learns none of the tasks {', '.join(TASKS)}")
