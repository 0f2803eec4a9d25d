"""What a model may see of the target languages before it is scored in them: whose rows each regime trains on.

`zero_shot`: the source languages' own training rows, and nothing of any target language.
`translate_train`: the training rows machine-translated into `data.train_languages` (Conneau et al. 2018).
`translate_train_all`: the original and all its translations at once; every one of these languages is trained on.
`translate_test`: the original; the other languages' rows are scored as machine-translated into its language.
`few_shot`: the source languages and, of each target language, a few examples (Lauscher et al. 2020). The target
languages stay targets: by their scores no checkpoint is selected.

Which rows there are is the data's business, and how a few are drawn that of `data.few_shot`.
"""

from collections.abc import Sequence

from babelfit.errors import UserError
from babelfit.languages.facts import checked_languages

REGIMES = ("zero_shot", "translate_train", "translate_train_all", "translate_test", "few_shot")

UNKNOWN = "unknown"
"""Of predictions that were made elsewhere, unless the user says it."""


def trained_languages(
    regime: str, chosen: Sequence[str], *, written_in: str | None, translated: Sequence[str], of: str
) -> list[str]:
    """Return the source languages of a regime, given those of `data.train_languages`.

    `written_in` is the language of the original training rows, of which `translated` have translations; None where
    each language has rows of its own. Raises UserError for languages that the regime makes no sense for.
    """
    if not regime.startswith("translate"):
        return list(chosen)
    if written_in is None:
        raise UserError(
            f"data.regime={regime}: {of} has no machine translations, each language's rows are its own. Choose "
            "data.regime=zero_shot or few_shot"
        )
    if regime == "translate_test" and list(chosen) != [written_in]:
        raise UserError(
            f"data.regime=translate_test scores rows that were translated into '{written_in}', so train on "
            f"'{written_in}', not on {', '.join(chosen)}: data.train_languages=[{written_in}]"
        )
    if regime == "translate_train" and written_in in chosen:
        raise UserError(
            f"data.regime=translate_train: '{written_in}' in data.train_languages is the original, not a "
            "translation. Give the languages to train on, as in data.train_languages=[sw]; for the original and its "
            "translations choose data.regime=translate_train_all"
        )
    if regime == "translate_train_all":
        # Those that the user names besides the original, else all that there are.
        named = [language for language in chosen if language != written_in]
        return [written_in, *(named or [language for language in translated if language != written_in])]
    return list(chosen)


def few_shot_languages(
    chosen: Sequence[str] | None,
    *,
    evaluated: Sequence[str],
    source_languages: Sequence[str],
    known: Sequence[str],
    of: str,
) -> list[str]:
    """Return the target languages of which a few examples are trained on; null: all that are evaluated.

    Raises UserError for a source language, and where there is none.
    """
    key = "data.few_shot.languages"
    if chosen is None:
        chosen = [language for language in evaluated if language not in source_languages]
    for language in chosen:
        if language in source_languages:
            raise UserError(f"{key}: '{language}' is trained on with all its rows (data.train_languages): leave it out")
    return checked_languages(chosen, key=key, known=known, of=of)


def in_words(regime: str, *, k: int, languages: Sequence[str] | None, examples: str) -> str:
    """Return a regime in words, for the report."""
    if regime != "few_shot":
        return regime
    return f"few_shot, {k} {examples} of {', '.join(languages or ())}"
