"""The same from Python: train, evaluate, and look at what came out. Heavy imports stay inside of the functions."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from babelfit.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame

Overrides: TypeAlias = Sequence[str] | Mapping[str, Any]
"""What stands on the command line, `["seed=2", "data.languages=[en,de]"]`, or the same as a mapping."""

log = logging.getLogger(__name__)


class LoadedRun:
    """The folder of a run or an evaluation, to look at and to predict with."""

    def __init__(self, folder: Path) -> None:
        """Hold a folder that load() has checked."""
        self.folder = folder
        self._predictor: Any = None

    def predict(self, texts: Sequence[Any]) -> list[Any]:
        """Return the prediction of each text: its `predicted` label (or tags, or number) and `probabilities`.

        Texts are strings; tuples of two where the model was trained on pairs; lists of words where it tags words, which
        all get a tag. Texts that are too long are cut, and a warning says how many.

        Raises UserError for anything else, and where the folder has no model.
        """
        if isinstance(texts, str):
            raise UserError(f"predict() takes several texts: predict([{texts[:30]!r}])")
        if self._predictor is None:
            from babelfit.commands.loading import load_predictor

            self._predictor = load_predictor(self.folder)
        return list(self._predictor.predict(list(texts)))

    def scores(self) -> "DataFrame":
        """Return the scores of all splits: language, measure, value, low, high, split, and what the run is."""
        return scores([self])

    def __repr__(self) -> str:
        """Return what makes the same object again."""
        return f"babelfit.load({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """Return the scores as a table, for a notebook."""
        from html import escape

        table = self.scores().pivot_table(index=["split", "language"], columns="measure", values="value", sort=False)
        return f"<p><code>{escape(repr(self))}</code></p>{table.to_html(float_format='{:.3f}'.format)}"


Folder: TypeAlias = str | Path | LoadedRun


def train(overrides: Overrides = (), *, config_dir: str | Path | None = None) -> LoadedRun:
    """Train as `babelfit train` does, and return the run; the same call goes on with one that was interrupted.

    `config_dir` is --config-dir. Raises UserError for what the command line would refuse.
    """
    from babelfit.commands.in_process import train as run

    return LoadedRun(run(overrides, config_dir=config_dir))


def evaluate(overrides: Overrides, *, config_dir: str | Path | None = None) -> LoadedRun:
    """Score a run or a model as `babelfit evaluate` does, and return the folder with the scores.

    `config_dir` is --config-dir. Raises UserError for what the command line would refuse.
    """
    from babelfit.commands.in_process import evaluate as run

    return LoadedRun(run(overrides, config_dir=config_dir))


def load(run: Folder) -> LoadedRun:
    """Return the run or the evaluation of a folder; raise UserError for a folder that is neither."""
    if isinstance(run, LoadedRun):
        return run
    from babelfit.commands.loading import check

    check(Path(run))
    return LoadedRun(Path(run))


def scores(runs: Iterable[Folder]) -> "DataFrame":
    """Return the scores of many runs, evaluations, or sweeps, one below the other: see LoadedRun.scores().

    Raises UserError for a folder without scores.
    """
    from babelfit.comparing.scored_runs import folders
    from babelfit.scoring.frames import frame

    if isinstance(runs, str | Path | LoadedRun):
        runs = [runs]
    given = [one.folder if isinstance(one, LoadedRun) else Path(one) for one in runs]
    return frame([folder for one in given for folder in folders(str(one))])
