"""One language of one split, from its files to tokenized examples and the facts that a manifest keeps of them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from babelfit.batches.ragged import RaggedBatch, gold_values, has_gold
from babelfit.errors import UserError
from babelfit.rows import leaks, measuring
from babelfit.rows.encoding import tokenized, with_progress
from babelfit.rows.read import Read, RowsRead, Tokens, data_files, paths
from babelfit.rows.scripts import look_alike
from babelfit.rows.sources import Source, check_rows
from babelfit.tasks.task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LabelledSplit:
    """One language of one split: its rows in files, and how they become examples."""

    source: Source
    tokenizer: PreTrainedTokenizerFast
    fingerprint: Mapping[str, str]  # stands for the tokenizer and for the code that reads and encodes
    task: Task
    max_length: int
    limit: int | None
    dropped: Callable[[pa.Table], Mapping[str, pa.ChunkedArray]]  # which rows are no examples: a mask for each reason
    expected: int  # rows of a whole copy
    is_part: bool  # of a whole copy, and meant to be
    draw: Callable[[Dataset], Dataset] | None = None  # takes the few that are wanted

    def open(self) -> tuple[Dataset, RowsRead]:
        """Return the examples, tokenized at most once, as many as the limit lets through, and what was read.

        Log what other than a whole copy it is; raise UserError where no row is an example.
        """
        source, task = self.source, self.task
        schema = _schema(token_type_ids="token_type_ids" in self.tokenizer.model_input_names, gold_type=task.gold_type)
        digests = source.sha256()
        key = {
            "data": source.dataset,
            "rows": digests,
            "layout": source.layout.name,
            "language": source.language,
            "labels": task.labels,
            "gold": str(task.gold_type),
            "max_length": self.max_length,
            **self.fingerprint,
        }
        dataset, facts = tokenized(key, chunks=lambda facts: self._chunks(facts, schema=schema), schema=schema)
        if len(dataset) == 0:
            reasons = ", ".join(facts["dropped"])
            raise UserError(f"{source.dataset} {source.split} {source.language}: all rows are dropped ({reasons})")
        if other := look_alike(source.language, shares=facts["scripts"]):
            log.warning("%s: %s", ", ".join(map(str, source.files)), other)
        if self.limit is not None:
            dataset = dataset.select(range(min(self.limit, len(dataset))))
        if self.draw is not None:
            dataset = self.draw(dataset)
            facts["drawn"] = dataset.data["index"].to_pylist()
        read = self._read(dataset, facts, digests=digests)
        counted = [name for name, count in read.labels.items() if count and name]
        seen = task.labels if self.is_part else counted
        for doubt in check_rows(source, num_rows=read.rows, seen=seen, expected=self.expected, labels=task.labels):
            log.warning("%s", doubt)
        return dataset, read

    def _chunks(self, facts: dict[str, Any], *, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the tokenized examples, and add to the facts what the rows were."""
        source = self.source
        table = source.read()
        indices = pa.array(np.arange(table.num_rows))
        drop = {reason: pc.fill_null(mask, False) for reason, mask in self.dropped(table).items()}
        facts |= {
            "rows": table.num_rows,
            "dropped": {reason: indices.filter(mask).to_pylist() for reason, mask in drop.items()},
            "scripts": measuring.scripts(table),
        }
        table = table.append_column("index", indices)
        kept = table.filter(pc.invert(reduce(pc.or_, drop.values()))) if drop else table
        for chunk in with_progress(kept, f"Tokenizing {source.dataset} {source.split} {source.language}"):
            yield pa.table(self._columns(chunk), schema=schema)

    def _columns(self, table: pa.Table) -> dict[str, Any]:
        encoded = self.task.encode(table, tokenizer=self.tokenizer, max_length=self.max_length)
        ids = encoded["input_ids"] = pa.array(encoded["input_ids"], pa.list_(pa.int32()))
        special, unknown = self.tokenizer.all_special_ids, self.tokenizer.unk_token_id
        return {
            "index": table["index"],
            "gold": self.task.read_gold(table),
            **encoded,
            **measuring.of_rows(table),
            **measuring.of_tokens(ids, special=special, unknown=unknown),
        }

    def _read(self, dataset: Dataset, facts: Mapping[str, Any], *, digests: Sequence[str]) -> RowsRead:
        """Add to what was found in the files what the examples are."""
        return RowsRead(
            split=self.source.split,
            layout=self.source.layout.name,
            files=data_files(self.source.read_files, digests),
            **facts,
            examples=len(dataset),
            labels=_label_counts(dataset, label_names=self.task.labels),
            truncated=int(np.sum(dataset.data["truncated"].to_numpy())),
            windows=int(pc.sum(pc.list_value_length(dataset.data["windows"])).as_py()),
            duplicates=leaks.num_duplicates(dataset),
            tokens=_token_counts(dataset),
        )


