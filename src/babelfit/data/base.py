"""What every dataset's DataModule does: find rows, tokenize them once, deal them out as ragged batches.

A dataset adds facts (languages, labels, row counts, layouts) and how a row becomes tokens; it never sees a model.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from babelfit import ranks
from babelfit.data import readers, sample, sources
from babelfit.data.batching import NO_LABEL, Array, EvaluationBatches, Examples, Steps, TrainingSteps
from babelfit.data.tokenization import cache_folder, tokenized, tokenizer_fingerprint
from babelfit.errors import UserError

log = logging.getLogger(__name__)

SAMPLE = "sample"
"""The `data.folder` that names the bundled synthetic sample."""


class MultilingualDataModule(LightningDataModule, ABC):
    """One multilingual dataset: text, labels and languages, tokenized and cut into steps."""

    data_name: ClassVar[str]
    head: ClassVar[str]
    label_names: ClassVar[tuple[str, ...]]
    label_aliases: ClassVar[Mapping[str, str]]
    known_rows: ClassVar[Mapping[str, Mapping[str, int]]]  # language -> split -> rows of a whole copy
    layouts: ClassVar[tuple[sources.Layout, ...]]
    is_parallel: ClassVar[bool]  # row i of every language is the same item
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
        train_split: str,
        tokenizer: PreTrainedTokenizerFast,
        batch_size: int,
        tokens_per_device: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.is_sample = folder == SAMPLE
        self.origin = {"sample": f"synthetic, version {sample.VERSION}"} if self.is_sample else {"folder": folder}
        known = self.sample_languages if self.is_sample else tuple(self.known_rows)
        self._folder = self._located(folder)
        self.train_languages = _checked_languages(train_languages, known=known, name=self.data_name)
        chosen = self._found(known) if languages is None else languages
        self.languages = _checked_languages(chosen, known=known, name=self.data_name)
        self.numbered_languages = list(dict.fromkeys([*self.languages, *self.train_languages]))
        self.max_length = max_length
        self.limit = limit
        self.train_split = train_split
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.tokens_per_device = tokens_per_device
        self.seed = seed
        self._tokenizer_fingerprint = tokenizer_fingerprint(tokenizer)
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self.read: dict[str, dict[str, Any]] = {}
        """What was read, for the manifest: split -> language -> files, rows, labels."""
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
        """Turn rows of text into input_ids, token_type_ids where there are any, windows, targets and truncated."""

    def dropped(self, table: pa.Table) -> Mapping[str, pa.ChunkedArray]:
        """Say which rows are no examples: a mask for each reason."""
        return {}

    # Reading

    def has(self, split: str) -> bool:
        """Tell whether every evaluated language has a split with gold labels, all of them read and tokenized."""
        found = sources.available(self._folder, layouts=self.layouts, split=split, languages=self.languages)
        return set(found) == set(self.languages) and all(
            _num_labelled(self.open(split, language)) > 0 for language in self.languages
        )

    def open(self, split: str, language: str) -> Dataset:
        """Open the tokenized rows of one language in one split, as many as the limit lets through.

        The split "train" is what is trained on, whichever split of the dataset that is.
        """
        key = (split, language)
        if key not in self._datasets:
            self._datasets[key] = self._opened(split, language)
        return self._datasets[key]

    def _opened(self, split: str, language: str) -> Dataset:
        theirs = self.train_split if split == "train" else split
        source = sources.find(
            self._folder, layouts=self.layouts, dataset=self.data_name, split=theirs, language=language
        )

        def rows() -> tuple[pa.Table, dict[str, Any]]:
            table = source.read()
            indices = pa.array(np.arange(table.num_rows))
            drop = {reason: pc.fill_null(mask, False) for reason, mask in self.dropped(table).items()}
            facts = {
                "rows": table.num_rows,
                "dropped": {reason: indices.filter(mask).to_pylist() for reason, mask in drop.items()},
            }
            table = table.append_column("index", indices)
            return (table.filter(pc.invert(reduce(pc.or_, drop.values()))) if drop else table), facts

        digests = source.sha256()
        dataset, facts = tokenized(
            {
                "data": self.data_name,
                "rows": digests,
                "layout": source.layout.name,
                "language": language,
                "labels": self.label_names,
                "max_length": self.max_length,
                "tokenizer": self._tokenizer_fingerprint,
            },
            rows=rows,
            encode=lambda table: {
                "index": table["index"],
                "labels": _label_ids(table, label_names=self.label_names),
                **self.encode(table),
            },
            schema=_schema(token_type_ids="token_type_ids" in self.tokenizer.model_input_names),
            description=f"Tokenizing {self.data_name} {theirs} {language}",
        )
        if len(dataset) == 0:
            raise UserError(f"{self.data_name} {theirs} {language}: all {facts['rows']} rows are placeholders")
        labels = _label_counts(dataset, label_names=self.label_names)
        for doubt in sources.check_rows(
            source,
            num_rows=facts["rows"],
            seen=[name for name, count in labels.items() if count],
            expected=self.sample_rows[theirs] if self.is_sample else self.known_rows[language][theirs],
            labels=self.label_names,
        ):
            log.warning("%s", doubt)
        limit = self.limit[split]
        dataset = dataset if limit is None else dataset.select(range(min(limit, len(dataset))))
        self.read.setdefault(split, {})[language] = {
            "split": theirs,
            "layout": source.layout.name,
            "files": [
                {"path": str(path), "bytes": path.stat().st_size, "sha256": digest}
                for path, digest in zip(source.files, digests, strict=True)
            ],
            **facts,
            "examples": len(dataset),
            "labels": _label_counts(dataset, label_names=self.label_names),
            "truncated": int(np.sum(dataset.data["truncated"].to_numpy())),
        }
        return dataset

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and tell its size and what was cut or dropped."""
        examples = Examples([(0, self.open(split, language)) for language in languages])
        read = {language: self.read[split][language] for language in languages}
        cut = {language: entry["truncated"] for language, entry in read.items()}
        windows = sum(
            pc.sum(pc.greater(pc.list_value_length(self.open(split, one).data["windows"]), 1)).as_py()
            for one in languages
        )
        log.info(
            "%s%s %s: %s examples, %s tokens in %s; %s cut at %d subwords%s%s",
            "synthetic sample of " if self.is_sample else "",
            self.data_name,
            split,
            f"{len(examples):,}",
            f"{int(examples.lengths.sum()):,}",
            " ".join(languages),
            f"{sum(cut.values()):,}",
            self.max_length,
            _counted(cut),
            f"; {windows:,} split into windows" if windows else "",
        )
        for reason in dict.fromkeys(chain(*(entry["dropped"] for entry in read.values()))):
            dropped = {language: len(entry["dropped"].get(reason, ())) for language, entry in read.items()}
            log.warning(
                "%s %s: %d rows dropped (%s)%s", self.data_name, split, sum(dropped.values()), reason, _counted(dropped)
            )

    def contamination(self, split: str, *, train_languages: Sequence[str]) -> str:
        """Say what is wrong with the scores of a split that was trained on."""
        trained = f"trained on the {split} split of {' and '.join(train_languages)}"
        return f"{trained}, of which the other languages' rows are translations" if self.is_parallel else trained

    def targets(self, split: str, language: str) -> Array:
        """Return the row of each target's example, as the split came: (targets,)."""
        dataset = self.open(split, language)
        return np.repeat(dataset.data["index"].to_numpy(), Examples([(0, dataset)]).num_targets)

    # Batches

    @property
    def steps_per_epoch(self) -> int:
        """Count the optimizer steps of one epoch."""
        return len(self._training_steps())

    def _training_steps(self, **share: int) -> TrainingSteps:
        examples = self._examples("train", self.train_languages)
        for language in self.train_languages:
            dataset = self.open("train", language)
            if (missing := len(dataset) - _num_labelled(dataset)) > 0:
                raise UserError(f"{self.data_name} train {language}: {missing:,} rows have no label to train on")
        return TrainingSteps(
            examples,
            batch_size=self.batch_size,
            tokens_per_device=self.tokens_per_device,
            seed=self.seed,
            **share,
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
        """Deal out this rank's share of one optimizer step a batch, from the step at which the trainer stands."""
        steps = self._training_steps(rank=ranks.rank(), num_ranks=ranks.world_size())
        sampler = Steps(steps_per_epoch=len(steps), steps_done=lambda: self.trainer.global_step)  # type: ignore[union-attr]
        return DataLoader(steps, sampler=sampler, batch_size=None, collate_fn=_as_it_is)

    def val_dataloader(self) -> DataLoader[Any]:
        """Deal out the validation split of the source languages."""
        return self.evaluation_dataloader("validation", languages=self.train_languages)

    def evaluation_dataloader(self, split: str, *, languages: Sequence[str]) -> DataLoader[Any]:
        """Deal out this rank's share of a split in some languages, pooled, longest first."""
        batches = EvaluationBatches(
            self._examples(split, languages),
            tokens_per_device=self.tokens_per_device,
            rank=ranks.rank(),
            num_ranks=ranks.world_size(),
        )
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

    def _found(self, known: Sequence[str]) -> Sequence[str]:
        """List the languages that can be evaluated: those with a validation or test split."""
        found = {
            language
            for split in ("validation", "test")
            for language in sources.available(self._folder, layouts=self.layouts, split=split, languages=known)
        }
        if len(found) < len(known):
            absent = [language for language in known if language not in found]
            told = ", ".join(absent) if len(absent) <= 20 else f"{len(absent)} of {len(known)} languages"
            log.info("%s: nothing to evaluate in %s, which the folder does not have", self.data_name, told)
        # None at all: the error for the first one says what was looked for.
        return [language for language in known if language in found] or known


def _schema(*, token_type_ids: bool) -> pa.Schema:
    """Lay out a tokenized example: its sequences end to end, their lengths, its targets and what it is."""
    of_tokens = ["input_ids", "token_type_ids"] if token_type_ids else ["input_ids"]
    lists = [pa.field(name, pa.list_(pa.int32())) for name in (*of_tokens, "windows", "targets", "labels")]
    return pa.schema([*lists, pa.field("index", pa.int64()), pa.field("truncated", pa.bool_())])


def _label_ids(table: pa.Table, *, label_names: Sequence[str]) -> list[list[int]]:
    """Turn each row's label, or its words' tags, into ids; NO_LABEL where there is no gold."""
    ids = {name: label_id for label_id, name in enumerate(label_names)}
    if readers.LABEL in table.column_names:
        return [[ids.get(label, NO_LABEL)] for label in table[readers.LABEL].to_pylist()]
    rows = zip(table[readers.WORDS].to_pylist(), table[readers.TAGS].to_pylist(), strict=True)
    return [[NO_LABEL] * len(words) if tags is None else [ids[tag] for tag in tags] for words, tags in rows]


def _label_counts(dataset: Dataset, *, label_names: Sequence[str]) -> dict[str, int]:
    """Count each label, and the targets without gold as ""."""
    counts = {
        item["values"]: item["counts"] for item in pc.list_flatten(dataset.data["labels"]).value_counts().to_pylist()
    }
    named = {name: counts.get(label_id, 0) for label_id, name in enumerate(label_names)}
    return named | ({"": counts[NO_LABEL]} if NO_LABEL in counts else {})


def _num_labelled(dataset: Dataset) -> int:
    """Count the examples with gold: each has it for all of its targets or for none."""
    return int(pc.sum(pc.not_equal(pc.list_element(dataset.data["labels"], 0), NO_LABEL)).as_py())


def _counted(numbers: Mapping[str, int]) -> str:
    told = ", ".join(f"{language} {number:,}" for language, number in numbers.items() if number)
    return f" ({told})" if told else ""


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


def _as_it_is(batch: Any) -> Any:
    return batch
