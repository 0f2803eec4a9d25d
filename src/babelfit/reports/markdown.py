"""report.md: all that there is to say of scores as Markdown. Computes nothing but differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from babelfit import tasks
from babelfit.files.escaping import escaped
from babelfit.reports import summaries
from babelfit.reports.sheets import Sheet, markdown_table
from babelfit.reports.words import GROUPINGS, correlation, percent, sheet, title, warnings_of, within
from babelfit.scoring.scores import Scores
from babelfit.statistics.bootstrap import NUM_RESAMPLES


def markdown(
    all_scores: Sequence[Scores],
    *,
    facts: Mapping[str, str],
    doubts: Sequence[str] = (),
    tokens: Sequence[Mapping[str, str]] = (),
    selections: str = "",
) -> str:
    """Return report.md: what was scored, what is wrong with the data, a section a split, what the numbers mean.

    `tokens` says what the tokenizer makes of each language, column to cell; `selections` is a section of its own.
    """
    task = tasks.of_document(all_scores[0].task, all_scores[0].labels)
    lines = [f"# {task.report_title}", "", *data_notes(all_scores, doubts=doubts)]
    lines += [f"- {escaped(key)}: {escaped(value)}" for key, value in facts.items()]
    for scores in all_scores:
        lines += _section(scores)
    lines += ["", selections.rstrip()] if selections else []
    lines += _token_table(tokens)
    meanings = [f"- {measure.meaning}" for measure in task.measures if measure.meaning]
    lines += ["", "## What the numbers mean", "", *_meanings(all_scores, of_measures=meanings)]
    return "\n".join([*lines, *((_MEANING_OF_TOKENS,) if tokens else ()), ""])


def data_notes(all_scores: Iterable[Scores], *, doubts: Sequence[str]) -> list[str]:
    """Return lines that say what is wrong with the data."""
    lines = []
    if any(scores.synthetic for scores in all_scores):
        lines += ["**Synthetic data.** The bundled sample shows how babelfit works, not how good a model is.", ""]
    return lines + [line for doubt in doubts for line in (f"**Data.** {escaped(doubt)}", "")]


def _section(scores: Scores) -> list[str]:
    """Lay out the scores of one split."""
    lines = ["", f"## {escaped(title(scores))}", ""]
    lines += [line for warning in warnings_of(scores) for line in (f"**{escaped(warning)}**", "")]
    return [*lines, *_table(scores), *_group_tables(scores), *_alike_tables(scores)]


def _table(scores: Scores) -> list[str]:
    laid_out = replace(sheet(scores), bold=())
    return [*markdown_table(laid_out), "", *(f"- {escaped(line)}" for line in laid_out.after)]


def _group_tables(scores: Scores) -> list[str]:
    """Lay out the groups of target languages, a table a grouping."""
    lines: list[str] = []
    measure = scores.measure
    for key, name in GROUPINGS.items():
        members = scores.groups.by(key) if scores.groups is not None else {}
        if not members:
            continue
        rows = [
            (
                group,
                " ".join(one.languages),
                f"{measure.how.text(one.mean)}{within(one.interval, measure.how.text)}",
                "" if one.gap is None else measure.how.difference(-one.gap),
            )
            for group, one in members.items()
        ]
        columns = (name, "languages", f"mean {measure.title}", "to source")
        lines += ["", *markdown_table(Sheet(title=name, columns=columns, rows=rows, words={"languages"}))]
        if key == "pretraining" and (found := correlation(scores)):
            lines += ["", f"- size and score{found.replace(';', ':')}"]
    return lines


def _alike_tables(scores: Scores) -> list[str]:
    """Lay out which share of items each pair of languages answers alike, of all and of right ones."""
    if scores.consistency is None:
        return []
    found, left_out = summaries.least_alike(scores.consistency, sources=scores.source_languages)
    lines = [*(["", f"Shown are {left_out}; scores/{scores.split}.json has all."] if left_out else [])]
    for matrix, name in ((found.alike, "answered alike"), (found.alike_if_right, "the same, of those right in")):
        rows = [
            [language, *("" if share is None else percent(share) for share in shares)]
            for language, shares in zip(found.languages, matrix, strict=False)
        ]
        lines += ["", *markdown_table(Sheet(title=name, columns=(name, *found.languages), rows=rows))]
    return lines


def _token_table(tokens: Sequence[Mapping[str, str]]) -> list[str]:
    if not tokens:
        return []
    columns, rows = tuple(tokens[0]), [tuple(row.values()) for row in tokens]
    laid_out = Sheet(title="Tokenizer", columns=columns, rows=rows, words={columns[1]})
    return ["", "## Tokenizer", "", *markdown_table(laid_out)]


def _meanings(all_scores: Sequence[Scores], *, of_measures: Sequence[str]) -> list[str]:
    """Return what the numbers mean that stand in a report, and no others."""
    lines = []
    compared = [scores.measure for scores in all_scores if scores.transfer is not None]
    if compared:
        points = f", in {compared[0].how.of_differences}" if compared[0].how.of_differences else ""
        lines += [
            f"- **gap**: mean {compared[0].title} over the source languages less the mean over the target "
            f"languages{points} (Hu et al. 2020, XTREME); 0 would be perfect transfer.",
            "- **retention**: the target mean as a share of the source mean.",
            "- Means are over languages, each counting the same.",
        ]
    lines += of_measures
    if any(values.interval is not None for scores in all_scores for values in scores.languages.values()):
        lines.append(_meaning_of_intervals(all_scores[0]))
    if any(scores.calibrated for scores in all_scores):
        lines.append(_MEANING_OF_ECE)
    if any(scores.groups is not None for scores in all_scores):
        lines.append(_MEANING_OF_GROUPS)
    if any(scores.consistency is not None for scores in all_scores):
        lines.append(_MEANING_OF_CONSISTENCY)
    return lines


def _meaning_of_intervals(scores: Scores) -> str:
    first = (
        "- **(low to high)** is the 95 % percentile interval of a bootstrap over examples (Efron 1979), "
        f"{NUM_RESAMPLES:,} resamples"
    )
    if scores.transfer is None:
        return f"{first}, each language for itself. What another seed of training would change is not in it."
    # A share of 0 or 1 is the same in every resample.
    shares = ", and of a score of 0 or 100 it has no width, which is no certainty" if scores.headline.how.title else ""
    return (
        f"{first}: where the number may lie with other examples of the same kind. In a parallel dataset the same items "
        "are drawn in every language, so that means and gap are those of new items; otherwise each language is drawn "
        f"for itself. What another seed of training would change is not in it{shares}."
    )


_MEANING_OF_ECE = (
    "- **ECE**, expected calibration error: how far the probability of the predicted label is from the share of "
    "right ones, on average, in 15 bins of equal width (Guo et al. 2017); 0 would be perfect."
)
_MEANING_OF_GROUPS = (
    "- **Groups** average the target languages that share a family (of Indo-European, the branch), a script, "
    "or a size in CC-100, XLM-R's pretraining corpus (Conneau et al. 2020); their intervals speak of other examples in "
    "the same languages, not of other languages of the group. rho is Spearman's rank correlation of score and size."
)
_MEANING_OF_CONSISTENCY = (
    "- **Answered alike**: the share of items for which the model predicts the same label in two "
    "languages, or in all of them, right or wrong."
)
_MEANING_OF_TOKENS = (
    "- **Tokenizer**: subwords by word (what stands between spaces; in tagging what has a tag) and by character, of "
    "the examples that are not cut; lengths are those of sequences with special tokens."
)
