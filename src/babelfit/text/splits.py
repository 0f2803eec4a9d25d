"""One language of one split of one's own text, from its files to packed examples and the facts about them.

Text streams through: whatever the size of the files, no more is held than a chunk of it, and what is held out.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from babelfit.errors import UserError
from babelfit.rows import measuring
from babelfit.rows.encoding import SECONDS_BEFORE_PROGRESS, tokenized
from babelfit.rows.read import TextRead, Tokens, data_files
from babelfit.rows.scripts import look_alike
from babelfit.text import held_out
from babelfit.text.corpus import Corpus
from babelfit.text.packing import Packer
from babelfit.text.passages import Reading, documents

CHARACTERS_PER_CHUNK = 500_000
"""Text that is tokenized at once, but for the rest of its last document."""

COUNTED = ("documents", "sentences", "held_out", "left_out", "words", "characters")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What is held out of training: sentences by hash, and of the own files the documents up to a hash, if any."""

    by_side: Mapping[str, frozenset[int]]
    highest: int | None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The packed examples of one language of one split, what was read, and what training must know to leave it out."""

    dataset: Dataset
    read: TextRead
    hashes: Mapping[str, Sequence[int]]  # of its sentences by side; none where it is for training
    highest: int | None  # hash of its documents, where they are held out of training's files


@dataclass(frozen=True, kw_only=True)
class TextSplit:
    """One language of one split: its files, what of them is read, and how.

    With a `share`, only what that holds out is read, and with `held` all but what is.
    """

    files: Sequence[tuple[Corpus, Sequence[str]]]  # with their SHA-256
    split: str
    language: str
    sides: Sequence[str]  # the language, or the two of a pair
    share: float | None
    held: Held | None
    reading: Callable[[Callable[[int], object]], Reading]
    tokenizer: PreTrainedTokenizerFast
    max_length: int
    key: Mapping[str, Any]  # stands for the tokenizer, the code and the settings by which text is read

    def open(self) -> Opened:
        """Return the packed examples, tokenized at most once; raise UserError where there is no text."""
        packer = Packer(self.tokenizer, max_length=self.max_length)
        key = {
            "data": "text",
            "files": [(digests, corpus.form, corpus.is_mixed, corpus.has_header) for corpus, digests in self.files],
            "language": self.language,
            "sides": self.sides,
            "share": self.share,
            "held": self.held and [self.held.highest, _digest(self.held.by_side)],
            "max_length": self.max_length,
            **self.key,
        }
        dataset, facts = tokenized(key, chunks=lambda facts: self._chunks(facts, packer=packer), schema=packer.schema)
        sampled, hashes, highest = (facts.pop(name) for name in ("sampled", "hashes", "highest"))
        for side in self.sides:
            if other := look_alike(side, shares=sampled[side]):
                log.warning("%s: %s", self._names, other)
        tokens = Tokens(**facts.pop("tokens"))
        read = TextRead(
            split=self.split,
            layout=", ".join(sorted({corpus.form for corpus, _ in self.files})),
            files=[file for corpus, digests in self.files for file in data_files(corpus.paths, digests)],
            rows=len(dataset),
            dropped={},
            tokens=tokens,
            examples=len(dataset),
            windows=len(dataset),
            **facts,
        )
        return Opened(dataset=dataset, read=read, hashes=hashes, highest=highest)

    @property
    def _names(self) -> str:
        return ", ".join(corpus.in_words() for corpus, _ in self.files)

    def _chunks(self, facts: dict[str, Any], *, packer: Packer) -> Iterator[pa.Table]:
        """Yield the packed examples, and add to the facts what the text turned out to be."""
        is_pair = len(self.sides) == 2
        seen = _Seen(sides=self.sides, keeps_hashes=self.held is None)
        description = f"Tokenizing text {self.split} {self.language}"
        with _progress([corpus for corpus, _ in self.files], description) as progress:
            how = self.reading(progress)
            found: Iterable[list[str]] = (document for corpus, _ in self.files for document in documents(corpus, how))
            highest = None
            if self.held is not None:
                found = seen.without(found, held=self.held)
            elif self.share is not None:
                highest, found = held_out.drawn(found, held_out=self.share, as_one=is_pair)
            yield from (packer.paired if is_pair else packer.packed)(seen.chunks(found))
        if not seen.counts["sentences"]:
            raise UserError(f"{self._names}: no text of '{self.language}' {self._why_none(how, seen)}")
        counted = {**how.counts, **seen.counts, **packer.counts}
        of_tokens = {name: counted.pop(name) for name in ("words", "characters", "subwords", "unknown")}
        sampled = {side: measuring.scripts(pa.table({"text": sample})) for side, sample in seen.sample.items()}
        of_all = [one for few in seen.sample.values() for one in few]
        sampled |= {self.language: measuring.scripts(pa.table({"text": of_all}))}
        facts |= counted | {"tokens": of_tokens, "scripts": sampled[self.language], "sampled": sampled}
        facts |= {"highest": highest, "hashes": {side: sorted(hashes) for side, hashes in seen.hashes.items()}}

    def _why_none(self, how: Reading, seen: "_Seen") -> str:
        if self.share and self.share < 1 and how.counts["lines"]:
            return f"is held out by data.held_out={self.share:g}"
        return "is left to train on, as all of it is held out" if seen.counts["held_out"] else "in it"


def limited(dataset: Dataset, read: TextRead, *, limit: int | None) -> tuple[Dataset, TextRead]:
    """Return the first examples, as many as a limit lets through, with how many and how long they are."""
    if limit is not None:
        dataset = dataset.select(range(min(limit, len(dataset))))
    lengths = measuring.quantiles(pc.list_value_length(dataset.data["input_ids"]).to_numpy())
    tokens = replace(read.tokens, lengths=lengths)
    return dataset, replace(read, examples=len(dataset), windows=len(dataset), tokens=tokens)


def tell(name: str, read: Mapping[str, TextRead], *, num_tokens: int, num_examples: int, max_length: int) -> None:
    """Log the size of a split, given what was read of each language, and what was cut or left out."""
    log.info(
        "%s: %s examples of %s sentences, %s tokens in %s; %s longer than %d subwords cut into pieces, %s pairs cut",
        name,
        f"{num_examples:,}",
        f"{sum(one.sentences for one in read.values()):,}",
        f"{num_tokens:,}",
        " ".join(read),
        f"{sum(one.pieces for one in read.values()):,}",
        max_length,
        f"{sum(one.truncated for one in read.values()):,}",
    )
    for of, what, level in (
        ("left_out", "sentences left out, which are held out as well", logging.INFO),
        ("undecodable", "lines skipped, which are not UTF-8", logging.WARNING),
        ("special", "times text that reads like a special token left out", logging.WARNING),
    ):
        counts = {language: count for language, one in read.items() if (count := getattr(one, of))}
        if counts:
            by_language = ", ".join(f"{language} {count:,}" for language, count in counts.items())
            log.log(level, "%s: %s %s (%s)", name, f"{sum(counts.values()):,}", what, by_language)


@dataclass(kw_only=True)
class _Seen:
    """What a stream of documents turned out to be."""

    sides: Sequence[str]
    keeps_hashes: bool
    hashes: dict[str, set[int]] = field(default_factory=dict)
    sample: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def without(self, found: Iterable[list[str]], *, held: Held) -> Iterator[list[str]]:
        """Leave out the documents that are held out, and in others the sentences that are; of a pair both."""
        kept_out = [held.by_side[side] for side in self.sides]
        for document in found:
            if held.highest is not None and held_out.of_document(document) <= held.highest:
                self.counts["held_out"] += len(document) // len(self.sides)
                continue
            if not any(kept_out):
                yield document
                continue
            if len(self.sides) == 2:
                is_held = [held_out.hashed(one) in hashes for one, hashes in zip(document, kept_out, strict=True)]
                left = [] if any(is_held) else document
                self.counts["left_out"] += any(is_held)
            else:
                left = [sentence for sentence in document if held_out.hashed(sentence) not in kept_out[0]]
                self.counts["left_out"] += len(document) - len(left)
            if left:
                yield left

    def chunks(self, found: Iterable[list[str]]) -> Iterator[list[str]]:
        """Gather the sentences of documents in chunks, and count them."""
        chunk: list[str] = []
        size = 0
        for document in found:
            self.counts["documents"] += 1
            chunk += document
            size += sum(map(len, document))
            if size >= CHARACTERS_PER_CHUNK:
                yield self._counted(chunk, size)
                chunk, size = [], 0
        if chunk:
            yield self._counted(chunk, size)

    def _counted(self, chunk: list[str], size: int) -> list[str]:
        self.counts["sentences"] += len(chunk) // len(self.sides)
        self.counts["words"] += sum(len(sentence.split()) for sentence in chunk)
        self.counts["characters"] += size
        for place, side in enumerate(self.sides):
            theirs, sample = chunk[place :: len(self.sides)], self.sample.setdefault(side, [])
            # Some of each of the first chunks: how a file begins need not be how it goes on.
            room = min(measuring.MOST_SAMPLED - len(sample), measuring.MOST_SAMPLED // 4)
            sample += theirs[:: -(-len(theirs) // room)] if room > 0 else []
            if self.keeps_hashes:
                self.hashes.setdefault(side, set()).update(map(held_out.hashed, theirs))
        return chunk


@contextmanager
def _progress(files: Sequence[Corpus], description: str) -> Iterator[Callable[[int], object]]:
    """Show how many bytes of some files are read, where it takes long."""
    size = sum(path.stat().st_size for corpus in files for path in corpus.paths)
    with tqdm(
        total=size, desc=description, delay=SECONDS_BEFORE_PROGRESS, unit="B", unit_scale=True, leave=False
    ) as bar:
        yield bar.update


def _digest(by_side: Mapping[str, frozenset[int]]) -> str:
    return sha256(json.dumps({side: sorted(hashes) for side, hashes in by_side.items()}).encode()).hexdigest()
