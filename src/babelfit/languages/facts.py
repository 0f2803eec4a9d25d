"""Facts about languages, from languages.tsv: what their codes stand for, and what scores are grouped by.

`family` is the top-level family, under the names that XTREME uses (Hu et al. 2020; an isolate is its own), but for
Indo-European, of which it is the branch, Latin among the Romance languages. `script` is the writing system by its name
in Unicode: CLDR's likely one, but for Min Dong, Hakka and Crimean Tatar, whose Wikipedias are in Latin letters, and
Aramaic, whose is in Syriac ones.

`pretraining_gib` is how much text of the language XLM-R was pretrained on: Conneau et al. 2020, "Unsupervised
Cross-lingual Representation Learning at Scale", appendix A, table 6, as transcribed in cc-100/cc-100.csv of the
repository mayhewsw/multilingual-data-stats. 0 is a language that the table does not have, romanized text is left out,
and languages with two rows (Chinese in both scripts, Burmese in both encodings) are summed. Empty is a size that is not
known: of a variant that the table has under another language (Simple English, Nynorsk, Cantonese), and of Swedish,
where transcriptions of the table contradict each other.

Also what is wrong with codes that a user gives. Knows no dataset.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from babelfit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Language:
    """What is known of one language; `pretraining_gib` is None where that is not known."""

    name: str
    family: str
    script: str
    pretraining_gib: float | None


with Path(__file__).with_name("languages.tsv").open(encoding="utf-8", newline="") as _file:
    LANGUAGES = {
        row["code"]: Language(
            name=row["name"],
            family=row["family"],
            script=row["script"],
            pretraining_gib=float(row["pretraining_gib"]) if row["pretraining_gib"] else None,
        )
        for row in csv.DictReader(_file, delimiter="\t")
    }
LANGUAGE_NAMES = {code: language.name for code, language in LANGUAGES.items()}
"""What the codes stand for."""


def checked_languages(languages: Sequence[str], *, key: str, known: Sequence[str], of: str) -> list[str]:
    """Return the languages of a key; raises UserError for none, for one twice, and for one that `of` has not."""
    for language in languages:
        if language not in known:
            raise UserError(
                f"unknown language {language!r} in {key}: {of} has {', '.join(known)}. Quote codes: an unquoted no "
                "is read as False, '\"no\"' as no"
            )
    if not languages or len(set(languages)) < len(languages):
        raise UserError(f"{key}={list(languages)}: give at least one, and each one once")
    return list(languages)
