"""Scores in words, in rows, and as a table. Asks the scores alone; computes nothing but differences."""

from collections.abc import Callable

from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports.sheets import Sheet
from babelfit.scoring.measure_facts import MeasureFacts
from babelfit.scoring.scores import Interval, LanguageScores, Scores
from babelfit.statistics.sums import NOT_ON_TERMINAL

SOURCE = "source"
"""Stands where other languages have their distance to the source mean."""

TRAINED = "trained"
"""Stands at the languages trained on, where there is no distance to them."""

GROUPINGS = {
    "family": "family",
    "script": "script",
    "pretraining": "size in XLM-R's pretraining corpus",
}


def sheet(scores: Scores, *, on_terminal: bool = False) -> Sheet:
    """Lay out one split's scores: a row a language, the transfer numbers below."""
    warnings = warnings_of(scores)
    lines = [*transfer_lines(scores), *other_lines(scores)]
    if on_terminal:
        lines = [*warnings, *transfer_lines(scores), *_group_lines(scores), *other_lines(scores)]
    return Sheet(
        title=title(scores),
        columns=columns_of(scores, on_terminal=on_terminal),
        rows=rows_of(scores, on_terminal=on_terminal),
        before=() if on_terminal else warnings,
        after=lines,
        bold={number for number, one in enumerate(scores.languages) if one in scores.source_languages},
    )


def title(scores: Scores) -> str:
    """Return which scores a table has, and in what they are written where that must be said."""
    unit = scores.headline.how.title
    return ", ".join([named_data(scores.data, is_synthetic=scores.synthetic), scores.split, *([unit] if unit else [])])


def named_data(data: str, *, is_synthetic: bool) -> str:
    """Return the name of a dataset, and whether it is the bundled sample."""
    return f"{data} (synthetic sample)" if is_synthetic else data


def named(language: str) -> str:
    """Return the code and the name of a language, as far as it has one."""
    return f"{language} {LANGUAGE_NAMES.get(language, '')}".strip()


def measures_of(scores: Scores, *, on_terminal: bool = False) -> list[MeasureFacts]:
    """Return the measures that have a column, the one with an interval first."""
    hidden = ("nowhere", NOT_ON_TERMINAL) if on_terminal else ("nowhere",)
    return [measure for measure in scores.measures if measure.shown not in hidden]


def columns_of(scores: Scores, *, on_terminal: bool = False) -> tuple[str, ...]:
    """Return the columns of a split's table."""
    return (
        "language",
        *(measure.title for measure in measures_of(scores, on_terminal=on_terminal)),
        *(("masked",) if counts_masked(scores) else ()),
        scores.examples_name,
        *(("ECE",) if scores.calibrated else ()),
        *(("to source",) if scores.transfer is not None else () if on_terminal else ("",)),
    )


def rows_of(scores: Scores, *, on_terminal: bool = False) -> list[tuple[str, ...]]:
    """Return a split's scores as cells of text, a row a language."""
    return [
        (
            named(language),
            *(score_cell(scores, values, one) for one in measures_of(scores, on_terminal=on_terminal)),
            *((f"{values.masked or 0:,}",) if counts_masked(scores) else ()),
            examples_cell(values),
            *(("" if values.ece is None else percent(values.ece),) if scores.calibrated else ()),
            *(() if scores.transfer is None and on_terminal else (trained_cell(scores, language),)),
        )
        for language, values in scores.languages.items()
    ]


def counts_masked(scores: Scores) -> bool:
    """Return whether scores are of masked tokens, which have a column of their own."""
    return any(values.masked is not None for values in scores.languages.values())


def score_cell(scores: Scores, values: LanguageScores, measure: MeasureFacts) -> str:
    """Return a language's score, with its interval where it has one."""
    interval = within(values.interval, measure.how.text) if measure == scores.headline else ""
    return f"{measure.how.text(values.values[measure.key])}{interval}"


def examples_cell(values: LanguageScores) -> str:
    """Return how many examples were scored, and how many could not be."""
    return f"{values.examples:,}" + (f"\n+ {values.unlabelled:,} without label" if values.unlabelled else "")


def distance(scores: Scores, language: str) -> float | None:
    """Return how far a language is above the source mean; None where there is none."""
    if scores.transfer is None or scores.transfer.source is None:
        return None
    return scores.main[language] - scores.transfer.source


def trained_cell(scores: Scores, language: str) -> str:
    """Return that a language was trained on, or its distance to the mean of those that were."""
    if language in scores.source_languages:
        return TRAINED if scores.transfer is None else SOURCE
    away = distance(scores, language)
    return "" if away is None else scores.measure.how.difference(away)


