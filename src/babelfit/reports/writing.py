"""Everything that is written once scores are there: report.md, report.html, figures/ and the model's card."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from babelfit import tasks
from babelfit.files import atomic_files
from babelfit.reports import card, selection_sheets, sheets
from babelfit.reports.markdown import markdown
from babelfit.run import manifest
from babelfit.run.manifest import Manifest
from babelfit.run.run import CONFIG, Run
from babelfit.scoring import schema_1, selections
from babelfit.scoring.scores import Scores

log = logging.getLogger(__name__)


def write(folder: Path, *, all_scores: Sequence[Scores], facts: Mapping[str, str]) -> None:
    """Write the reports of a run or an evaluation, from its scores and what else lies in its folder."""
    from babelfit.reports import manifest_tables, page  # imports matplotlib, which one process in the end needs

    known = manifest.read(folder)
    task = tasks.of_document(all_scores[0].task, all_scores[0].labels, where=folder / "scores")
    selected = selections.read(folder)
    selected_otherwise = [] if selected is None else selection_sheets.sheets(selected)
    text = markdown(
        all_scores,
        facts=facts,
        doubts=manifest.doubts(known),
        # What tokens are worth in each language matters where languages are compared.
        tokens=manifest_tables.tokens(known, reached=task.reached) if task.compares_languages else (),
        selections="\n".join(sheets.markdown(sheet, level=2) for sheet in selected_otherwise),
    )
    atomic_files.write_text(folder / "report.md", text)
    page.write_page(folder, all_scores=all_scores, facts=facts, selections=selected_otherwise)
    _write_card(folder, all_scores=all_scores, facts=facts, known=known)
    log.info("report: %s, %s", folder / "report.md", folder / page.FILE)


def _write_card(folder: Path, *, all_scores: Sequence[Scores], facts: Mapping[str, str], known: Manifest) -> None:
    """Write the card of a run's model, where the folder is a run and has it still."""
    run = Run(folder)
    if not (folder / CONFIG).is_file() or not run.model.is_dir():
        return
    card.write_card(
        run.model,
        config=run.config(),
        all_scores=all_scores,
        facts=facts,
        doubts=manifest.doubts(known),
        hub_repo=schema_1.hub_repo(all_scores[0].data) if known.hub_repo == "" else known.hub_repo,
        revision=known.origin.get("revision"),
    )
