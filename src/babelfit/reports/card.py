"""model/README.md: a run's model card, whose metadata the Hub reads. Says what the scores say, and computes nothing."""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from babelfit import tasks
from babelfit.config.schema import LabelledConfig, TrainConfig
from babelfit.files import atomic_files
from babelfit.files.escaping import escaped
from babelfit.reports import words
from babelfit.reports.markdown import data_notes
from babelfit.reports.sheets import Sheet, markdown_table
from babelfit.scoring.scores import Scores
from babelfit.tasks.task import Task

log = logging.getLogger(__name__)

_MARK = re.compile(r"\n<!-- babelfit ([0-9a-f]{64}): without this line, the file is never written anew -->\n\Z")


def write_card(
    model: Path,
    *,
    config: TrainConfig,
    all_scores: Sequence[Scores],
    facts: Mapping[str, str],
    doubts: Sequence[str],
    hub_repo: str | None,
    revision: str | None,
) -> None:
    """Write the card of a run's model, unless somebody else wrote or changed the one that is there.

    `hub_repo` is the dataset on the Hub, and `revision` its commit, where the rows came from there.
    """
    path = model / "README.md"
    if path.exists() and not _is_ours(path.read_text(encoding="utf-8", errors="replace")):
        log.info("%s was written or changed by hand, and is left as it is", path)
        return
    task = tasks.of_document(all_scores[0].task, all_scores[0].labels)
    results = [
        result for scores in all_scores for result in _results(scores, task=task, hub_repo=hub_repo, revision=revision)
    ]
    metadata = _metadata(config, all_scores=all_scores, task=task, hub_repo=hub_repo, results=results)
    body = _body(config, all_scores=all_scores, facts=facts, doubts=doubts, pipeline=task.pipeline)
    text = f"---\n{metadata.to_yaml(line_break=chr(10))}\n---\n\n{body}"
    atomic_files.write_text(
        path, f"{text}\n<!-- babelfit {_digest(text)}: without this line, the file is never written anew -->\n"
    )


def _is_ours(text: str) -> bool:
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata(
    config: TrainConfig,
    *,
    all_scores: Sequence[Scores],
    task: Task,
    hub_repo: str | None,
    results: Sequence[EvalResult],
) -> ModelCardData:
    scored = dict.fromkeys(language for scores in all_scores for language in scores.languages)
    is_synthetic = any(scores.synthetic for scores in all_scores)
    path = config.encoder.path
    # A name without an owner is that of the bundled encoder, which the Hub does not have.
    on_the_hub = config.encoder.pretrained and re.fullmatch(r"[\w.-]+/[\w.-]+", path) and not Path(path).exists()
    return ModelCardData(
        model_name=config.name,
        # Of the data and of the encoder it follows which one it may be: the user's to say.
        license="unknown",
        library_name="transformers",
        pipeline_tag=task.pipeline,
        base_model=path if on_the_hub else None,
        language=list(dict.fromkeys([*config.data.train_languages, *scored])),
        datasets=[hub_repo] if hub_repo and not is_synthetic else None,
        metrics=sorted({measure.hub for measure in task.measures if measure.hub}),
        tags=["babelfit", "cross-lingual"],
        eval_results=[*results] or None,
    )


def _results(scores: Scores, *, task: Task, hub_repo: str | None, revision: str | None) -> Iterator[EvalResult]:
    """Yield each language's scores, less those that are no measure: the model was trained on their rows."""
    contaminated = [] if scores.contaminated is None else scores.contaminated.languages
    for language, values in scores.languages.items():
        for measure in task.measures if language not in contaminated else ():
            if measure.hub is None or measure.key not in values.values:
                continue
            yield EvalResult(
                task_type=task.pipeline,
                dataset_type=f"babelfit-{scores.data}-sample" if scores.synthetic else hub_repo or scores.data,
                dataset_name=f"{scores.data}{', synthetic sample' if scores.synthetic else ''} ({language})",
                dataset_config=language,
                dataset_split=scores.split,
                dataset_revision=revision,
                metric_type=measure.hub,
                metric_name=measure.title,
                metric_value=round(values.values[measure.key], 4),
            )


def _body(
    config: TrainConfig,
    *,
    all_scores: Sequence[Scores],
    facts: Mapping[str, str],
    doubts: Sequence[str],
    pipeline: str,
) -> str:
    lines = [f"# {escaped(config.name)}", "", *data_notes(all_scores, doubts=doubts)]
    split = config.data.train_split if isinstance(config.data, LabelledConfig) else "train"
    known = dict(facts) | {"data": f"{config.data.name}, {split}"}
    lines += [f"- {escaped(name)}: {escaped(value)}" for name, value in known.items()]
    for scores in all_scores:
        lines += _table(scores)
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        f'pipeline("{pipeline}", model="FOLDER")',
        "```",
        "",
    ]
    return "\n".join(lines)


def _table(scores: Scores) -> list[str]:
    """Lay out the scores of one split."""
    measure = scores.headline
    lines = ["", f"## {escaped(scores.data)} {escaped(scores.split)}", ""]
    if scores.contaminated is not None:
        why = escaped(scores.contaminated.why)
        lines += [f"**Contaminated:** the model was {why}. These scores are no measure of transfer.", ""]
    rows = [
        (
            words.named(language),
            measure.how.text(values.values[measure.key]),
            words.span(values.interval, measure.how.text),
            f"{values.examples:,}",
        )
        for language, values in scores.languages.items()
    ]
    title = ", ".join(filter(None, [measure.title, measure.how.title]))
    columns = ("language", title, "95 % interval", "examples")
    lines += markdown_table(Sheet(title=title, columns=columns, rows=rows))
    transfer = words.transfer_lines(scores)
    return lines + (["", *(f"- {escaped(line)}" for line in transfer)] if scores.transfer is not None else [])
