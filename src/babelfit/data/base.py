"""What every dataset's DataModule does: find rows, tokenize them once, deal them out as ragged batches.

A dataset adds facts (languages, labels, row counts, layouts) and how a row becomes tokens; it never sees a model.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import ConcatDataset, DataLoader
from transformers import PreTrainedTokenizerFast

from babelfit import ranks, regimes
from babelfit.data import leaks, mixing, readers, sources, splits, texts, tokenization
from babelfit.data.batching import Array, Examples, token_ids
from babelfit.data.checks import check_place
from babelfit.data.few_shot import drawn
from babelfit.data.loaders import dataloader
from babelfit.data.masking import Masking
from babelfit.data.origin import Origin
from babelfit.data.splits import num_labelled, read_split
from babelfit.data.steps import EvaluationBatches, Steps, TrainingSteps
from babelfit.errors import UserError
from babelfit.languages import checked_languages

log = logging.getLogger(__name__)


class MultilingualDataModule(LightningDataModule, ABC):
    """One multilingual dataset: text, labels and languages, tokenized and cut into steps."""

    data_name: ClassVar[str]
    head: ClassVar[str]
    label_names: ClassVar[tuple[str, ...]]
    label_aliases: ClassVar[Mapping[str, str]] = {}
    known_rows: ClassVar[Mapping[str, Mapping[str, int]]]  # language -> split -> rows of a whole copy
    layouts: ClassVar[tuple[sources.Layout, ...]]
    is_parallel: ClassVar[bool]  # row i of every language is the same item
    written_in: ClassVar[str | None] = None  # the original training rows, of which the others are translations
    hub_repo: ClassVar[str | None] = None  # the dataset on the Hub, in one of the layouts
    hub_languages: ClassVar[tuple[str, ...]] = ()  # evaluated from the Hub, if nothing else is asked for
    masking: Masking | None = None  # of text alone, whose tokens are masked and guessed
    reset_positions: bool = False  # in the second sentence of a pair
    sample_languages: ClassVar[tuple[str, ...]] = ()
    sample_rows: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        *,
        folder: str | None,
        revision: str | None,
        train_languages: Sequence[str],
        languages: Sequence[str] | None,
        max_length: int,
        limit: Mapping[str, int | None],
        train_split: str,
        regime: str = "zero_shot",
        few_shot: Mapping[str, Any] | None = None,
        sampling_exponent: float | None = None,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        check_place(self, folder=folder, regime=regime, train_split=train_split)
        self.origin = Origin(
            self.data_name,
            folder=folder,
            repo=self.hub_repo,
            revision=revision,
            layouts=self.layouts,
            write_sample=self.write_sample,
            translated_into=self.written_in if regime == "translate_test" else None,
        )
        self.regime = regime
        self.train_split = train_split
        known = self.sample_languages if self.origin.is_sample else tuple(self.known_rows)
        train_languages = checked_languages(train_languages, key="train_languages", known=known, of=self.data_name)
        others = [language for language in known if language != self.written_in]
        self.train_languages = regimes.trained_languages(
            regime,
            train_languages,
            written_in=self.written_in,
            translated=self.origin.translated(others) if regime == "translate_train_all" else (),
            of=self.data_name,
        )
        if languages is None:
            languages = self.hub_languages if self.origin.is_hub else self.origin.evaluable(known)
        self.languages = checked_languages(languages, key="languages", known=known, of=self.data_name)
        self.few_shot_languages: list[str] = []  # target languages of which a few examples are trained on
        self.few_shot = few_shot or {}
        if regime == "few_shot":
            self.few_shot_languages = regimes.few_shot_languages(
                self.few_shot["languages"],
                evaluated=self.languages,
                source_languages=self.train_languages,
                known=known,
                of=self.data_name,
            )
        self.trained_languages = [*self.train_languages, *self.few_shot_languages]
        self.numbered_languages = list(dict.fromkeys([*self.languages, *self.trained_languages]))
        self.dev_languages: list[str] = []  # those of the objective, where it asks for more than the source languages
        self.max_length = max_length
        self.limit = limit
        self.tokenizer = tokenizer
        self.sampling_exponent = sampling_exponent
        self.batch_size = batch_size
        self.tokens_per_device = tokens_per_device
        self.seed = seed
        self._loading: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._pools: dict[tuple[str, ...], Examples] = {}
        self.read: dict[str, dict[str, Any]] = {}
        """What was read, for the manifest: split -> language -> files, rows, labels."""
        if tokens_per_device < max_length:
            raise UserError(
                f"trainer.tokens_per_device={tokens_per_device} is less than data.max_length={max_length}: "
                "one example must fit"
            )

    @staticmethod
    def write_sample(folder: Path) -> None:
        """Write the bundled synthetic sample in one of the layouts, for a dataset that has `sample_languages`."""

    @abstractmethod
    def encode(self, table: pa.Table) -> dict[str, Any]:
        """Turn rows of text into input_ids, token_type_ids where there are any, windows, targets and truncated."""

    def dropped(self, table: pa.Table) -> Mapping[str, pa.ChunkedArray]:
        """Say which rows are no examples: a mask for each reason."""
        return {}

    # Reading

    def download(self) -> None:
        """Download what a run reads where that comes from the Hub: training and dev data, and all that can be scored.

        Raises UserError where the data to train on are not there.
        """
        self.origin.folder(self.train_split, languages=self.trained_languages)
        self.origin.folder("validation", languages=self.numbered_languages)
        self.origin.folder("test", languages=self.languages)
        for language in self.trained_languages:
            self.origin.source(self.train_split, language)
        for language in self.train_languages:
            self.origin.source("validation", language)

    def has(self, split: str) -> bool:
        """Tell whether every evaluated language has a split with gold labels, all of them read and tokenized."""
        return len(self.origin.available(split, languages=self.languages)) == len(self.languages) and all(
            num_labelled(self.open(split, language)) > 0 for language in self.languages
        )

    def open(self, split: str, language: str) -> Dataset:
        """Open the tokenized rows of one language in one split, as many as the limit lets through.

        The split "train" is what is trained on, whichever split of the dataset that is.
        """
        key = (split, language)
        if key not in self._datasets:
            self._datasets[key], self.read.setdefault(split, {})[language] = self._opened(split, language)
        return self._datasets[key]

    def _opened(self, split: str, language: str) -> tuple[Dataset, dict[str, Any]]:
        theirs = self.train_split if split == "train" else split
        source = self.origin.source(theirs, language)
        few = None
        if split == "train" and language in self.few_shot_languages:
            label_names = self.label_names if self.head == "sequence_classification" else None
            few = partial(drawn, k=self.few_shot["k"], seed=self.seed, language=language, label_names=label_names)
        return read_split(
            source,
            tokenizer=self.tokenizer,
            fingerprint=self._fingerprint,
            label_names=self.label_names,
            max_length=self.max_length,
            limit=self.limit[split],
            encode=self.encode,
            dropped=self.dropped,
            draw=few,
            expected=self.sample_rows[theirs] if self.origin.is_sample else self.known_rows[language][theirs],
            # Of a part that the user asked for, or of the sample, which is as it is, nothing can be said.
            is_part=self.limit[split] is not None or self.origin.is_sample or few is not None,
        )

    def leaks(self) -> dict[str, dict[str, Any]]:
        """Look for rows of the splits read so far among those trained on, if these were read."""
        return leaks.find(self.read, opened=self._datasets, is_parallel=self.is_parallel)

    @cached_property
    def _fingerprint(self) -> dict[str, str]:
        """Hash what turns rows into tokens: the tokenizer, the dataset's own code and that of all datasets."""
        own = [cls.__module__ for cls in type(self).__mro__ if issubclass(cls, MultilingualDataModule)]
        common = [module.__name__ for module in (readers, sources, splits, texts, tokenization)]
        return {
            "tokenizer": tokenization.tokenizer_fingerprint(self.tokenizer),
            "code": tokenization.code_fingerprint([name for name in own if name != __name__] + common),
        }

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and tell its size and what was cut or dropped."""
        self.origin.folder(self.train_split if split == "train" else split, languages=languages)
        for language in languages if split == "train" else ():
            if missing := len(self.open(split, language)) - num_labelled(self.open(split, language)):
                raise UserError(f"{self.data_name} train {language}: {missing:,} rows have no label to train on")
        examples = self._examples(split, languages)
        is_plain = split != "train" or self.regime == "zero_shot"
        name = f"{self.data_name} {split}{'' if is_plain else f', {self.regime}'}"
        splits.tell(
            f"synthetic sample of {name}" if self.origin.is_sample else name,
            {language: self.read[split][language] for language in languages},
            num_tokens=int(examples.lengths.sum()),
            max_length=self.max_length,
            by_language=not is_plain,
        )
        if split == "train" and self.sampling_exponent is not None:
            mixed = mixing.in_words(self.trained_sizes, exponent=self.sampling_exponent)
            log.info("of each language, an epoch takes %s", mixed)

    @property
    def validated_languages(self) -> list[str]:
        """List what each validation reads, the source languages first."""
        return list(dict.fromkeys([*self.train_languages, *self.dev_languages]))

    def contamination(self, split: str, *, train_languages: Sequence[str]) -> dict[str, Any]:
        """Say what is wrong with the scores of a split that was trained on, and of which languages."""
        why = f"trained on the {split} split of {' and '.join(train_languages)}"
        if self.is_parallel:
            why += ", of which the other languages' rows are translations"
        return {"languages": list(self.known_rows) if self.is_parallel else list(train_languages), "why": why}

    def token_ids(self) -> tuple[Array, Array]:
        """Return the distinct token ids that training and its selection read, and those that the dev languages have."""
        read = [self.open("train", one) for one in self.trained_languages]
        read += [self.open("validation", one) for one in self.train_languages]
        ids = token_ids(read)
        if self.masking is not None:
            ids = np.union1d(ids, self.masking.mask_id)
        return ids, token_ids([self.open("validation", one) for one in self.dev_languages])

    def targets(self, split: str, language: str) -> Array:
        """Return the row of each target's example, as the split came: (targets,)."""
        dataset = self.open(split, language)
        return np.repeat(dataset.data["index"].to_numpy(), Examples([(0, dataset)]).num_targets)

    # Batches

    @property
    def steps_per_epoch(self) -> int:
        """Count the optimizer steps of one epoch."""
        return len(self.training_steps())

    @property
    def trained_sizes(self) -> dict[str, int]:
        """Count the examples of each language that is trained on."""
        return dict(zip(self.trained_languages, self._examples("train", self.trained_languages).sizes, strict=True))

    def training_steps(self, **share: int) -> TrainingSteps:
        """Lay out the optimizer steps, of `num_ranks` the share of `rank`."""
        return TrainingSteps(
            self._examples("train", self.trained_languages),
            batch_size=self.batch_size,
            tokens_per_device=self.tokens_per_device,
            seed=self.seed,
            exponent=self.sampling_exponent,
            **share,
        )

    def rows_of_step(self, step: int) -> str:
        """Say in words which rows an optimizer step is made of, counted from 1, and in which files they are."""
        steps = self.training_steps()
        return splits.rows_in_words(
            steps[divmod(step - 1, len(steps))].micro_batches,
            languages=self.numbered_languages,
            source_of=partial(self.origin.source, self.train_split),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Deal out this rank's share of one optimizer step a batch, from the step at which the trainer stands."""
        steps = self.training_steps(rank=ranks.rank(), num_ranks=ranks.world_size())
        sampler = Steps(steps_per_epoch=len(steps), steps_done=lambda: self.trainer.global_step)  # type: ignore[union-attr]
        return dataloader(steps, sampler=sampler, **self._loading)

    def val_dataloader(self) -> DataLoader[Any]:
        """Deal out the validation split of the source languages, and after it that of the other dev languages."""
        # Each in batches of its own: no objective changes a bit of the scores that select the checkpoint.
        pools = (self.train_languages, self.validated_languages[len(self.train_languages) :])
        batches = [self.evaluation_dataloader("validation", languages=pool).dataset for pool in pools if pool]
        return dataloader(ConcatDataset(batches), **self._loading)

    def evaluation_dataloader(self, split: str, *, languages: Sequence[str]) -> DataLoader[Any]:
        """Deal out this rank's share of a split in some languages, pooled, longest first."""
        batches = EvaluationBatches(
            self._examples(split, languages),
            tokens_per_device=self.tokens_per_device,
            rank=ranks.rank(),
            num_ranks=ranks.world_size(),
        )
        return dataloader(batches, **self._loading)

    def _examples(self, split: str, languages: Sequence[str]) -> Examples:
        # Kept, because the lengths of millions of rows are not worth reading for every question about steps.
        key = (split, *languages)
        if key not in self._pools:
            numbers = {language: number for number, language in enumerate(self.numbered_languages)}
            self._pools[key] = Examples(
                [(numbers[language], self.open(split, language)) for language in languages],
                masking=self.masking,
                reset_positions=self.reset_positions,
            )
        return self._pools[key]
