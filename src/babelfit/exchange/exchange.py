"""Predictions of others in, ours out: checked against the data, scored and reported like any evaluation."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from babelfit import evaluation, tasks
from babelfit.config.regimes import UNKNOWN
from babelfit.config.schema import EvaluateConfig, TrainConfig
from babelfit.data import MultilingualDataModule
from babelfit.data.facts import DatasetFacts
from babelfit.datasets import DATASETS
from babelfit.datasets.building import build_data
from babelfit.encoder.loading import load_tokenizer
from babelfit.errors import UserError
from babelfit.exchange import prediction_formats
from babelfit.exchange.prediction_formats import TSV, XTREME
from babelfit.files import atomic_files
from babelfit.files.untrusted_files import check_folder
from babelfit.predictions import prediction_files
from babelfit.predictions.prediction_files import Record
from babelfit.run import manifest
from babelfit.run.manifest import Imported
from babelfit.run.run import opened_evaluation
from babelfit.scoring import schema_1
from babelfit.tasks import Task
from babelfit.tasks.text_answers import TextAnswer

log = logging.getLogger(__name__)


def import_predictions(
    given: Path,
    *,
    format: str,
    config: TrainConfig,
    data_folder: str,
    split: str,
    sources: Sequence[str],
    regime: str | None = None,
) -> Path:
    """Copy predictions to `outputs/<config.name>`, score them against the data, report, and return the folder.

    `given` is a file or a folder of files, one a language; `sources` are the languages that the model was trained on,
    and `regime` is what it saw of the target languages, as the user says. Nothing is written where a file does not fit
    the data: another number of rows or of words, an unknown label, other gold; nor where the folder has predictions
    from other files, or of a model with other sources. Raises UserError then, with file and line.
    """
    chosen = replace(config.data, folder=data_folder, train_languages=list(sources))
    facts = DATASETS[chosen.name].dataset
    _check_exchanged(facts.task, data=facts.name)
    files = _files(given, format=format, data=facts, split=split)
    data = build_data(
        chosen,
        head=facts.task.head,
        languages=list(files),
        # Of the rows only gold is needed; which tokenizer reads them does not matter.
        tokenizer=load_tokenizer(config.encoder.path),
        tokens_per_device=config.trainer.tokens_per_device,
    )
    records = {
        language: _records(file, format=format, data=data, split=split, language=language)
        for language, file in files.items()
    }
    # Files of one folder are predictions of one model, given at once or one by one.
    origin = given if given.is_dir() else given.parent
    asked = EvaluateConfig(
        run=None,
        model=str(origin),
        name=config.name,
        split=split,
        languages=list(files),
        data=chosen,
        head=config.head,
        trainer=config.trainer,
    )
    in_words = {
        "predictions": f"imported from {origin} ({format})",
        "source languages": f"{', '.join(sources)}, as --sources says; not checked",
        "regime": f"{regime}, as --regime says; not checked" if regime else "not known; --regime says it",
    }
    training = evaluation.Training(data=chosen, facts=in_words, regime=regime or UNKNOWN)
    with opened_evaluation(asked, data_name=data.data_name) as folder:
        _write(records, files=files, data=data, split=split, folder=folder)
        evaluation.report(data=data, split=split, folder=folder, training=training)
    return folder


def _write(
    records: Mapping[str, Sequence[Record]],
    *,
    files: Mapping[str, Path],
    data: MultilingualDataModule,
    split: str,
    folder: Path,
) -> None:
    """Write predictions, and where they come from; raise UserError for a folder that has those of other files."""
    # Before the first is written: it refuses to mix them with predictions from other files.
    imported = {
        language: Imported(path=str(file), sha256=atomic_files.sha256(file)) for language, file in files.items()
    }
    manifest.add(folder, splits=data.read, imported={split: imported})
    for language, theirs in records.items():
        prediction_files.write(prediction_files.path(folder, split=split, language=language), theirs)


def _check_exchanged(task: Task, *, data: str) -> None:
    """Raise UserError for a task whose answers stand in no files of text."""
    if not task.is_exchanged:
        raise UserError(f"{data} has no labels, so its predictions are neither imported nor exported")


def _files(given: Path, *, format: str, data: DatasetFacts, split: str) -> dict[str, Path]:
    """Return the file of each language; raise UserError where there is none."""
    if given.is_dir():
        check_folder(given)
    found: dict[str, Path] = {}
    patterns = [Path(_pattern(data.name, format=format, split=split))]
    patterns.append(Path(patterns[0].name))
    for language in data.rows:
        names = [Path(str(pattern).replace("{language}", language)) for pattern in patterns]
        places = [given / name for name in names] if given.is_dir() else [given] * (given.name == names[0].name)
        for place in places:
            if place.is_file():
                found.setdefault(language, place)
    known = set(found.values())
    others = [one for pattern in patterns for one in given.glob(str(pattern).replace("{language}", "*"))]
    for other in sorted(set(others) - known):
        log.warning(
            "%s is left out: %s has no such language, or the language has another file already", other, data.name
        )
    if not found:
        raise UserError(
            f"{given} has no predictions of {data.name} {split}: expected one file per language, named "
            f"{' or '.join(dict.fromkeys(map(str, patterns)))}, or the folder of them"
        )
    return found


def _pattern(data: str, *, format: str, split: str) -> str:
    """Return the pattern of a language's file; raise UserError where XTREME does not have the dataset."""
    if format == TSV:
        return f"{split}-{{language}}.tsv"
    # Only here is a dataset looked up by its name: it is one of XTREME's, or it is not.
    for layout in DATASETS[data].dataset.layouts if data in DATASETS else ():
        if layout.name == "XTREME":
            return str(layout.patterns[split])
    raise UserError(f"--format {XTREME}: XTREME does not have {data}; use --format {TSV}")


