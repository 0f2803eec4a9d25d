"""The scores of each validation: sums of what examples add, by language, over all devices."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torchmetrics import Metric

from babelfit.batches.ragged import NOBODY
from babelfit.statistics.sums import Array
from babelfit.tasks.task import Task


class DevScores(Metric):
    """Add up the counts of each language's examples: exact under any sharding, and the same as from files."""

    full_state_update = False
    sums: torch.Tensor  # (languages, numbers)

    def __init__(self, task: Task, *, languages: Sequence[str], scored: Sequence[str]) -> None:
        """Take all languages, numbered as in the batches, and those of them that are validated."""
        super().__init__(sync_on_compute=True)
        self._task = task
        self._place_of = {languages.index(language): place for place, language in enumerate(scored)}
        self._scored = list(scored)
        num_counts = 1 + max(column for measure in task.measures for column in measure.columns)
        zeros = torch.zeros(len(scored), num_counts, dtype=torch.float64)
        self.add_state("sums", default=zeros, dist_reduce_fx="sum")

    def update(self, outputs: Mapping[str, torch.Tensor]) -> None:
        """Count the targets of a batch: a head's outputs with gold, language and index of the example, (targets, ...)."""
        columns = {name: column.cpu().numpy() for name, column in outputs.items()}
        for number in np.unique(columns["language"]).tolist():
            if number != NOBODY:
                mine = np.flatnonzero(columns["language"] == number)
                self.sums[self._place_of[number]] += torch.from_numpy(self._count(columns, mine)).to(self.sums.device)

    def _count(self, columns: Mapping[str, Array], mine: Array) -> Array:
        mine = mine[np.argsort(columns["index"][mine], kind="stable")]
        theirs = {name: column[mine] for name, column in columns.items()}
        answers = self._task.answers(theirs, indices=np.unique(theirs["index"])).with_gold()
        rows = self._task.counts(answers).rows
        # Sums of whole numbers have no order; those of others differ in the last bits at most.
        return np.asarray(np.pad(rows.sum(axis=0), (0, self.sums.shape[1] - rows.shape[1])))

    def compute(self) -> dict[str, dict[str, float]]:
        """Return the scores of each language, of all devices: key of the measure -> score."""
        sums = self.sums.cpu().numpy()
        measures = [measure for measure in self._task.measures if measure.of_rows is None]
        return {
            language: {measure.key: measure.of_whole_sums(sums[place]) for measure in measures}
            for place, language in enumerate(self._scored)
        }
