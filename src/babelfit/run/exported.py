"""A run's model as it was exported, and whether it still is: its files by SHA-256, in status.json. Loads no model."""

import logging
from pathlib import Path

from babelfit.devices import ranks
from babelfit.encoder.loading import files_read
from babelfit.errors import UserError
from babelfit.run import manifest
from babelfit.run.run import Run

log = logging.getLogger(__name__)

SHOWN = 12
"""So many digits of a hash tell it from others."""


def trained_run(folder: Path) -> Run:
    """Return the run in a folder; raise UserError where it has no model, or another than it exported."""
    run = Run.existing(folder)
    status = ranks.from_first(run.status)
    if status.selected is None or not run.model.exists():
        dropped = status.state == "complete"
        missing = "model any more: of a sweep, sweep.keep=best deletes all but the best" if dropped else "model yet"
        raise UserError(f"{run.folder} has no {missing}: its training is {status.in_words}; start it again first")
    ranks.from_first(lambda: check(run))
    if status.state != "complete":
        log.warning("%s is %s: its training is finished, its own evaluation is not", run.folder, status.in_words)
    return run


def record(run: Run) -> None:
    """Keep in a run's status what its model consists of; raise UserError where it is no longer what it was."""
    run.set_status("running", model=check(run))


def check(run: Run) -> dict[str, str]:
    """Return the SHA-256 of the files of a run's model; raise UserError where it is not the one that it exported.

    Older runs say what they exported in their manifest alone.
    """
    recorded = manifest.read(run.folder).model
    found = files_read(str(run.model)).files
    known = run.status().model or ({} if recorded is None else recorded.files) or found
    changed = [name for name in sorted({*known, *found}) if known.get(name) != found.get(name)]
    if changed:
        name = changed[0]
        before, now = (files[name][:SHOWN] if name in files else "not there" for files in (known, found))
        raise UserError(
            f"{run.model / name} is not as the run exported it (SHA-256 {before}, now {now}): put the old file back, "
            f"or delete {run.model} and start the training command again, which exports it from its checkpoint. To "
            f"score it as it is, as no run's: babelfit evaluate model={run.model}"
        )
    return found