def transfer_lines(scores: Scores) -> list[str]:
    """Return the transfer numbers in words, leaving out what is undefined."""
    transfer = scores.transfer
    if transfer is None:
        return []
    how, intervals = scores.measure.how, transfer.intervals
    lines = []
    if transfer.source is not None:
        sources = ", ".join(one for one in scores.source_languages if one in scores.languages)
        inside = "; ".join(filter(None, [span(intervals.get("source"), how.text), sources]))
        lines.append(f"source mean {how.text(transfer.source)} ({inside})")
    if transfer.target_mean is not None:
        mean = how.text(transfer.target_mean)
        lines.append(f"target mean {mean}{within(intervals.get('target_mean'), how.text)}")
    if transfer.gap is not None:
        gap = f"{how.text(transfer.gap)} {how.of_differences}".rstrip()
        lines.append(f"gap {gap}{within(intervals.get('gap'), how.text)}")
    if transfer.retention is not None:
        lines.append(f"retention {percent(transfer.retention)} %{within(intervals.get('retention'), percent)}")
    if transfer.worst is not None:
        lines.append(f"worst target {how.text(transfer.worst.score)} ({transfer.worst.language})")
    return lines


def _group_lines(scores: Scores) -> list[str]:
    """Return the means of groups of target languages, a line a grouping."""
    lines = []
    for key, name in GROUPINGS.items():
        members = scores.groups.by(key) if scores.groups is not None else {}
        if members:
            means = ", ".join(f"{group} {scores.measure.how.text(one.mean)}" for group, one in members.items())
            lines.append(f"by {name}: {means}{correlation(scores) if key == 'pretraining' else ''}")
    return lines


def correlation(scores: Scores) -> str:
    """Return how score and size go together; nothing where too few languages tell."""
    found = None if scores.groups is None else scores.groups.size_correlation
    return "" if found is None else f"; rho {found.spearman:+.2f} over {found.languages} languages"


def other_lines(scores: Scores) -> list[str]:
    """Return what else there is to say below the scores of a split."""
    vocabulary = scores.vocabulary
    guessed = [] if vocabulary is None else [f"each masked token is guessed from {vocabulary}"]
    return [*consistency_lines(scores), *guessed]


def consistency_lines(scores: Scores) -> list[str]:
    """Return which share of a parallel dataset's items is answered alike in all languages."""
    found = scores.consistency
    if found is None or found.all_alike is None or found.all_right is None:
        return []
    line = (
        f"answered alike in all {len(found.languages)} languages: {percent(found.all_alike)} % of "
        f"{found.items:,} items, and right in all: {percent(found.all_right)} %"
    )
    for source, share in found.all_alike_if_right.items():
        if share is not None:
            line += f"; of those right in {source}, {percent(share)} % alike in all"
    lines = [line]
    if found.left_out:
        lines.append(f"{found.left_out:,} items left out: not every language has them, with gold")
    if found.different_gold.items:
        lines.append(f"gold differs by language in {found.different_gold.items:,} items")
    return lines


def warnings_of(scores: Scores) -> list[str]:
    """Return what a reader must know before believing a number."""
    warnings = []
    transfer, contaminated = scores.transfer, scores.contaminated
    if contaminated is not None and transfer is None:
        warnings.append(f"Contaminated: the model was {contaminated.why}.")
    elif contaminated is not None:
        languages = [one for one in scores.languages if one in contaminated.languages]
        warnings.append(
            f"Contaminated ({', '.join(languages)}): the model was {contaminated.why}. These scores, and "
            "what is computed from them, are no measure of transfer."
        )
    absent = [one for one in scores.source_languages if one not in scores.languages]
    if absent and transfer is not None and transfer.source is not None:
        warnings.append(f"The source mean is without {', '.join(absent)}, trained on and not scored here.")
    if scores.not_parallel is not None:
        warnings.append(f"Rows are not compared, and languages resampled each for itself: {scores.not_parallel}.")
    if scores.unscored_languages:
        warnings.append(f"Predicted and not scored, for want of gold labels: {', '.join(scores.unscored_languages)}")
    inactive = {one: values.inactive for one, values in scores.languages.items() if values.inactive}
    if inactive:
        numbers = ", ".join(f"{one} {number:,}" for one, number in inactive.items())
        warnings.append(
            "Masked tokens left out, for the active vocabulary of this run does not have them "
            f"({numbers}): scores of all tokens would be worse. With encoder.vocabulary=full none is left out."
        )
    return warnings


def span(interval: Interval | None, text: Callable[[float], str]) -> str:
    """Return an interval, its ends written by `text`; nothing where there is none."""
    return "" if interval is None else f"{text(interval[0])} to {text(interval[1])}"


def within(interval: Interval | None, text: Callable[[float], str]) -> str:
    """Return an interval in brackets, to follow its number; "" where there is none."""
    return "" if interval is None else f" ({span(interval, text)})"


def percent(share: float) -> str:
    """Return a share of 1 in percent, with one decimal."""
    return f"{100 * share:.1f}"
