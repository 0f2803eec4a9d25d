"""How well a masked language model guesses held-out text: from records per example to scores and report.

Scored are tokens behind fixed masks (data/masking.py). Nothing is transferred from one language to another here, so
there are none of the numbers that scoring.py adds for tasks; nor are perplexities of different tokenizers comparable.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from babelfit.batches.ragged import Array
from babelfit.config.schema import DataConfig, EncoderConfig
from babelfit.data import MultilingualDataModule
from babelfit.errors import UserError
from babelfit.files import atomic_files, shapes
from babelfit.files.shapes import Each, Fields
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import MaskedPrediction
from babelfit.reports import writing
from babelfit.reports.markdown import preamble
from babelfit.reports.words import escaped, percent, perplexity
from babelfit.run import manifest
from babelfit.scoring import scoring
from babelfit.scoring.metrics import MAIN_METRIC
from babelfit.scoring.scoring import INTERVAL, NUMBER, SCHEMA
from babelfit.statistics import bootstrap

log = logging.getLogger(__name__)

METRIC = MAIN_METRIC["masked_language_modeling"]
SCORES = Fields(
    required={
        "schema": int,
        "data": str,
        "split": str,
        "metric": str,
        "source_languages": [str],
        "vocabulary": str,
        "languages": Each(
            of=Fields(
                required={METRIC: NUMBER, "perplexity": NUMBER, "accuracy": NUMBER, "masked": int, "examples": int},
                optional={"interval": INTERVAL, "inactive": int},
            )
        ),
    },
    optional={"synthetic": bool, "contaminated": Fields(required={"languages": [str], "why": str})},
)
"""What is read again of a file of scores."""

COLUMNS = ("language", "perplexity", "accuracy", "masked", "examples", "")

MEANINGS = (
    "- **perplexity**: e to the mean negative log-likelihood of a masked token, of which 1 would be perfect. Of each "
    "example, 15 % of the tokens that are not special are masked, at least one, and always the same ones, which are "
    "all shown as the mask token. Only perplexities with the same tokenizer over the same ids compare.",
    "- **accuracy**: the share of masked tokens, in percent, whose likeliest guess is right.",
    f"- **(low to high)** is the 95 % percentile interval of a bootstrap over examples (Efron 1979), "
    f"{bootstrap.NUM_RESAMPLES:,} resamples, each language for itself. What another seed of training would change is "
    "not in it.",
)


def active_ids(data: MultilingualDataModule, *, encoder: EncoderConfig) -> Array | None:
    """Say which ids masked tokens are guessed from in a training; None: from all of them, or there are none masked."""
    return data.token_ids()[0] if data.masking is not None and encoder.vocabulary == "active" else None


def write_records(
    columns: Mapping[str, Array],
    *,
    model: str,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    folder: Path,
) -> None:
    """Write `predictions/<split>/<language>.jsonl`; raises UserError, with nothing written, for what is no number."""
    if not np.isfinite(columns["nll"]).all():
        raise UserError(f"{model} gives no numbers (NaN) for some tokens: its training diverged; nothing was written")
    for language in languages:
        mine = columns["language"] == data.numbered_languages.index(language)
        indices, expected = data.masked(split, language)
        theirs = {name: column[mine] for name, column in columns.items()}
        file = prediction_files.path(folder, split=split, language=language)
        prediction_files.write(file, records(theirs, indices=indices, expected=expected))


def records(columns: Mapping[str, Array], *, indices: Array, expected: Array) -> list[MaskedPrediction]:
    """Sum up what a language's masked tokens came to in each example, of which `expected` says how many it has.

    `indices` are the examples' rows. Raises RuntimeError where tokens are missing or stand twice.
    """
    examples = np.searchsorted(indices, columns["index"])
    counted = np.bincount(examples, minlength=len(indices))
    if not np.array_equal(counted, expected):
        raise RuntimeError(f"{counted.sum():,} predictions for {expected.sum():,} masked tokens")
    is_active = columns["active"]

    def summed(values: Array) -> Array:
        return np.bincount(examples, weights=np.where(is_active, values, 0.0), minlength=len(indices))

    masked, right, nll = summed(is_active), summed(columns["right"]), summed(columns["nll"])
    return [
        MaskedPrediction(
            index=int(index), masked=int(masked[row]), right=int(right[row]), nll=float(nll[row]),
            inactive=int(expected[row] - masked[row]),
        )
        for row, index in enumerate(indices)
    ]  # fmt: skip


def score(
    folder: Path,
    *,
    data: str,
    split: str,
    source_languages: Sequence[str],
    vocabulary: str,
    examples: Mapping[str, int],
    dropped: Mapping[str, Collection[int]],
    notes: Mapping[str, Any],
) -> dict[str, Any]:
    """Score every language of a split that has records in a run folder, source languages first.

    `vocabulary` says in words which ids were to choose from; the rest is as in scoring.score.
    """
    found = prediction_files.languages(folder, split=split)
    scored = {}
    for language in sorted(found, key=lambda one: (one not in source_languages, one)):
        file = prediction_files.path(folder, split=split, language=language)
        theirs = prediction_files.read(
            file,
            MaskedPrediction,
            label_names=(),
            num_examples=examples.get(language),
            dropped=dropped.get(language, ()),
        )
        scored[language] = _score_language(theirs, file=file)
    return {
        "schema": SCHEMA,
        "data": data,
        **notes,
        "split": split,
        "metric": METRIC,
        "source_languages": list(source_languages),
        "vocabulary": vocabulary,
        "languages": scored,
        "resamples": {"number": bootstrap.NUM_RESAMPLES, "of": "examples of each language"},
    }


def _score_language(theirs: Sequence[MaskedPrediction], *, file: Path) -> dict[str, Any]:
    masked, right, inactive = (sum(getattr(one, of) for one in theirs) for of in ("masked", "right", "inactive"))
    if not masked:
        raise UserError(f"{file}: none of its masked tokens could be guessed, so there is no perplexity")
    counted = [one for one in theirs if one.masked]
    parts = bootstrap.Parts(
        indices=np.array([one.index for one in counted]),
        numerators=np.array([one.nll for one in counted]),
        denominators=np.array([one.masked for one in counted]),
    )
    between = bootstrap.interval(bootstrap.resampled({"": parts}, together=False)[""])
    return {
        METRIC: -parts.score,
        "perplexity": float(np.exp(parts.score)),
        "interval": None if between is None else [float(np.exp(end)) for end in between],
        "accuracy": right / masked,
        "masked": masked,
        "examples": len(theirs),
        **({"inactive": inactive} if inactive else {}),
    }


def report(
    folder: Path,
    *,
    data: MultilingualDataModule,
    split: str,
    trained_on: DataConfig,
    facts: Mapping[str, str],
    active: Array | None,
    **told: Any,
) -> None:
    """Score a split and write report.md into a run folder, and show the scores; the rest is as in `score`."""
    scores = score(
        folder,
        data=data.data_name,
        split=split,
        source_languages=trained_on.train_languages,
        vocabulary=f"all {len(data.tokenizer):,} ids"
        if active is None
        else f"the {len(active):,} ids of the text read",
        **told,
    )
    doubts = manifest.doubts(manifest.read(folder))
    scoring.write(scores, folder)
    all_scores = read_all(folder)
    atomic_files.write_text(folder / "report.md", markdown(all_scores, facts=facts, doubts=doubts))
    writing.write_card(folder, all_scores=all_scores, facts=facts)
    Console().print(table(scores))
    log.info("report: %s", folder / "report.md")


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Read the scores of every split in a run folder; raises UserError for what is none."""
    return [_read(file) for file in sorted((folder / "scores").glob("*.json"))]


