"""From a model to predictions, one record per example per language, and from these to scores and report."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from babelfit.batches.loaders import workers_explained
from babelfit.batches.ragged import NOBODY, Array, token_ids
from babelfit.changes.vocabulary import take_active
from babelfit.config.schema import DataConfig, EncoderConfig, EvaluateConfig, LabelledConfig, TrainerConfig
from babelfit.data import MultilingualDataModule
from babelfit.datasets.building import build_data, chosen_split
from babelfit.devices import preemption, ranks
from babelfit.devices.launch import check_devices, num_workers
from babelfit.devices.lightning import stopped_by_keyboard
from babelfit.devices.trainer import build_trainer
from babelfit.encoder.encoder import choose_kernels
from babelfit.encoder.loading import check_ids, check_precision, files_read, load_tokenizer
from babelfit.errors import UserError
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.progress import PredictionLines, without_a_bar
from babelfit.heads import HEADS
from babelfit.heads.labels import label_order
from babelfit.heads.loading import check_fine_tuned, load_fine_tuned
from babelfit.predictions import prediction_files
from babelfit.reports import sheets, words, writing
from babelfit.rows.read import RowsRead
from babelfit.run import exported, manifest
from babelfit.run.moved import Reads
from babelfit.run.overlap import compare_added
from babelfit.run.run import opened_evaluation
from babelfit.run.run_facts import facts_of
from babelfit.scoring import scores as score_files
from babelfit.scoring import scoring
from babelfit.scoring.scores import Contaminated, FewShotNote
from babelfit.scoring.scoring import SplitFacts

log = logging.getLogger(__name__)


@preemption.note_signals()
def evaluate(config: EvaluateConfig) -> None:
    """Score a run's model, or any Hugging Face folder or Hub id with a matching head."""
    if (config.run is None) == (config.model is None):
        raise UserError("give either run=FOLDER or model=FOLDER_OR_HUB_ID")
    run = None if config.run is None else exported.trained_run(Path(config.run))
    trained = None if run is None else run.config()
    chosen = config.data or (None if trained is None else trained.data)
    if chosen is None:
        raise UserError("model= needs the data to score it on: add data=xnli data.folder=FOLDER")
    precision = config.trainer.precision or ("32-true" if trained is None else str(trained.trainer.precision))
    model = str(run.model) if run is not None else str(config.model)
    check_precision(model, precision=precision)
    accelerator = check_devices(config.trainer, precision=precision)
    data = build_data(
        chosen,
        head=(config.head if trained is None or config.data is not None else trained.head).name,
        languages=config.languages or chosen.languages,
        tokenizer=load_tokenizer(model),
        tokens_per_device=config.trainer.tokens_per_device,
        # Draws the few examples that the run trained on.
        seed=0 if trained is None else trained.seed,
        num_workers=num_workers(config.trainer),
        pin_memory=accelerator == "gpu",
    )
    task = data.task
    check_ids(data.tokenizer, model, overrides={})
    check_fine_tuned(
        HEADS[task.head], model, label_names=task.labels, label_aliases=task.aliases, max_length=data.max_length
    )
    split = config.split or chosen_split(data)
    data.prepare(split, languages=data.languages)
    # Other data than the run's own are another evaluation: the run's folder speaks of one dataset.
    own = run is not None and config.data is None
    predictor = Predictor(
        model=model,
        devices=config.trainer,
        precision=precision,
        active=active_ids(data, encoder=trained.encoder) if trained is not None and own else None,
    )
    facts = _facts_of(model, trained_on=chosen) if run is None else ranks.from_first(lambda: facts_of(run))
    training = Training(data=chosen if trained is None else trained.data, facts=facts)

    def opened() -> AbstractContextManager[Path]:
        reads = Reads(splits=data.read, models={"model": lambda: files_read(model)})
        if run is not None and own:
            return run.locked()
        return opened_evaluation(config, data_name=data.data_name, reads=reads)

    with ranks.enter_on_first(opened) as folder:
        if run is not None and own:
            ranks.from_first(lambda: compare_added(run, data=data, split=split))
        evaluate_model(predictor, data=data, split=split, languages=data.languages, folder=folder, training=training)


def _facts_of(model: str, *, trained_on: DataConfig) -> dict[str, str]:
    """Return what is known of a model that is not a run: what it was trained on is only what the user says."""
    if (Path(model).parent / "status.json").is_file():
        log.warning("%s belongs to a run, which records what it was trained on: use run=%s", model, Path(model).parent)
    sources = ", ".join(trained_on.train_languages)
    return {"model": model, "source languages": f"{sources}, as data.train_languages says; not checked"}


