"""What every labelled dataset does: find the rows of its splits and languages in files, and tokenize them once.

A dataset adds facts (languages, labels, row counts, layouts) and how a row becomes tokens.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from datasets import Dataset

from babelfit.config import regimes
from babelfit.data import splits
from babelfit.data.base import MultilingualDataModule
from babelfit.data.checks import check_place
from babelfit.data.few_shot import sample_few
from babelfit.data.splits import num_labelled, read_split
from babelfit.errors import UserError
from babelfit.languages.facts import checked_languages
from babelfit.rows import encoding, leaks, measuring, readers, sources
from babelfit.rows.origin import Origin


class LabelledDataModule(MultilingualDataModule):
    """One multilingual dataset: text, labels and languages, in splits that are what they are."""

    known_rows: ClassVar[Mapping[str, Mapping[str, int]]]  # language -> split -> rows of a whole copy
    gold_type: ClassVar[pa.DataType] = pa.int32()  # of one target, in the token cache
    layouts: ClassVar[tuple[sources.Layout, ...]]  # also those of the repository on the Hub
    written_in: ClassVar[str | None] = None  # the original training rows, of which the others are translations
    hub_languages: ClassVar[tuple[str, ...]] = ()  # evaluated from the Hub, if nothing else is asked for
    sample_languages: ClassVar[tuple[str, ...]] = ()
    sample_rows: ClassVar[Mapping[str, int]] = {}

    origin: Origin

    def __init__(
        self,
        *,
        folder: str | None,
        revision: str | None,
        train_languages: Sequence[str],
        languages: Sequence[str] | None,
        train_split: str,
        regime: str = "zero_shot",
        few_shot: Mapping[str, Any] | None = None,
        sampling_exponent: float | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        **settings: Any,
    ) -> None:
        check_place(type(self), folder=folder, regime=regime, train_split=train_split)
        origin = Origin(
            self.data_name,
            folder=folder,
            repo=self.hub_repo,
            revision=revision,
            layouts=self.layouts,
            write_sample=self.write_sample,
            translated_into=self.written_in if regime == "translate_test" else None,
        )
        known = self.sample_languages if origin.is_sample else tuple(self.known_rows)
        train_languages = checked_languages(train_languages, key="train_languages", known=known, of=self.data_name)
        others = [language for language in known if language != self.written_in]
        train_languages = regimes.trained_languages(
            regime,
            train_languages,
            written_in=self.written_in,
            translated=origin.translated(others) if regime == "translate_train_all" else (),
            of=self.data_name,
        )
        if languages is None:
            languages = self.hub_languages if origin.is_hub else origin.evaluable(known)
        languages = checked_languages(languages, key="languages", known=known, of=self.data_name)
        few_shot_languages: list[str] = []
        few_shot = few_shot or {}
        if regime == "few_shot":
            few_shot_languages = regimes.few_shot_languages(
                few_shot["languages"],
                evaluated=languages,
                source_languages=train_languages,
                known=known,
                of=self.data_name,
            )
        super().__init__(
            train_languages=train_languages,
            languages=languages,
            few_shot_languages=few_shot_languages,
            regime=regime,
            sampling_exponent=sampling_exponent,
            num_workers=num_workers,
            pin_memory=pin_memory,
            **settings,
        )
        self.origin = origin
        self.train_split = train_split
        self.few_shot = few_shot

    @staticmethod
    def write_sample(folder: Path) -> None:
        """Write the bundled synthetic sample in one of the layouts, for a dataset that has `sample_languages`."""

    @abstractmethod
    def encode(self, table: pa.Table) -> dict[str, Any]:
        """Turn rows of text into input_ids, token_type_ids where there are any, windows, targets and truncated."""

    def dropped(self, table: pa.Table) -> Mapping[str, pa.ChunkedArray]:
        """Say which rows are no examples: a mask for each reason."""
        return {}

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
            self.has_gold(split, language) for language in self.languages
        )

    def has_gold(self, split: str, language: str) -> bool:
        """Tell whether any row of a language has a gold label in a split."""
        return num_labelled(self.open(split, language)) > 0

    def _opened(self, split: str, language: str) -> tuple[Dataset, dict[str, Any]]:
        theirs = self.train_split if split == "train" else split
        source = self.origin.source(theirs, language)
        few = None
        if split == "train" and language in self.few_shot_languages:
            label_names = self.label_names if self.head == "sequence_classification" else None
            few = partial(sample_few, k=self.few_shot["k"], seed=self.seed, language=language, label_names=label_names)
        return read_split(
            source,
            tokenizer=self.tokenizer,
            fingerprint=self._fingerprint,
            label_names=self.label_names,
            gold_type=self.gold_type,
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
        own = [cls.__module__ for cls in type(self).__mro__ if issubclass(cls, LabelledDataModule)]
        common = [module.__name__ for module in (readers, sources, splits, measuring, encoding)]
        return {
            "tokenizer": encoding.tokenizer_fingerprint(self.tokenizer),
            "code": encoding.code_fingerprint([name for name in own if name != __name__] + common),
        }

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and tell its size and what was cut or dropped."""
        self.origin.folder(self.train_split if split == "train" else split, languages=languages)
        for language in languages if split == "train" else ():
            if missing := len(self.open(split, language)) - num_labelled(self.open(split, language)):
                raise UserError(f"{self.data_name} train {language}: {missing:,} rows have no label to train on")
        super().prepare(split, languages=languages)

    def _tell(self, split: str, languages: Sequence[str], *, num_tokens: int) -> None:
        is_plain = split != "train" or self.regime == "zero_shot"
        name = f"{self.data_name} {split}{'' if is_plain else f', {self.regime}'}"
        splits.tell(
            f"synthetic sample of {name}" if self.origin.is_sample else name,
            {language: self.read[split][language] for language in languages},
            num_tokens=num_tokens,
            max_length=self.max_length,
            by_language=not is_plain,
        )

    def contamination(self, split: str, *, train_languages: Sequence[str]) -> dict[str, Any]:
        """Say what is wrong with the scores of a split that was trained on, and of which languages."""
        told = super().contamination(split, train_languages=train_languages)
        if not self.is_parallel:
            return told
        why = f"{told['why']}, of which the other languages' rows are translations"
        return {"languages": list(self.known_rows), "why": why}
