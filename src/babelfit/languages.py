"""Facts about languages, from languages.tsv, and what is wrong with codes that a user gives. Knows no dataset."""

import csv
from collections.abc import Sequence
from pathlib import Path

from babelfit.errors import UserError

with Path(__file__).with_name("languages.tsv").open(encoding="utf-8", newline="") as _file:
    LANGUAGE_NAMES = {row["code"]: row["name"] for row in csv.DictReader(_file, delimiter="\t")}
"""What the codes stand for."""


def checked_languages(languages: Sequence[str], *, key: str, known: Sequence[str], of: str) -> list[str]:
    """Return the languages of a key; raises UserError for none, for one twice, and for one that `of` has not."""
    for language in languages:
        if language not in known:
            raise UserError(
                f"unknown language {language!r} in {key}: {of} has {', '.join(known)}. Codes are quoted: a bare no "
                "arrives as False, '\"no\"' as no"
            )
    if not languages or len(set(languages)) < len(languages):
        raise UserError(f"{key}={list(languages)}: give at least one, and each one once")
    return list(languages)
