"""model/README.md: a run's model card, whose metadata the Hub reads. Says what the scores say, and computes nothing."""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from babelfit.config.schema import TrainConfig
from babelfit.datasets import DATASETS as DATA
from babelfit.files import atomic_files
from babelfit.files.escaping import escaped
from babelfit.languages.facts import LANGUAGE_NAMES
from babelfit.reports import words
from babelfit.reports.words import SHOWN, percent, perplexity

log = logging.getLogger(__name__)

TASKS = {
    "sequence_classification": "text-classification",
    "token_classification": "token-classification",
    "masked_language_modeling": "fill-mask",
}
COLUMNS = SHOWN | {"log_likelihood": {"perplexity": "perplexity", "accuracy": "accuracy"}}
_MARK = re.compile(r"\n<!-- babelfit ([0-9a-f]{64}): without this line, the file is never written anew -->\n\Z")


def write_card(
    model: Path,
    *,
    config: TrainConfig,
    all_scores: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
    doubts: Sequence[str],
    revision: str | None,
) -> None:
    """Write the card of a run's model, unless somebody else wrote or changed the one that is there.

    `revision` is the commit of the dataset on the Hub, where the rows came from there.
    """
    path = model / "README.md"
    if path.exists() and not _is_ours(path.read_text(encoding="utf-8", errors="replace")):
        log.info("%s was written or changed by hand, and stays as it is", path)
        return
    metadata = _metadata(config, all_scores=all_scores, revision=revision)
    body = _body(config, all_scores=all_scores, facts=facts, doubts=doubts)
    text = f"---\n{metadata.to_yaml(line_break=chr(10))}\n---\n\n{body}"
    atomic_files.write_text(
        path, f"{text}\n<!-- babelfit {_digest(text)}: without this line, the file is never written anew -->\n"
    )


def _is_ours(text: str) -> bool:
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata(config: TrainConfig, *, all_scores: Sequence[Mapping[str, Any]], revision: str | None) -> ModelCardData:
    data = DATA[config.data.name]
    scored = dict.fromkeys(language for scores in all_scores for language in scores["languages"])
    is_synthetic = any(scores.get("synthetic") for scores in all_scores)
    path = config.encoder.path
    on_the_hub = config.encoder.pretrained and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path) and not Path(path).exists()
    return ModelCardData(
        model_name=config.name,
        # Of the data and of the encoder it follows which one it may be: the user's to say.
        license="unknown",
        library_name="transformers",
        pipeline_tag=TASKS[data.head],
        base_model=path if on_the_hub else None,
        language=list(dict.fromkeys([*config.data.train_languages, *scored])),
        datasets=[data.hub_repo] if data.hub_repo and not is_synthetic else None,
        metrics=sorted({metric for scores in all_scores for metric in _metrics(scores)}),
        tags=["babelfit", "cross-lingual"],
        eval_results=[result for scores in all_scores for result in _results(scores, config=config, revision=revision)]
        or None,
    )


def _metrics(scores: Mapping[str, Any]) -> list[str]:
    """List what is measured, by the names that it has on the Hub."""
    known = ("accuracy", "f1", "precision", "recall", "perplexity")
    return [metric for metric in COLUMNS[scores["metric"]] if metric in known]


def _results(scores: Mapping[str, Any], *, config: TrainConfig, revision: str | None) -> Iterator[EvalResult]:
    """Yield each language's scores, less those that are no measure: the model was trained on their rows."""
    data = DATA[config.data.name]
    contaminated = scores.get("contaminated", {}).get("languages", [])
    synthetic = bool(scores.get("synthetic"))
    for language, values in scores["languages"].items():
        for metric in _metrics(scores) if language not in contaminated else []:
            yield EvalResult(
                task_type=TASKS[data.head],
                dataset_type=f"babelfit-{data.data_name}-sample" if synthetic else data.hub_repo or data.data_name,
                dataset_name=f"{data.data_name}{', synthetic sample' if synthetic else ''} ({language})",
                dataset_config=language,
                dataset_split=scores["split"],
                dataset_revision=revision,
                metric_type=metric,
                metric_name=COLUMNS[scores["metric"]][metric],
                metric_value=round(values[metric], 4),
            )


def _body(
    config: TrainConfig, *, all_scores: Sequence[Mapping[str, Any]], facts: Mapping[str, str], doubts: Sequence[str]
) -> str:
    lines = [f"# {escaped(config.name)}", ""]
    if any(scores.get("synthetic") for scores in all_scores):
        lines += ["**Synthetic data.** The bundled sample shows how babelfit works, not how good a model is.", ""]
    lines += [line for doubt in doubts for line in (f"**Data.** {escaped(doubt)}", "")]
    told = dict(facts) | {"data": f"{config.data.name}, {config.data.train_split}"}
    lines += [f"- {name}: {escaped(value)}" for name, value in told.items()]
    for scores in all_scores:
        main, name = next(iter(COLUMNS[scores["metric"]].items()))
        number, unit = (perplexity, "") if main == "perplexity" else (percent, ", in percent")
        lines += ["", f"## {escaped(scores['data'])} {escaped(scores['split'])}", ""]
        if "contaminated" in scores:
            why = escaped(scores["contaminated"]["why"])
            lines += [f"**Contaminated:** the model was {why}. These scores are no measure of transfer.", ""]
        lines += [f"| language | {name}{unit} | 95 % interval | examples |", "|---|---:|---:|---:|"]
        for language, values in scores["languages"].items():
            interval = values.get("interval")
            within = f"{number(interval[0])} to {number(interval[1])}" if interval else ""
            named = escaped(f"{language} {LANGUAGE_NAMES.get(language, '')}".strip())
            lines.append(f"| {named} | {number(values[main])} | {within} | {values['examples']:,} |")
        if "transfer" in scores:
            lines += ["", *(f"- {escaped(line)}" for line in words.transfer_lines(scores))]
    kind = TASKS[DATA[config.data.name].head]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        f'pipeline("{kind}", model="FOLDER")',
        "```",
        "",
    ]
    return "\n".join(lines)