def num_labelled(dataset: Dataset) -> int:
    """Count the examples with gold: each has it for all of its targets or for none."""
    return int(has_gold(gold_values(pc.list_element(dataset.data["gold"], 0))).sum())


def tell(name: str, read: Mapping[str, Read], *, num_tokens: int, max_length: int, by_language: bool) -> None:
    """Log the size of a split, given what was read of each language, and what was cut or dropped."""
    examples, windows = (sum(getattr(one, of) for one in read.values()) for of in ("examples", "windows"))
    cut = {language: one.truncated for language, one in read.items()}
    log.info(
        "%s: %s examples%s%s, %s tokens in %s; %s cut at %d subwords%s",
        name,
        f"{examples:,}",
        _counted({language: one.examples for language, one in read.items()}) if by_language else "",
        f" in {windows:,} windows" if windows > examples else "",
        f"{num_tokens:,}",
        " ".join(read),
        f"{sum(cut.values()):,}",
        max_length,
        _counted(cut),
    )
    for reason in dict.fromkeys(chain(*(one.dropped for one in read.values()))):
        dropped = {language: len(one.dropped.get(reason, ())) for language, one in read.items()}
        if total := sum(dropped.values()):
            log.warning("%s: %s rows dropped (%s)%s", name, f"{total:,}", reason, _counted(dropped))


def rows_in_words(batches: Iterable[RaggedBatch], *, languages: Sequence[str], read: Mapping[str, Read]) -> str:
    """Return in words which rows some batches are made of, a line per language, and in which of its files they are."""
    pairs = np.concatenate([np.stack([batch.languages, batch.indices], axis=1) for batch in batches])
    lines = []
    for number in np.unique(pairs[:, 0]):
        language = languages[number]
        rows = " ".join(str(index) for index in sorted(pairs[pairs[:, 0] == number, 1]))
        lines.append(f"  {language}: rows {rows} (counted from 0) of {paths(read[language])}")
    return "\n".join(lines)


def _counted(numbers: Mapping[str, int]) -> str:
    counted = ", ".join(f"{language} {number:,}" for language, number in numbers.items() if number)
    return f" ({counted})" if counted else ""


def _schema(*, token_type_ids: bool, gold_type: pa.DataType) -> pa.Schema:
    """Lay out a tokenized example: its sequences end to end, their lengths, its targets and what it is."""
    of_tokens = ["input_ids", "token_type_ids"] if token_type_ids else ["input_ids"]
    lists = [pa.field(name, pa.list_(pa.int32())) for name in (*of_tokens, "windows", "targets")]
    lists.append(pa.field("gold", pa.list_(gold_type)))
    of_text = [pa.field(name, kind) for name, kind in measuring.COLUMNS.items()]
    return pa.schema([*lists, pa.field("index", pa.int64()), pa.field("truncated", pa.bool_()), *of_text])


def _token_counts(dataset: Dataset) -> Tokens:
    """Return what the tokenizer makes of the examples that are not cut, as the others' rest is not seen."""
    columns = dataset.data
    is_whole = pc.invert(columns["truncated"])
    counted = ("words", "characters", "subwords", "unknown")
    return Tokens(
        **{name: int(pc.sum(columns[name].filter(is_whole)).as_py() or 0) for name in counted},
        targets=int(pc.sum(pc.list_value_length(columns["targets"])).as_py()),
        lengths=measuring.quantiles(pc.list_flatten(columns["windows"]).to_numpy()),
    )


def _label_counts(dataset: Dataset, *, label_names: Sequence[str]) -> dict[str, int]:
    """Count each label, and the targets without gold as ""."""
    gold = gold_values(pc.list_flatten(dataset.data["gold"]))
    named = {name: int((gold == label_id).sum()) for label_id, name in enumerate(label_names)}
    num_missing = int((~has_gold(gold)).sum())
    return named | ({"": num_missing} if num_missing else {})
