"""report.md: all that there is to say of scores as Markdown. Computes nothing but differences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babelfit.files import atomic_files
from babelfit.files.escaping import escaped
from babelfit.reports.words import (
    GROUPINGS,
    SHOWN,
    columns_of,
    consistency_lines,
    correlation,
    has,
    percent,
    rows_of,
    title,
    transfer_lines,
    warnings_of,
    within,
)
from babelfit.statistics.bootstrap import NUM_RESAMPLES


def write_report(folder: Path, *, all_scores: Sequence[Mapping[str, Any]], **told: Any) -> None:
    """Write report.md into a run folder."""
    atomic_files.write_text(folder / "report.md", markdown(all_scores, **told))


def markdown(
    all_scores: Sequence[Mapping[str, Any]],
    *,
    facts: Mapping[str, str],
    doubts: Sequence[str] = (),
    tokens: Sequence[Mapping[str, str]] = (),
    selections: str = "",
) -> str:
    """Return report.md: what was scored, what is wrong with the data, a section a split, what the numbers mean.

    `tokens` says what the tokenizer makes of each language, column to cell; `selections` is a section of its own.
    """
    lines = preamble("Cross-lingual report", all_scores=all_scores, facts=facts, doubts=doubts)
    for scores in all_scores:
        lines += ["", f"## {escaped(title(scores))}", ""]
        lines += [line for warning in warnings_of(scores) for line in (f"**{escaped(warning)}**", "")]
        columns = columns_of(scores)
        lines += [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
        lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows_of(scores)]
        lines += ["", *(f"- {escaped(line)}" for line in [*transfer_lines(scores), *consistency_lines(scores)])]
        lines += _group_tables(scores) + _alike_tables(scores)
    lines += ["", selections.rstrip()] if selections else []
    lines += _token_table(tokens)
    names = {SHOWN[scores["metric"]][scores["metric"]] for scores in all_scores}
    lines += [
        "",
        "## What the numbers mean",
        "",
        f"- **gap**: mean {' or '.join(sorted(names))} over the source languages less the mean over the target "
        "languages, in points (Hu et al. 2020, XTREME); 0 would be perfect transfer.",
        "- **retention**: the target mean as a share of the source mean.",
        "- Means are over languages, each counting the same.",
        *(_MEANINGS[name] for name in sorted(names)),
        *(meaning for key, meaning in _MEANINGS_OF_KEYS.items() if any(has(scores, key) for scores in all_scores)),
        *((_MEANING_OF_TOKENS,) if tokens else ()),
        "",
    ]
    return "\n".join(lines)


def preamble(
    heading: str, *, all_scores: Sequence[Mapping[str, Any]], facts: Mapping[str, str], doubts: Sequence[str]
) -> list[str]:
    """Begin a report: what is wrong with the data, and what was scored."""
    lines = [f"# {heading}", ""]
    if any(scores.get("synthetic") for scores in all_scores):
        lines += ["**Synthetic data.** The bundled sample shows how babelfit works, not how good a model is.", ""]
    lines += [line for doubt in doubts for line in (f"**Data.** {escaped(doubt)}", "")]
    return lines + [f"- {key}: {escaped(value)}" for key, value in facts.items()]


_MEANINGS = {
    "accuracy": "- **macro F1** is the mean over classes.",
    "span F1": "- **span F1**: a span counts with both borders and the type right; an I that begins a span is read as "
    "B, as conlleval and seqeval's default mode do. **strict F1** counts only spans that begin with B.",
}


_MEANINGS_OF_KEYS = {
    "interval": f"- **(low to high)** is the 95 % percentile interval of a bootstrap over examples (Efron 1979), "
    f"{NUM_RESAMPLES:,} resamples: where the number may lie with other examples of the same kind. In a parallel "
    "dataset the same items are drawn in every language, so that means and gap are those of new items; otherwise each "
    "language is drawn for itself. What another seed of training would change is not in it, and of a score of 0 or 100 "
    "it has no width, which is no certainty.",
    "ece": "- **ECE**, expected calibration error: how far the probability of the predicted label is from the share of "
    "right ones, on average, in 15 bins of equal width (Guo et al. 2017); 0 would be perfect.",
    "groups": "- **Groups** average the target languages that share a family (of Indo-European, the branch), a script, "
    "or a size in CC-100, XLM-R's pretraining corpus (Conneau et al. 2020); their intervals speak of other examples in "
    "the same languages, not of other languages of the group. rho is Spearman's rank correlation of score and size.",
    "consistency": "- **Answered alike**: the share of items for which the model predicts the same label in two "
    "languages, or in all of them, right or wrong.",
}

_MEANING_OF_TOKENS = (
    "- **Tokenizer**: subwords by word (what stands between spaces; in tagging what has a tag) and by character, of "
    "the examples that are not cut; lengths are those of sequences with special tokens."
)


def _group_tables(scores: Mapping[str, Any]) -> list[str]:
    """Lay out the groups of target languages for the page, a table a grouping."""
    lines: list[str] = []
    metric = SHOWN[scores["metric"]][scores["metric"]]
    for key, name in GROUPINGS.items():
        members = scores.get("groups", {}).get(key)
        if not members:
            continue
        lines += ["", f"| {name} | languages | mean {metric} | to source |", "|---|---|---:|---:|"]
        for group, values in members.items():
            gap = "" if values["gap"] is None else f"{-100 * values['gap']:+.1f}"
            mean = f"{percent(values['mean'])}{within(values.get('interval'))}"
            cells = (group, " ".join(values["languages"]), mean, gap)
            lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
        if key == "pretraining" and (found := correlation(scores)):
            lines += ["", f"- size and score{found.replace(';', ':')}"]
    return lines


def _alike_tables(scores: Mapping[str, Any]) -> list[str]:
    """Lay out, for the page, which share of items each pair of languages answers alike, of all and of right ones."""
    found = scores.get("consistency")
    if found is None:
        return []
    languages = [escaped(language) for language in found["languages"]]
    lines = []
    for key, name in (("alike", "answered alike"), ("alike_if_right", "the same, of those right in")):
        lines += ["", f"| {name} | {' | '.join(languages)} |", f"|---|{'---:|' * len(languages)}"]
        for language, shares in zip(languages, found.get(key, ()), strict=False):
            cells = ["" if share is None else percent(share) for share in shares]
            lines.append(f"| {language} | {' | '.join(cells)} |")
    return lines


def _token_table(tokens: Sequence[Mapping[str, str]]) -> list[str]:
    if not tokens:
        return []
    lines = ["", "## Tokenizer", "", f"| {' | '.join(map(escaped, tokens[0]))} |"]
    lines.append(f"|---|---|{'---:|' * (len(tokens[0]) - 2)}")
    return lines + [f"| {' | '.join(map(escaped, row.values()))} |" for row in tokens]
