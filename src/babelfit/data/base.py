"""What every dataset's DataModule does: find rows, tokenize them once, deal them out as ragged batches.

A dataset adds facts (languages, labels, row counts, layouts) and how a row becomes tokens; it never sees a model.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from babelfit.data import sample, sources
from babelfit.data.batching import NO_LABEL, EvaluationBatches, Examples, Steps, TrainingSteps
from babelfit.data.tokenization import cache_folder, tokenized, tokenizer_fingerprint
from babelfit.errors import UserError

log = logging.getLogger(__name__)

SAMPLE = "sample"
"""The `data.folder` that names the bundled synthetic sample."""


class MultilingualDataModule(LightningDataModule, ABC):
    """One multilingual dataset: text, labels and languages, tokenized and cut into steps."""

    data_name: ClassVar[str]
    label_names: ClassVar[tuple[str, ...]]
    label_aliases: ClassVar[Mapping[str, str]]
    known_languages: ClassVar[tuple[str, ...]]
    known_rows: ClassVar[Mapping[str, int]]  # split -> rows in each language of a whole copy
    layouts: ClassVar[tuple[sources.Layout, ...]]
    sample_languages: ClassVar[tuple[str, ...]]
    sample_rows: ClassVar[Mapping[str, int]]

    def __init__(
        self,
        *,
        folder: str | None,
        train_languages: Sequence[str],
        languages: Sequence[str] | None,
        max_length: int,
        limit: Mapping[str, int | None],
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.is_sample = folder == SAMPLE
        known = self.sample_languages if self.is_sample else self.known_languages
        self.train_languages = _checked_languages(train_languages, known=known, name=self.data_name)
        self.languages = _checked_languages(known if languages is None else languages, known=known, name=self.data_name)
        self.numbered_languages = list(dict.fromkeys([*self.languages, *self.train_languages]))
        self.max_length = max_length
        self.limit = limit
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.tokens_per_device = tokens_per_device
        self.seed = seed
        self._folder = self._located(folder)
        self._tokenizer_fingerprint = tokenizer_fingerprint(tokenizer)
        self._datasets: dict[tuple[str, str], Dataset] = {}
        if tokens_per_device < max_length:
            raise UserError(
                f"trainer.tokens_per_device={tokens_per_device} is less than data.max_length={max_length}: "
                "one example must fit"
            )

    @staticmethod
    @abstractmethod
    def write_sample(folder: Path) -> None:
        """Write the bundled synthetic sample in one of the layouts."""

    @abstractmethod
    def encode(self, table: pa.Table) -> dict[str, Any]:
        """Turn rows of text into the columns input_ids (lists), truncated, and token_type_ids where there are any."""

    # Reading

    def has(self, split: str) -> bool:
        """Tell whether every evaluated language has a split with gold labels, all of them read and tokenized."""
        found = sources.available(self._folder, layouts=self.layouts, split=split, languages=self.languages)
        return set(found) == set(self.languages) and all(
            _num_labelled(self.open(split, language)) > 0 for language in self.languages
        )

    def open(self, split: str, language: str) -> Dataset:
        """Open the tokenized rows of one language in one split, as many as the limit lets through."""
        key = (split, language)
        if key not in self._datasets:
            self._datasets[key] = self._opened(split, language)
        return self._datasets[key]

    def _opened(self, split: str, language: str) -> Dataset:
        source = sources.find(
            self._folder, layouts=self.layouts, dataset=self.data_name, split=split, language=language
        )
        columns = [pa.field("input_ids", pa.list_(pa.int32()))]
        if "token_type_ids" in self.tokenizer.model_input_names:
            columns.append(pa.field("token_type_ids", pa.list_(pa.int32())))
        columns += [pa.field("label", pa.int32()), pa.field("index", pa.int64()), pa.field("truncated", pa.bool_())]
        label_ids = {name: label_id for label_id, name in enumerate(self.label_names)}

        def rows() -> pa.Table:
            table = source.read()
            return table.append_column("index", pa.array(np.arange(table.num_rows)))

        def encode(table: pa.Table) -> dict[str, Any]:
            labels = [label_ids.get(label, NO_LABEL) for label in table[sources.LABEL].to_pylist()]
            return {"label": labels, "index": table["index"], **self.encode(table)}

        dataset = tokenized(
            {
                "data": self.data_name,
                "rows": source.sha256(),
                "layout": source.layout.name,
                "language": language,
                "labels": self.label_names,
                "max_length": self.max_length,
                "tokenizer": self._tokenizer_fingerprint,
            },
            rows=rows,
            encode=encode,
            schema=pa.schema(columns),
            description=f"Tokenizing {self.data_name} {split} {language}",
        )
        seen = [self.label_names[label] for label in set(dataset.data["label"].unique().to_pylist()) - {NO_LABEL}]
        expected = (self.sample_rows if self.is_sample else self.known_rows)[split]
        for doubt in sources.check_rows(
            source, num_rows=len(dataset), seen=seen, expected=expected, labels=self.label_names
        ):
            log.warning("%s", doubt)
        limit = self.limit[split]
        return dataset if limit is None else dataset.select(range(min(limit, len(dataset))))

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and tell its size and what was cut."""
        examples, tokens, cut = 0, 0, {}
        for language in languages:
            dataset = self.open(split, language)
            examples += len(dataset)
            tokens += int(Examples([(0, dataset)]).lengths.sum())
            cut[language] = int(np.sum(dataset.data["truncated"].to_numpy()))
        cut_in = ", ".join(f"{language} {number:,}" for language, number in cut.items() if number)
        log.info(
            "%s%s %s: %s examples, %s tokens in %s; %s cut at %d subwords%s",
            "synthetic sample of " if self.is_sample else "",
            self.data_name,
            split,
            f"{examples:,}",
            f"{tokens:,}",
            " ".join(languages),
            f"{sum(cut.values()):,}",
            self.max_length,
            f" ({cut_in})" if cut_in else "",
        )

    # Batches

    @property
    def steps_per_epoch(self) -> int:
        """Count the optimizer steps of one epoch."""
        return len(self._training_steps())

    def _training_steps(self) -> TrainingSteps:
        examples = self._examples("train", self.train_languages)
        for language in self.train_languages:
            dataset = self.open("train", language)
            if (missing := len(dataset) - _num_labelled(dataset)) > 0:
                raise UserError(f"{self.data_name} train {language}: {missing:,} rows have no label to train on")
        return TrainingSteps(
            examples, batch_size=self.batch_size, tokens_per_device=self.tokens_per_device, seed=self.seed
        )

    def rows_of_step(self, step: int) -> str:
        """Say in words which rows an optimizer step is made of, counted from 1, and in which files they are."""
        steps = self._training_steps()
        batches = steps[divmod(step - 1, len(steps))].micro_batches
        numbers = np.concatenate([batch.languages for batch in batches])
        indices = np.concatenate([batch.indices for batch in batches])
        lines = []
        for number in np.unique(numbers):
            language = self.numbered_languages[number]
            files = sources.find(
                self._folder, layouts=self.layouts, dataset=self.data_name, split="train", language=language
            ).files
            rows = " ".join(str(index) for index in sorted(indices[numbers == number]))
            lines.append(f"  {language}: rows {rows} (counted from 0) of {', '.join(map(str, files))}")
        return "\n".join(lines)

    def train_dataloader(self) -> DataLoader[Any]:
        """Deal out one optimizer step a batch, from the step at which the trainer stands."""
        steps = self._training_steps()
        sampler = Steps(steps_per_epoch=len(steps), steps_done=lambda: self.trainer.global_step)  # type: ignore[union-attr]
        return DataLoader(steps, sampler=sampler, batch_size=None, collate_fn=_as_it_is)

    def val_dataloader(self) -> DataLoader[Any]:
        """Deal out the validation split of the source languages."""
        return self.evaluation_dataloader("validation", languages=self.train_languages)

    def evaluation_dataloader(self, split: str, *, languages: Sequence[str]) -> DataLoader[Any]:
        """Deal out a split in some languages, pooled, longest first."""
        batches = EvaluationBatches(self._examples(split, languages), tokens_per_device=self.tokens_per_device)
        return DataLoader(batches, batch_size=None, collate_fn=_as_it_is)

    def _examples(self, split: str, languages: Sequence[str]) -> Examples:
        numbers = {language: number for number, language in enumerate(self.numbered_languages)}
        return Examples([(numbers[language], self.open(split, language)) for language in languages])

    def _located(self, folder: str | None) -> Path:
        if folder is None:
            raise UserError(
                f"data.folder=null: loading {self.data_name} from the Hub is not there yet; give a folder, or {SAMPLE}"
            )
        if folder == SAMPLE:
            return _written_sample(self.data_name, write=self.write_sample)
        return Path(folder).expanduser()


def _checked_languages(languages: Sequence[str], *, known: Sequence[str], name: str) -> list[str]:
    for language in languages:
        if language not in known:
            raise UserError(
                f"unknown language {language!r}: {name} has {', '.join(known)}. Codes are quoted: a bare no arrives "
                "as False, '\"no\"' as no"
            )
    if not languages or len(set(languages)) < len(languages):
        raise UserError(f"languages {list(languages)}: give at least one, and each one once")
    return list(languages)


def _written_sample(name: str, *, write: Callable[[Path], None]) -> Path:
    """Write the bundled sample into the cache, unless it is there."""
    folder = cache_folder() / "sample" / f"{name}-{sample.VERSION}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as temporary:
            write(Path(temporary))
            # Another process may have been faster; what it wrote is the same.
            with suppress(OSError):
                Path(temporary).rename(folder)
    return folder


def _num_labelled(dataset: Dataset) -> int:
    return int(np.sum(dataset.data["label"].to_numpy() != NO_LABEL))


def _as_it_is(batch: Any) -> Any:
    return batch
