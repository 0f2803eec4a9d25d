"""What every DataModule does with tokenized examples: open them once, deal them out as ragged batches.

What is read, and how text becomes tokens, is for those that inherit from it: of labelled datasets labelled.py says what
they have in common. None of them ever sees a model.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import ConcatDataset, DataLoader
from transformers import PreTrainedTokenizerFast

from babelfit.batches import mixing
from babelfit.batches.loaders import dataloader
from babelfit.batches.masking import Masking, num_fixed
from babelfit.batches.ragged import Array, Examples, gold_values, has_gold, token_ids
from babelfit.batches.steps import EvaluationBatches, Steps, TrainingSteps
from babelfit.data import splits
from babelfit.data.facts import DatasetFacts
from babelfit.devices import ranks
from babelfit.errors import UserError
from babelfit.rows.leaks import Leaks
from babelfit.rows.read import DatasetRead, Read, paths
from babelfit.tasks.task import Task

log = logging.getLogger(__name__)


class Place(Protocol):
    """Where the files of a DataModule come from."""

    @property
    def is_sample(self) -> bool: ...

    def facts(self) -> dict[str, str | None]: ...

    def available(self, split: str, *, languages: Sequence[str]) -> tuple[str, ...]: ...


class MultilingualDataModule(LightningDataModule, ABC):
    """Text in several languages, tokenized and cut into steps."""

    dataset: DatasetFacts
    train_split: str = "train"  # the split of the dataset that is trained on
    mask_share: float | None = None  # of text alone, whose tokens are masked and guessed
    reset_positions: bool = False  # in the second sentence of a pair

    origin: Place

    def __init__(
        self,
        *,
        train_languages: Sequence[str],
        languages: Sequence[str],
        few_shot_languages: Sequence[str] = (),
        regime: str = "zero_shot",
        max_length: int,
        limit: Mapping[str, int | None],
        sampling_exponent: float | None,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
        num_workers: int,
        pin_memory: bool,
        vocabulary: str = "full",
    ) -> None:
        """Take the settings of a configuration; with an `active` vocabulary, masks put in no id that is not read."""
        super().__init__()
        self.train_languages = list(train_languages)
        self.languages = list(languages)
        self.few_shot_languages = list(few_shot_languages)  # target languages of which a few examples are trained on
        self.regime = regime
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
        self._vocabulary = vocabulary
        self._loading: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._pools: dict[tuple[str, ...], Examples] = {}
        self.read: dict[str, dict[str, Read]] = {}
        """What was read, for the manifest, by split and language."""
        if tokens_per_device < max_length:
            raise UserError(
                f"trainer.tokens_per_device={tokens_per_device} is less than data.max_length={max_length}: "
                "one example must fit"
            )

    @property
    def data_name(self) -> str:
        """Return the name of the dataset."""
        return self.dataset.name

    @property
    def task(self) -> Task:
        """Return what its examples are."""
        return self.dataset.task

    # Reading

    @abstractmethod
    def download(self) -> None:
        """Download what a run reads where that comes from the Hub; raises UserError where there is none to train on."""

    @abstractmethod
    def has(self, split: str) -> bool:
        """Return whether every evaluated language has a split that can be scored, all of them read and tokenized."""

    @abstractmethod
    def has_gold(self, split: str, language: str) -> bool:
        """Return whether a language's examples of a split can be scored, and a checkpoint chosen by them."""

    @abstractmethod
    def _opened(self, split: str, language: str) -> tuple[Dataset, Read]:
        """Read one language of one split, tokenized, as many as the limit lets through; return also what was read."""

    def open(self, split: str, language: str) -> Dataset:
        """Open the tokenized rows of one language in one split, as many as the limit lets through.

        The split "train" is what is trained on, whichever split of the dataset that is.
        """
        key = (split, language)
        if key not in self._datasets:
            self._datasets[key], self.read.setdefault(split, {})[language] = self._opened(split, language)
        return self._datasets[key]

    def leaks(self) -> Leaks:
        """Return the rows of the splits read so far that are among those trained on: none, where they are kept out."""
        return {}

    def facts(self) -> DatasetRead:
        """Return what a manifest says of the dataset, so that nobody has to know it by name."""
        return DatasetRead(
            data=self.data_name,
            task=self.task.name,
            labels=list(self.task.labels),
            aliases=dict(self.task.aliases),
            parallel=self.dataset.is_parallel,
            hub_repo=self.dataset.hub_repo,
            origin=self.origin.facts(),
        )

    def contamination(self, split: str, *, train_languages: Sequence[str]) -> tuple[list[str], str]:
        """Return the languages whose scores of a split that was trained on measure nothing, and why."""
        why = f"trained on the {split} split of {' and '.join(train_languages)}"
        return list(train_languages), why

    def check_selectable(self) -> None:
        """Raise UserError where the validation split of a source or a dev language has no gold, or is not there."""
        there = self.origin.available("validation", languages=self.validated_languages)
        for language in self.train_languages:
            if not self.has_gold("validation", language):
                raise UserError(
                    f"{paths(self.read['validation'][language])}: no gold labels to choose a checkpoint by, in "
                    f"{self.data_name} validation {language}; give a file with labels"
                )
        for language in self.dev_languages:
            if language not in there or not self.has_gold("validation", language):
                raise UserError(
                    f"{self.data_name} validation {language}: no gold labels, which the objective or "
                    "checkpoint.compare needs; give a file with labels, or leave this language out of "
                    "objective_languages (for checkpoint.compare: out of data.languages)"
                )

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and log its size and what was cut or dropped."""
        examples = self._examples(split, languages)
        self._tell(split, languages, num_tokens=int(examples.lengths.sum()))
        if split == "train" and self.sampling_exponent is not None:
            mixed = mixing.in_words(self.trained_sizes, exponent=self.sampling_exponent)
            log.info("examples per epoch: %s", mixed)

    @abstractmethod
    def _tell(self, split: str, languages: Sequence[str], *, num_tokens: int) -> None:
        """Log the size of a split in some languages, and what was cut or dropped."""

    @property
    def validated_languages(self) -> list[str]:
        """Return the languages of each validation, the source languages first."""
        return list(dict.fromkeys([*self.train_languages, *self.dev_languages]))

    def token_ids(self) -> tuple[Array, Array]:
        """Return the distinct token ids that training and its selection read, and those that the dev languages have."""
        ids = self._read_ids
        if self.masking is not None:
            ids = np.union1d(ids, self.masking.mask_id)
        return ids, token_ids([self.open("validation", one) for one in self.dev_languages])

    @cached_property
    def _read_ids(self) -> Array:
        read = [self.open("train", one) for one in self.trained_languages]
        read += [self.open("validation", one) for one in self.train_languages]
        return token_ids(read)

    @cached_property
    def masking(self) -> Masking | None:
        """What masks tokens, None but for text; built when it is asked for, as replacements may be of what is read."""
        if self.mask_share is None:
            return None
        among = self._read_ids if self._vocabulary == "active" else None
        return Masking.of(self.tokenizer, share=self.mask_share, among=among)

    def known_gold(self, split: str, language: str) -> Array:
        """Return the gold of all targets that have it: (targets, ...); of text nothing, as that is its own gold."""
        columns = self.open(split, language).data
        if "gold" not in columns.column_names:
            return np.empty(0)
        gold = gold_values(pc.list_flatten(columns["gold"]))
        return np.asarray(gold[has_gold(gold)])

    def targets(self, split: str, language: str) -> tuple[Array, Array]:
        """Return the row of each example, as the split came, and how many targets it has in evaluation."""
        columns = self.open(split, language).data
        indices = columns["index"].to_numpy()
        if self.mask_share is None:
            return indices, pc.list_value_length(columns["targets"]).to_numpy()
        return indices, num_fixed(indices, counts=columns["maskable"].to_numpy().astype(np.int64))

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
            draw=self.masking,
            **share,
        )

    def rows_of_step(self, step: int) -> str:
        """Return in words which rows an optimizer step is made of, counted from 1, and in which files they are."""
        steps = self.training_steps()
        return splits.rows_in_words(
            steps[divmod(step - 1, len(steps))].micro_batches,
            languages=self.numbered_languages,
            read=self.read["train"],
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Deal out this rank's share of one optimizer step a batch, from the step at which the trainer stands."""
        steps = self.training_steps(rank=ranks.rank(), num_ranks=ranks.world_size())
        sampler = Steps(steps_per_epoch=len(steps), steps_done=lambda: self.trainer.global_step)  # type: ignore[union-attr]
        return dataloader(steps, sampler=sampler, **self._loading)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the batches of the validation split: source languages first, then the other dev languages."""
        # Each in batches of its own: no objective changes a bit of the scores that select the checkpoint.
        pools = (self.train_languages, self.validated_languages[len(self.train_languages) :])
        batches = [self.evaluation_dataloader("validation", languages=pool).dataset for pool in pools if pool]
        return dataloader(ConcatDataset(batches), **self._loading)

    def evaluation_dataloader(self, split: str, *, languages: Sequence[str]) -> DataLoader[Any]:
        """Return a loader of this rank's share of a split in some languages, pooled, longest first."""
        batches = EvaluationBatches(
            self._examples(split, languages),
            tokens_per_device=self.tokens_per_device,
            draw=self.masking,
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
                reset_positions=self.reset_positions,
            )
        return self._pools[key]
