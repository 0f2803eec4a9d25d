"""The DataModule of every labelled dataset: find the rows of its splits and languages in files, tokenize them once.

What one dataset has and another has not, its facts say.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from datasets import Dataset

from babelfit.config import regimes
from babelfit.data import splits
from babelfit.data.base import MultilingualDataModule
from babelfit.data.facts import DatasetFacts
from babelfit.data.few_shot import sample_few
from babelfit.data.splits import LabelledSplit, num_labelled
from babelfit.errors import UserError
from babelfit.languages.facts import checked_languages
from babelfit.rows import encoding, leaks, measuring, readers, sources
from babelfit.rows.leaks import Leaks
from babelfit.rows.origin import SAMPLE, Origin
from babelfit.rows.read import RowsRead


class LabelledDataModule(MultilingualDataModule):
    """One multilingual dataset: text, labels and languages, in splits that are what they are."""

    origin: Origin

    def __init__(
        self,
        dataset: DatasetFacts,
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
        """Take the facts about a dataset, and the settings of a configuration."""
        _check_place(dataset, folder=folder, regime=regime, train_split=train_split)
        # Before anything is tokenized, and before the tokenizer's fingerprint is taken.
        dataset.task.check_tokenizer(settings["tokenizer"])
        origin = Origin(
            dataset.name,
            folder=folder,
            repo=dataset.hub_repo,
            revision=revision,
            layouts=dataset.layouts,
            write_sample=None if dataset.sample is None else dataset.sample.write,
            translated_into=dataset.written_in if regime == "translate_test" else None,
        )
        # Of a whole copy: language -> split -> rows.
        rows = dataset.sample.rows if dataset.sample is not None and origin.is_sample else dataset.rows
        train_languages, languages, few_shot_languages = _chosen_languages(
            dataset,
            origin,
            known=tuple(rows),
            train_languages=train_languages,
            languages=languages,
            regime=regime,
            few_shot=few_shot or {},
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
        self.dataset = dataset
        self.origin = origin
        self.train_split = train_split
        self.few_shot = few_shot or {}
        self._rows = rows

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
        """Return whether every evaluated language has a split with gold labels, all of them read and tokenized."""
        return len(self.origin.available(split, languages=self.languages)) == len(self.languages) and all(
            self.has_gold(split, language) for language in self.languages
        )

    def has_gold(self, split: str, language: str) -> bool:
        """Return whether any row of a language has a gold label in a split."""
        return num_labelled(self.open(split, language)) > 0

    def _opened(self, split: str, language: str) -> tuple[Dataset, RowsRead]:
        theirs = self.train_split if split == "train" else split
        source = self.origin.source(theirs, language)
        few = None
        if split == "train" and language in self.few_shot_languages:
            label_names = self.task.labels if self.task.draws_by_label else None
            few = partial(sample_few, k=self.few_shot["k"], seed=self.seed, language=language, label_names=label_names)
        return LabelledSplit(
            source=source,
            tokenizer=self.tokenizer,
            fingerprint=self._fingerprint,
            task=self.task,
            max_length=self.max_length,
            limit=self.limit[split],
            dropped=self.dataset.dropped,
            draw=few,
            expected=self._rows[language][theirs],
            # Of a part that the user asked for, or of the sample, which is as it is, nothing can be said.
            is_part=self.limit[split] is not None or self.origin.is_sample or few is not None,
        ).open()

    def leaks(self) -> Leaks:
        """Return the rows of the splits read so far that are among those trained on, if these were read."""
        return leaks.find(self.read, opened=self._datasets, is_parallel=self.dataset.is_parallel)

    @cached_property
    def _fingerprint(self) -> dict[str, str]:
        """Return hashes of all that turns rows into tokens: tokenizer, files of facts and task, code of all data."""
        common = [module.__name__ for module in (readers, sources, splits, measuring, encoding)]
        heirs = (cls for cls in type(self).__mro__ if issubclass(cls, LabelledDataModule))
        own = [cls.__module__ for cls in heirs if cls is not LabelledDataModule]
        # Facts that stand in no file of their own may be others the next time.
        own = own or [f"the dataset {self.data_name}"]
        return {
            "tokenizer": encoding.tokenizer_fingerprint(self.tokenizer),
            "code": encoding.code_fingerprint([*own, type(self.task).__module__, *common]),
        }

    def prepare(self, split: str, *, languages: Sequence[str]) -> None:
        """Tokenize a split in some languages where it is not yet, and log its size and what was cut or dropped."""
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

    def contamination(self, split: str, *, train_languages: Sequence[str]) -> tuple[list[str], str]:
        """Return the languages whose scores of a split that was trained on measure nothing, and why."""
        languages, why = super().contamination(split, train_languages=train_languages)
        if not self.dataset.is_parallel:
            return languages, why
        return list(self.dataset.rows), f"{why}, of which the other languages' rows are translations"


def _check_place(dataset: DatasetFacts, *, folder: str | None, regime: str, train_split: str) -> None:
    """Raise UserError where the rows that a regime asks for cannot be in a place of this kind; nothing is looked at."""
    name = dataset.name
    if folder is None and dataset.hub_repo is None:
        raise UserError(f"data.folder=null: {name} is not on the Hub; give a folder")
    if folder == SAMPLE and dataset.sample is None:
        raise UserError(f"data.folder={SAMPLE}: {name} has no bundled sample; give a folder")
    if regime == "translate_test" and folder in (None, SAMPLE) and dataset.written_in is not None:
        raise UserError(
            f"data.regime=translate_test: {'the Hub' if folder is None else 'the sample'} has no dev and test rows of "
            f"{name} translated into '{dataset.written_in}': give a folder that has them, data.folder=FOLDER"
        )
    if train_split != "train" and regime not in ("zero_shot", "translate_test"):
        raise UserError(
            f"data.regime={regime} chooses rows of the training split, and data.train_split={train_split} trains on "
            "another: set data.train_split=train"
        )


def _chosen_languages(
    dataset: DatasetFacts,
    origin: Origin,
    *,
    known: Sequence[str],
    train_languages: Sequence[str],
    languages: Sequence[str] | None,
    regime: str,
    few_shot: Mapping[str, Any],
) -> tuple[list[str], list[str], list[str]]:
    """Return the languages that are trained on, those that are evaluated, and those of which a few are trained on.

    `known` are all that there may be. Raises UserError for others, and for those that a regime makes no sense for.
    """
    others = [language for language in known if language != dataset.written_in]
    trained = regimes.trained_languages(
        regime,
        checked_languages(train_languages, key="train_languages", known=known, of=dataset.name),
        written_in=dataset.written_in,
        translated=origin.translated(others) if regime == "translate_train_all" else (),
        of=dataset.name,
    )
    if languages is None:
        languages = dataset.hub_languages if origin.is_hub else origin.evaluable(known)
    evaluated = checked_languages(languages, key="languages", known=known, of=dataset.name)
    if regime != "few_shot":
        return trained, evaluated, []
    few = regimes.few_shot_languages(
        few_shot["languages"], evaluated=evaluated, source_languages=trained, known=known, of=dataset.name
    )
    return trained, evaluated, few