def _read(file: Path) -> dict[str, Any]:
    try:
        scores: dict[str, Any] = shapes.loads(file.read_text(encoding="utf-8"))
        shapes.check(scores, SCORES, where="it")
        if scores["schema"] != SCHEMA or scores["metric"] != METRIC:
            raise ValueError(f"schema {scores['schema']} and metric {scores['metric']!r} are not known here")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} holds no scores ({error}): delete it, and evaluating again writes it anew") from error
    return scores


def table(scores: Mapping[str, Any]) -> Table:
    """Lay out one split's scores for the terminal: a row a language, in bold those trained on."""
    laid_out = Table(
        title=escape(_title(scores)),
        caption=Text("\n".join([*_warnings(scores), *_lines(scores)]), justify="left"),
        caption_justify="left",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    language, *numbers, _ = COLUMNS
    laid_out.add_column(language, overflow="fold")
    for column in numbers:
        laid_out.add_column(column, justify="right", no_wrap=True)
    for *cells, trained in _rows(scores):
        laid_out.add_row(*(escape(cell) for cell in cells), style="bold" if trained else None)
    return laid_out


def markdown(all_scores: Sequence[Mapping[str, Any]], *, facts: Mapping[str, str], doubts: Sequence[str] = ()) -> str:
    """Write report.md: what was scored, a section a split, what the numbers mean."""
    lines = preamble("Masked tokens of held-out text", all_scores=all_scores, facts=facts, doubts=doubts)
    for scores in all_scores:
        lines += ["", f"## {escaped(_title(scores))}", ""]
        lines += [line for warning in _warnings(scores) for line in (f"**{escaped(warning)}**", "")]
        lines += [f"| {' | '.join(COLUMNS)} |", f"|---|{'---:|' * (len(COLUMNS) - 1)}"]
        lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in _rows(scores)]
        lines += ["", *(f"- {escaped(line)}" for line in _lines(scores))]
    return "\n".join([*lines, "", "## What the numbers mean", "", *MEANINGS, ""])


def _title(scores: Mapping[str, Any]) -> str:
    return f"{scores['data']}{' (synthetic sample)' if scores.get('synthetic') else ''}, {scores['split']}"


def _rows(scores: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for language, values in scores["languages"].items():
        within = values.get("interval")
        rows.append(
            (
                f"{language} {LANGUAGE_NAMES.get(language, '')}".strip(),
                perplexity(values["perplexity"])
                + (f" ({perplexity(within[0])} to {perplexity(within[1])})" if within else ""),
                percent(values["accuracy"]),
                f"{values['masked']:,}",
                f"{values['examples']:,}",
                "trained" if language in scores["source_languages"] else "",
            )
        )
    return rows


def _lines(scores: Mapping[str, Any]) -> list[str]:
    """Say what a perplexity is over."""
    return [f"each masked token is guessed from {scores['vocabulary']}"]


def _warnings(scores: Mapping[str, Any]) -> list[str]:
    """Say what a reader must know before believing a number."""
    warnings = []
    if "contaminated" in scores:
        warnings.append(f"Contaminated: the model was {scores['contaminated']['why']}.")
    inactive = {one: values["inactive"] for one, values in scores["languages"].items() if "inactive" in values}
    if inactive:
        told = ", ".join(f"{one} {number:,}" for one, number in inactive.items())
        warnings.append(
            f"Masked tokens left out, for the active vocabulary of this run does not have them ({told}): scores of all "
            "tokens would be worse. With encoder.vocabulary=full none is left out."
        )
    return warnings
