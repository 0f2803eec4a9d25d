"""Kinds of task, a file each: what an example is, its gold, its prediction, its scores."""

from babelfit.tasks.classification import Classification
from babelfit.tasks.masked_tokens import MaskedTokens
from babelfit.tasks.tagging import Tagging
from babelfit.tasks.task import Task

__all__ = ["TASKS", "Classification", "MaskedTokens", "Tagging", "Task"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classification, MaskedTokens, Tagging)}