def _records(file: Path, *, format: str, data: MultilingualDataModule, split: str, language: str) -> list[Record]:
    """Return the record of each example of the data, from what a file says of it."""
    task = data.task
    given = prediction_formats.read(file, format=format, has_one_answer=task.has_one_answer)
    dataset = data.open(split, language)
    indices = dataset.data["index"].to_pylist()
    by_index = _by_index(given, file=file, indices=indices, num_rows=data.read[split][language].rows)
    records = []
    for index, gold in zip(indices, dataset.data["gold"].to_pylist(), strict=True):
        one = by_index[index]
        try:
            records.append(task.from_text(one, index=index, gold=gold, data=data.data_name))
        except ValueError as error:
            raise UserError(f"{one.where}: {error}") from error
    if num_odd := sum(_is_odd(task.as_text(record)) for record in records):
        log.warning(
            "%s: in %s of %s rows another label than the predicted one has the highest probability; are the columns "
            "named rightly?",
            file,
            f"{num_odd:,}",
            f"{len(records):,}",
        )
    return records


def _is_odd(answer: TextAnswer) -> bool:
    """Return whether something is predicted that is not the most probable one, as far as probabilities are known."""
    return any(
        predicted in shares and shares[predicted] < max(shares.values())
        for predicted, shares in zip(answer.predicted, answer.probabilities, strict=False)
    )


def _by_index(
    given: Sequence[TextAnswer], *, file: Path, indices: Sequence[int], num_rows: int
) -> dict[int, TextAnswer]:
    """Return the answer for each example: by index, or by place among all rows or among those that are examples."""
    by_index: dict[int, TextAnswer] = {}
    if given[0].index is None:
        if len(given) not in (num_rows, len(indices)):
            dropped = f", {len(indices):,} without those that are dropped" if len(indices) < num_rows else ""
            raise UserError(f"{file}: {len(given):,} predictions; the data have {num_rows:,} rows{dropped}")
        return dict(zip(range(num_rows) if len(given) == num_rows else indices, given, strict=True))
    for one in given:
        assert one.index is not None
        if one.index in by_index or one.index >= num_rows:
            why = "occurs twice" if one.index in by_index else f"is not one of the data's {num_rows:,} rows"
            raise UserError(f"{one.where}: index {one.index} {why}")
        by_index[one.index] = one
    missing = [index for index in indices if index not in by_index]
    if missing:
        raise UserError(f"{file}: no prediction for {len(missing):,} rows, the first is row {missing[0]}")
    return by_index


def export_predictions(folder: Path, *, format: str, to: Path, split: str | None) -> list[Path]:
    """Write the predictions of a run or an evaluation in another format, a file a language; return the files.

    Raises UserError where one of them exists, and for rows that the format cannot leave out: nothing is written then.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give the folder of a run or an evaluation, outputs/NAME")
    check_folder(folder)
    read = manifest.read(folder)
    known = schema_1.upgraded_manifest(read)
    if known.data is None or known.task is None:
        raise UserError(
            f"{folder}/manifest.json names no dataset (data: {known.data!r}): expected one of "
            f"{', '.join(schema_1.NAMES)}"
        )
    name, task = known.data, tasks.of_document(known.task, known.labels, where=folder / "manifest.json")
    _check_exchanged(task, data=name)
    predicted = [one for one in ("test", "validation") if prediction_files.languages(folder, split=one)]
    split = split or next(iter(predicted), None)
    if split not in predicted:
        raise UserError(f"{folder} has no predictions of {split or 'any split'}: evaluate it first")
    files = {
        language: to / _pattern(name, format=format, split=split).replace("{language}", language)
        for language in prediction_files.languages(folder, split=split)
    }
    for file in files.values():
        if file.exists():
            raise UserError(f"{file} exists: choose another --to, or move it away")
    # All before the first is written: half of an export would stand in the way of the next.
    texts = {}
    for language, file in files.items():
        entry = read.of(split, language)
        records = prediction_files.read_split(folder, task, split=split, language=language, rows=entry)
        answers = [task.as_text(record) for record in records]
        if format == TSV:
            texts[file] = prediction_formats.tsv(answers)
        else:
            texts[file] = prediction_formats.xtreme(
                answers,
                has_one_answer=task.has_one_answer,
                spellings=_spellings(task.labels, aliases=known.aliases),
                num_rows=entry.rows or None,
                where=file,
            )
    for file, text in texts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_files.write_text(file, text)
    log.info("%d files of %s %s in %s", len(files), name, split, to)
    return list(files.values())


def _spellings(labels: Sequence[str], *, aliases: Mapping[str, str]) -> dict[str, str]:
    """Return how a dataset's own files spell its labels, where they spell all of them otherwise: PAWS-X's 0 and 1."""
    spellings = {name: alias for alias, name in aliases.items()}
    return spellings if spellings.keys() == set(labels) else {}
