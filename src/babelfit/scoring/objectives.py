"""By which number the best trial of a sweep is the best: four objectives, made of a main score of each language on dev.

The main score is accuracy, or span F1; dev is the validation split. The *dev languages* are `objective_languages`, or
where that is null all evaluated languages (`data.languages`). Each language counts the same.

`source_dev` is the mean over the source languages, whatever the dev languages are; it selects checkpoints, too.
`mean_dev` is the mean over the dev languages, `worst_dev` the lowest among them, and `target_dev` the mean over those
that are no source languages: undefined where there is none. Only `source_dev` asks for no labels in target languages,
which zero-shot transfer is to do without.
"""

from collections.abc import Mapping, Sequence

from babelfit.config.values import OBJECTIVES
from babelfit.errors import UserError
from babelfit.languages.facts import checked_languages
from babelfit.scoring.scores import Scores


def objectives(
    scores: Mapping[str, float], *, source_languages: Sequence[str], languages: Sequence[str]
) -> dict[str, float]:
    """Return the objectives, given the main score of each language and the dev languages.

    One that is undefined, or of which the score of a language is missing, is left out.
    """
    targets = [language for language in languages if language not in source_languages]
    needed = dict(zip(OBJECTIVES, (source_languages, languages, languages, targets), strict=True))
    found = {}
    for name, theirs in needed.items():
        values = [scores[language] for language in theirs if language in scores]
        if values and len(values) == len(theirs):
            found[name] = min(values) if name == "worst_dev" else sum(values) / len(values)
    return found


def of_scores(scores: Scores, *, languages: Sequence[str] | None) -> dict[str, float]:
    """Return the objectives that the scores of the validation split come to; null: of all languages it has."""
    return objectives(
        scores.main,
        source_languages=scores.source_languages,
        languages=list(scores.main) if languages is None else languages,
    )


def dev_languages(
    objective: str | None,
    chosen: Sequence[str] | None,
    *,
    evaluated: Sequence[str],
    source_languages: Sequence[str],
    compare: bool,
) -> list[str]:
    """Return the dev languages where an objective is made of more than the source languages' scores; else none.

    To `compare` selections takes all evaluated languages. Raises UserError for `objective_languages` that are not
    evaluated, or not all where they must be, and where the objective is undefined on them.
    """
    languages = list(evaluated)
    if chosen is not None:
        languages = checked_languages(chosen, key="objective_languages", known=evaluated, of="data.languages")
    if objective == "target_dev" and set(languages) <= set(source_languages):
        raise UserError(
            f"objective=target_dev: all dev languages, {', '.join(languages)}, are trained on, so none is a target: "
            "give others with data.languages and objective_languages, or choose another objective"
        )
    if compare:
        if set(languages) != set(evaluated):
            raise UserError(
                f"objective_languages=[{','.join(languages)}] with checkpoint.compare=true, which selects by all "
                f"evaluated languages ({', '.join(evaluated)}): leave objective_languages out, or give fewer "
                "data.languages"
            )
        return languages
    return [] if objective in (None, "source_dev") else languages