def active_ids(data: MultilingualDataModule, *, encoder: EncoderConfig) -> Array | None:
    """Return the ids that masked tokens are guessed from in a training; None: from all, or there are none masked."""
    return data.token_ids()[0] if data.mask_share is not None and encoder.vocabulary == "active" else None


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model that predicts, and how it is run."""

    model: str  # a folder, or a Hub id
    devices: TrainerConfig
    precision: str
    active: Array | None = None  # the ids that masked tokens are guessed from; None: all


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is known of how a model was trained."""

    data: DataConfig
    facts: Mapping[str, str]  # what the reports say of it, in words
    regime: str | None = None  # of a model of which `data` knows the languages alone


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a model gave for the targets of a split, on rank 0: columns of (targets, ...) each, in no order."""

    columns: Mapping[str, Array]
    label_order: Sequence[int] | None  # which output of the model each label is


def evaluate_model(
    predictor: Predictor,
    *,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    folder: Path,
    training: Training,
) -> None:
    """Predict those of the languages that have no predictions yet, then score all that have, and report."""

    def done_before() -> list[str]:
        manifest.add(folder, model=files_read(predictor.model))
        return prediction_files.languages(folder, split=split)

    done = ranks.from_first(done_before)
    missing = [language for language in languages if language not in done]
    if missing:
        outputs = predict(predictor, data=data, split=split, languages=missing, folder=folder)

    def concluded() -> None:
        if missing:
            write_predictions(outputs, model=predictor.model, data=data, split=split, languages=missing, folder=folder)
        report(data=data, split=split, folder=folder, training=training, active=predictor.active)

    ranks.from_first(concluded)


def predict(
    predictor: Predictor, *, data: MultilingualDataModule, split: str, languages: Sequence[str], folder: Path
) -> Outputs:
    """Predict a split in some languages, each rank its share; return the outputs of all on rank 0."""
    head, devices = HEADS[data.task.head], predictor.devices
    loaded = load_fine_tuned(head, predictor.model, max_length=data.max_length)
    preemption.answer()
    order = None
    if data.task.labels:
        order = label_order(loaded.config, label_names=data.task.labels, aliases=data.task.aliases)
    if predictor.active is not None:
        read = token_ids(data.open(split, language) for language in languages)
        take_active(loaded, predictor.active, only_validated=read)
    choose_kernels(loaded, attention_kernel=devices.attention, compiled=devices.compile)
    finetuner = Finetuner(
        loaded,
        task=data.task,
        languages=data.numbered_languages,
        source_languages=[],
        tokens_per_device=devices.tokens_per_device,
    )
    # Weights need no sharding where there is no optimizer: each rank has them whole.
    trainer = build_trainer(
        replace(devices, strategy="auto"),
        folder=folder,
        precision=predictor.precision,
        callbacks=without_a_bar(PredictionLines()),
        logger=False,
    )
    with workers_explained(), stopped_by_keyboard(trainer):
        loader = data.evaluation_dataloader(split, languages=languages)
        trainer.predict(finetuner, loader, return_predictions=False)
    batches = finetuner.predicted
    share = {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}
    somebody = share["language"] != NOBODY
    shares = ranks.gather_to_first({name: column[somebody].numpy() for name, column in share.items()})
    columns = {name: np.concatenate([share[name] for share in shares]) for name in shares[0]} if shares else {}
    return Outputs(columns=columns, label_order=order)


def write_predictions(
    outputs: Outputs,
    *,
    model: str,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    folder: Path,
) -> None:
    """Write `predictions/<split>/<language>.jsonl`; raise UserError, with nothing written, for NaN."""
    task = data.task
    for column in outputs.columns.values():
        if np.issubdtype(column.dtype, np.floating) and not np.isfinite(column).all():
            raise UserError(
                f"{model} gives no numbers (NaN) for some {task.target}: its training diverged; nothing was written"
            )
    for language in languages:
        mine = np.flatnonzero(outputs.columns["language"] == data.numbered_languages.index(language))
        mine = mine[np.argsort(outputs.columns["index"][mine], kind="stable")]
        theirs = {name: column[mine] for name, column in outputs.columns.items()}
        indices, num_targets = data.targets(split, language)
        if not np.array_equal(theirs["index"], np.repeat(indices, num_targets)):
            raise RuntimeError(f"{language}: {len(mine):,} predictions for {num_targets.sum():,} {task.target}")
        answers = task.answers(theirs, indices=indices, order=outputs.label_order)
        file = prediction_files.path(folder, split=split, language=language)
        prediction_files.write(file, task.records(answers))
        preemption.answer()


def report(
    *,
    data: MultilingualDataModule,
    split: str,
    folder: Path,
    training: Training,
    active: Array | None = None,
) -> None:
    """Score every language of a split that has predictions, and report."""
    whole = manifest.add(folder, splits=data.read, dataset=data.facts(), facts=training.facts)
    scores = scoring.score(folder, _split_facts(whole.splits[split], data, split, training, active=active))
    if not scores.languages:
        log.warning(
            "predicted and not scored: %s %s has no gold labels; predictions: %s",
            data.data_name,
            split,
            folder / "predictions" / split,
        )
        return
    score_files.write(scores, folder)
    writing.write(folder, all_scores=score_files.read_all(folder), facts=training.facts)
    Console().print(sheets.terminal(words.sheet(scores, on_terminal=True)))


def _split_facts(
    read: Mapping[str, RowsRead],
    data: MultilingualDataModule,
    split: str,
    training: Training,
    *,
    active: Array | None,
) -> SplitFacts:
    """Return what is known of a split's predictions, given what the manifest says of its languages."""
    trained_on, contaminated, regime, few_shot = training.data, None, None, None
    if isinstance(trained_on, LabelledConfig):
        if trained_on.name == data.data_name and trained_on.train_split == split:
            languages, why = data.contamination(split, train_languages=trained_on.train_languages)
            contaminated = Contaminated(languages=languages, why=why)
        if data.task.compares_languages:
            # How the rows are read is this evaluation's, how the model was trained is not.
            own = data.regime if "translate_test" in (data.regime, trained_on.regime) else trained_on.regime
            regime = training.regime or own
        if regime == "few_shot":
            few_shot = FewShotNote(k=trained_on.few_shot.k, languages=trained_on.few_shot.languages)
    num_ids = len(data.tokenizer) if active is None else len(active)
    return SplitFacts(
        data=data.data_name,
        split=split,
        task=data.task,
        is_parallel=data.dataset.is_parallel,
        source_languages=trained_on.train_languages,
        read=read,
        synthetic=data.origin.is_sample,
        contaminated=contaminated,
        regime=regime,
        few_shot=few_shot,
        vocabulary=None
        if data.mask_share is None
        else f"{'all' if active is None else 'the'} {num_ids:,} ids{'' if active is None else ' of the text read'}",
    )
