"""A task is found again by what a document says of it."""

import pytest
from made_tasks import NER, NLI, TOKENS

from babelfit import tasks
from babelfit.errors import UserError
from babelfit.tasks import Task


@pytest.mark.parametrize("task", [NLI, NER, TOKENS], ids=lambda task: task.name)
def test_a_task_is_that_of_its_name_and_labels(task: Task) -> None:
    again = tasks.of_document(task.name, list(task.labels))

    assert type(again) is type(task)
    assert again.labels == task.labels
    assert [measure.key for measure in again.measures] == [measure.key for measure in task.measures]


def test_a_task_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(
        UserError, match="task 'retrieval' is unknown; this version has classification, masked_tokens, "
    ):
        tasks.of_document("retrieval", [])


@pytest.mark.parametrize("task", [NLI, NER, TOKENS], ids=lambda task: task.name)
def test_each_measure_has_a_key_and_a_title_of_its_own(task: Task) -> None:
    for names in ([one.key for one in task.measures], [one.title for one in task.measures]):
        assert len(set(names)) == len(names)
    assert task.selecting.better == "higher"
