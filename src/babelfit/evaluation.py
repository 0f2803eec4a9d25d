"""From a model to predictions, one record per example per language, and from these to scores and report."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from babelfit.batches.ragged import NOBODY, Array, token_ids
from babelfit.config.schema import DataConfig, EvaluateConfig, TrainerConfig
from babelfit.data import MultilingualDataModule
from babelfit.devices import ranks
from babelfit.devices.launch import check_devices, num_workers
from babelfit.devices.trainer import build_trainer, stopped_by_keyboard
from babelfit.encoder.encoder import choose_kernels
from babelfit.encoder.loading import check_precision, files_read, load_tokenizer
from babelfit.encoder.vocabulary import take_active
from babelfit.errors import UserError
from babelfit.finetuning.building import build_data, chosen_split
from babelfit.finetuning.finetuner import Finetuner
from babelfit.heads import HEADS
from babelfit.heads.labels import label_order
from babelfit.heads.loading import load_fine_tuned
from babelfit.predictions import prediction_files
from babelfit.reports import words, writing
from babelfit.run import manifest
from babelfit.run.overlap import compare_added
from babelfit.run.run import Run, opened_evaluation
from babelfit.scoring import perplexity, scoring

log = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> None:
    """Score a run's model, or any Hugging Face folder or Hub id with a matching head."""
    if (config.run is None) == (config.model is None):
        raise UserError("give either run=FOLDER or model=FOLDER_OR_HUB_ID")
    run = None if config.run is None else Run.existing(Path(config.run))
    if run is not None:
        status = ranks.from_first(run.status)
        stands = f"{status['state']}{' (' + str(status['why']) + ')' if 'why' in status else ''}"
        if "selected" not in status or not run.model.exists():
            dropped = status["state"] == "complete"
            missing = "model any more: of a sweep, sweep.keep=best deletes all but the best" if dropped else "model yet"
            raise UserError(f"{run.folder} has no {missing}: its training is {stands}; start it again first")
        if status["state"] != "complete":
            log.warning("%s is %s: its training is over, its own evaluation is not", run.folder, stands)
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
    split = config.split or chosen_split(data)
    data.prepare(split, languages=data.languages)
    # Other data than the run's own are another evaluation: the run's folder speaks of one dataset.
    own = run is not None and config.data is None
    facts = _facts_of(model, trained_on=chosen) if run is None else ranks.from_first(run.facts)

    def opened() -> AbstractContextManager[Path]:
        return run.locked() if run is not None and own else opened_evaluation(config, data_name=data.data_name)

    with ranks.entered_by_first(opened) as folder:
        if run is not None and own:
            ranks.from_first(lambda: compare_added(run, data=data, split=split))
        evaluate_model(
            model,
            data=data,
            split=split,
            languages=data.languages,
            devices=config.trainer,
            precision=precision,
            folder=folder,
            trained_on=chosen if trained is None else trained.data,
            facts=facts,
            active=perplexity.active_ids(data, encoder=trained.encoder) if trained is not None and own else None,
        )


def _facts_of(model: str, *, trained_on: DataConfig) -> dict[str, str]:
    """Say what is known of a model that is no run of ours: what it was trained on is only what the user says."""
    if (Path(model).parent / "status.json").is_file():
        log.warning("%s belongs to a run, which knows what it was trained on: run=%s", model, Path(model).parent)
    sources = ", ".join(trained_on.train_languages)
    return {"model": model, "source languages": f"{sources}, as data.train_languages says; not checked"}


def evaluate_model(
    model: str,
    *,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    devices: TrainerConfig,
    precision: str,
    folder: Path,
    trained_on: DataConfig,
    facts: Mapping[str, str],
    active: Array | None = None,
) -> None:
    """Predict those of the languages that have no predictions yet, then score all that have, and report.

    Masked tokens are guessed from the `active` ids, which their model was trained on; None: from all.
    """

    def done_before() -> list[str]:
        manifest.add(folder, splits={}, model=files_read(model))
        return prediction_files.languages(folder, split=split)

    done = ranks.from_first(done_before)
    missing = [language for language in languages if language not in done]
    if missing:
        columns = predict(
            model,
            data=data,
            split=split,
            languages=missing,
            devices=devices,
            precision=precision,
            folder=folder,
            active=active,
        )

    def told() -> None:
        write = write_predictions if data.masking is None else perplexity.write_records
        if missing:
            write(columns, model=model, data=data, split=split, languages=missing, folder=folder)
        report(data=data, split=split, folder=folder, trained_on=trained_on, facts=facts, active=active)

    ranks.from_first(told)


