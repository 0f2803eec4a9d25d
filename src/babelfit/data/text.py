"""One's own text, to pretrain on: files of sentences in one or many languages, and of parallel ones.

What is held out of training, and what a language is here: also a pair of them, as `en-sw`. Not how files are found
(corpora.py), read (passages.py) or packed (packing.py). Nothing has a label: what is to be predicted is up to the head.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from datasets import Dataset

from babelfit.batches.masking import mask_id
from babelfit.data.base import MultilingualDataModule
from babelfit.data.facts import DatasetFacts
from babelfit.errors import UserError
from babelfit.languages.facts import checked_languages
from babelfit.rows import encoding, measuring
from babelfit.rows.read import TextRead
from babelfit.tasks import MaskedTokens
from babelfit.text import corpora, corpus, held_out, packing, passages, splits
from babelfit.text.corpora import Corpora
from babelfit.text.passages import Reading
from babelfit.text.splits import Held, Opened, TextSplit, limited


class Text(MultilingualDataModule):
    """Text in the languages that a folder has of it, parallel text in pairs of them."""

    dataset = DatasetFacts(name="text", task=MaskedTokens())

    origin: Corpora

    def __init__(
        self,
        *,
        folder: str | None,
        files: str | None,
        columns: Mapping[str, str],
        held_out: float,
        undecodable: str,
        reset_positions: bool,
        mask_share: float,
        train_languages: Sequence[str],
        languages: Sequence[str] | None,
        num_workers: int = 0,
        pin_memory: bool = False,
        **settings: Any,
    ) -> None:
        self._columns = dict(columns)
        self._undecodable = undecodable
        self._held_out = held_out
        self._whole: dict[tuple[str, str], Opened] = {}
        origin = Corpora(folder, files=files, named=[*train_languages, *(languages or ())])
        origin.part_mixed(lambda corpus: passages.languages(corpus, self._reading(lambda _: None)))
        known = origin.languages
        super().__init__(
            train_languages=checked_languages(
                train_languages or origin.available("train", languages=known),
                key="train_languages",
                known=known,
                of=f"'{folder}'",
            ),
            languages=checked_languages(
                origin.available("validation", languages=known) if languages is None else languages,
                key="languages",
                known=known,
                of=f"'{folder}'",
            ),
            num_workers=num_workers,
            pin_memory=pin_memory,
            **settings,
        )
        self.origin = origin
        self.mask_share = mask_share
        mask_id(self.tokenizer)  # raises where there is none, rather than when all is tokenized
        self.reset_positions = reset_positions

    def download(self) -> None:
        """Download nothing: one's own text is here."""

    def has(self, split: str) -> bool:
        """Return whether every evaluated language has text of a split, all of it read and tokenized."""
        there = self.origin.available(split, languages=self.languages)
        return len(there) == len(self.languages) and all(self.has_gold(split, one) for one in there)

    def has_gold(self, split: str, language: str) -> bool:
        """Return whether there is text, which is all that can be predicted."""
        return len(self.open(split, language)) > 0

    def _opened(self, split: str, language: str) -> tuple[Dataset, TextRead]:
        whole = self._read(split, language)
        return limited(whole.dataset, whole.read, limit=self.limit[split])

    def _read(self, split: str, language: str) -> Opened:
        """Open all examples of one language in one split."""
        key = (split, language)
        if key not in self._whole:
            is_drawn = not self.origin.of("validation", language)
            files = self.origin.of("train" if split == "validation" and is_drawn else split, language)
            if not files:
                there = [one for one in ("train", "validation", "test") if self.origin.of(one, language)]
                raise UserError(
                    f"'{language}' has no text for {split}, only for {', '.join(there)}: add a file of it, or leave it "
                    f"out of data.{'train_languages' if split == 'train' else 'languages'}"
                )
            self._whole[key] = TextSplit(
                files=[(corpus, self.origin.sha256(corpus)) for corpus in files],
                split=split,
                language=language,
                sides=self.origin.sides(language) or (language,),
                share=self._held_out if split == "validation" and is_drawn else None,
                held=self._held(language, is_drawn=is_drawn) if split == "train" else None,
                reading=self._reading,
                tokenizer=self.tokenizer,
                max_length=self.max_length,
                key=self._key,
            ).open()
        return self._whole[key]

    def _held(self, language: str, *, is_drawn: bool) -> Held:
        """Return what training on a language must not read: what is held out in it, also in pairs with another one."""
        sides = self.origin.sides(language) or (language,)
        by_side: dict[str, set[int]] = {side: set() for side in sides}
        # Of all that there is, and not of what this run evaluates, which may change on a resume.
        for other in self.origin.languages:
            for split in ("validation", "test") if set(sides) & {*(self.origin.sides(other) or (other,))} else ():
                if self.origin.available(split, languages=[other]):
                    for side, hashes in self._read(split, other).hashes.items():
                        by_side.get(side, set()).update(hashes)
        return Held(
            by_side={side: frozenset(hashes) for side, hashes in by_side.items()},
            highest=self._read("validation", language).highest if is_drawn else None,
        )

    def _reading(self, progress: Callable[[int], object]) -> Reading:
        return Reading(
            text=self._columns["text"],
            language=self._columns["language"],
            skips_undecodable=self._undecodable == "skip",
            progress=progress,
        )

    @cached_property
    def _key(self) -> dict[str, Any]:
        """Return what turns text into tokens, besides the files."""
        modules = (corpora, corpus, passages, held_out, packing, splits, measuring, encoding)
        return {
            "columns": self._columns,
            "undecodable": self._undecodable,
            "tokenizer": encoding.tokenizer_fingerprint(self.tokenizer),
            "code": encoding.code_fingerprint([module.__name__ for module in modules]),
        }

    def _tell(self, split: str, languages: Sequence[str], *, num_tokens: int) -> None:
        splits.tell(
            f"text {split}",
            {language: self._read(split, language).read for language in languages},
            num_tokens=num_tokens,
            num_examples=sum(self.read[split][language].examples for language in languages),
            max_length=self.max_length,
        )
