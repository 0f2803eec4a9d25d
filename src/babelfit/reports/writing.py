"""Everything that is written once scores are there: report.md, report.html, figures/ and the model's card."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.reports import card, markdown, selection_sheets, sheets
from babelfit.run import manifest
from babelfit.run.run import CONFIG, Run
from babelfit.scoring import selections

log = logging.getLogger(__name__)


def write(folder: Path, *, all_scores: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> None:
    """Write the reports of a run or an evaluation, from its scores and what else lies in its folder."""
    from babelfit.reports import manifest_tables, page  # imports matplotlib, which one process in the end needs

    known = manifest.read(folder)
    doubts = manifest.doubts(known)
    selected = selections.read(folder)
    selected_otherwise = [] if selected is None else selection_sheets.sheets(selected)
    markdown.write_report(
        folder,
        all_scores=all_scores,
        facts=facts,
        doubts=doubts,
        tokens=manifest_tables.tokens(known),
        selections="\n".join(sheets.markdown(sheet, level=2) for sheet in selected_otherwise),
    )
    page.write_page(folder, all_scores=all_scores, facts=facts, selections=selected_otherwise)
    write_card(folder, all_scores=all_scores, facts=facts)
    log.info("report: %s, %s", folder / "report.md", folder / page.FILE)


def write_card(folder: Path, *, all_scores: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> None:
    """Write the card of a run's model, where the folder is a run and has it still."""
    run = Run(folder)
    if not (folder / CONFIG).is_file() or not run.model.is_dir():
        return
    known = manifest.read(folder)
    card.write_card(
        run.model,
        config=run.config(),
        all_scores=all_scores,
        facts=facts,
        doubts=manifest.doubts(known),
        revision=known.get("origin", {}).get("revision"),
    )
