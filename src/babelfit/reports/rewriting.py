"""`babelfit report`: rewrites the reports of a run or an evaluation from what its folder holds."""

from pathlib import Path

from rich.console import Console

from babelfit.errors import UserError
from babelfit.files.lock import locked
from babelfit.files.untrusted_files import check_folder
from babelfit.reports import sheets, words, writing
from babelfit.run import manifest
from babelfit.run.run import CONFIG, Run, check_kind
from babelfit.run.run_facts import facts_of
from babelfit.scoring.scores import Scores, read_all


def rewrite(folder: Path) -> list[Scores]:
    """Rewrite the reports of a folder, print its tables and return its scores; raise UserError where it has none."""
    check_kind(folder)
    check_folder(folder)
    all_scores = read_all(folder)
    if not all_scores:
        raise UserError(f"{folder} has no scores to report: babelfit evaluate run={folder} writes them")
    facts = _facts(folder)
    with locked(folder):
        writing.write(folder, all_scores=all_scores, facts=facts)
    for scores in all_scores:
        Console().print(sheets.terminal(words.sheet(scores, on_terminal=True)))
    return all_scores


def _facts(folder: Path) -> dict[str, str]:
    """Return what the reports say of the model, as when it was scored."""
    if (folder / CONFIG).is_file():
        run = Run.existing(folder)
        if run.status().selected is None:
            raise UserError(f"{folder / 'status.json'} does not say which checkpoint was scored: start the run again")
        return facts_of(run)
    facts = manifest.read(folder).facts
    if not facts:
        raise UserError(
            f"{folder}/manifest.json does not say what was evaluated: run the same evaluation again, which writes it"
        )
    return facts
