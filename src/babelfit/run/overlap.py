"""Rows that a run trained on among those that are scored: warned about, and kept in its manifest. Drops none."""

import logging

from babelfit.data import MultilingualDataModule
from babelfit.errors import UserError
from babelfit.rows.leaks import Leaks, in_words
from babelfit.run import manifest
from babelfit.run.run import Run

log = logging.getLogger(__name__)


def warned_leaks(data: MultilingualDataModule) -> Leaks:
    """Return the rows of all splits read that are among those trained on, and warn about them."""
    leaks = data.leaks()
    for leak in in_words(leaks, dataset=data.data_name):
        log.warning("LEAK: %s", leak)
    return leaks


def compare_added(run: Run, *, data: MultilingualDataModule, split: str) -> None:
    """Compare what is read to be scored with the rows that a run trained on, and keep what is found in its manifest.

    Where these rows are gone or changed, nothing is compared, and a warning says so.
    """
    known = manifest.add(run.folder, splits=data.read)
    read = {name: dict(entries) for name, entries in data.read.items()}
    try:
        for language in data.trained_languages:
            data.open("train", language)
        # In parallel data a language's rows are translations of those that leak in others.
        compared = known.leaks.get(split, {})
        for language in (*compared, *data.origin.available(split, languages=data.trained_languages)):
            data.open(split, language)
        manifest.add(run.folder, splits=data.read)
    except UserError as error:
        data.read = read  # what was opened without use is nothing that the evaluation needs
        log.warning(
            "%s %s is not compared with the rows that %s trained on, so a leak would go unnoticed: %s",
            data.data_name,
            split,
            run.folder,
            error,
        )
        return
    manifest.add(run.folder, leaks=warned_leaks(data))