def predict(
    model: str,
    *,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    devices: TrainerConfig,
    precision: str,
    folder: Path,
    active: Array | None = None,
) -> dict[str, Array]:
    """Predict a split in some languages, each rank its share; return the columns of all on rank 0, in no order."""
    loaded = load_fine_tuned(HEADS[data.head], model, max_length=data.max_length)
    if active is not None:
        read = token_ids(data.open(split, language) for language in languages)
        take_active(loaded, active, only_validated=read)
    choose_kernels(loaded, attention_kernel=devices.attention, compiled=devices.compile)
    finetuner = Finetuner(
        loaded,
        head=data.head,
        languages=data.numbered_languages,
        source_languages=[],
        tokens_per_device=devices.tokens_per_device,
    )
    # Weights need no sharding where there is no optimizer: each rank has them whole.
    trainer = build_trainer(replace(devices, strategy="auto"), folder=folder, precision=precision, logger=False)
    with stopped_by_keyboard(trainer):
        loader = data.evaluation_dataloader(split, languages=languages)
        trainer.predict(finetuner, loader, return_predictions=False)
    batches = finetuner.predicted
    share = {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}
    if data.masking is None:
        order = label_order(loaded.config, label_names=data.label_names, aliases=data.label_aliases)
        share["probabilities"] = share.pop("logits").to(torch.float64).softmax(-1)[:, order]
    somebody = share["language"] != NOBODY
    shares = ranks.gathered({name: column[somebody].numpy() for name, column in share.items()})
    return {name: np.concatenate([share[name] for share in shares]) for name in shares[0]} if shares else {}


def write_predictions(
    columns: Mapping[str, Array],
    *,
    model: str,
    data: MultilingualDataModule,
    split: str,
    languages: Sequence[str],
    folder: Path,
) -> None:
    """Write `predictions/<split>/<language>.jsonl`; raises UserError, with nothing written, for what is no number."""
    if not np.isfinite(columns["probabilities"]).all():
        raise UserError(f"{model} gives no numbers (NaN) for some examples: its training diverged; nothing was written")
    for language in languages:
        mine = np.flatnonzero(columns["language"] == data.numbered_languages.index(language))
        mine = mine[np.argsort(columns["index"][mine], kind="stable")]
        expected = data.targets(split, language)
        if not np.array_equal(columns["index"][mine], expected):
            raise RuntimeError(f"{language}: {len(mine)} predictions for {len(expected)} targets")
        records = (
            prediction_files.record(
                columns, rows, label_names=data.label_names, per_word=data.head == "token_classification"
            )
            for rows in np.split(mine, np.flatnonzero(np.diff(columns["index"][mine])) + 1)
        )
        prediction_files.write(prediction_files.path(folder, split=split, language=language), records)


def report(
    *,
    data: MultilingualDataModule,
    split: str,
    folder: Path,
    trained_on: DataConfig,
    facts: Mapping[str, str],
    active: Array | None = None,
    regime: str | None = None,
) -> None:
    """Score every language of a split that has predictions, and report.

    `regime` is that of a model whose training `trained_on` knows only the languages of.
    """
    whole = manifest.add(folder, splits=data.read, data=data.data_name, origin=data.origin.facts(), facts=dict(facts))
    read = whole["splits"][split]
    notes: dict[str, Any] = {"synthetic": True} if data.origin.is_sample else {}
    if trained_on.name == data.data_name and trained_on.train_split == split:
        notes["contaminated"] = data.contamination(split, train_languages=trained_on.train_languages)
    told: dict[str, Any] = {
        "notes": notes,
        "examples": {language: entry["examples"] for language, entry in read.items()},
        "dropped": {language: set(chain(*entry["dropped"].values())) for language, entry in read.items()},
    }
    if data.masking is not None:
        perplexity.report(folder, data=data, split=split, trained_on=trained_on, facts=facts, active=active, **told)
        return
    # How the rows are read is this evaluation's, how the model was trained is not.
    own = data.regime if "translate_test" in (data.regime, trained_on.regime) else trained_on.regime
    notes["regime"] = regime or own
    if notes["regime"] == "few_shot":
        notes["few_shot"] = asdict(trained_on.few_shot)
    scores = scoring.score(
        folder,
        data=data.data_name,
        split=split,
        head=data.head,
        label_names=data.label_names,
        is_parallel=data.is_parallel,
        source_languages=trained_on.train_languages,
        **told,
        cut=[language for language, entry in read.items() if manifest.is_cut(entry)],
    )
    if not scores["languages"]:
        log.warning(
            "predicted and not scored: %s %s has no gold labels; predictions: %s",
            data.data_name,
            split,
            folder / "predictions" / split,
        )
        return
    scoring.write(scores, folder)
    writing.write(folder, all_scores=scoring.read_all(folder), facts=facts)
    Console().print(words.table(scores))
