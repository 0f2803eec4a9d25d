"""Turn the rows of one language and split into token ids, once: an Arrow file keyed by content, mapped by every run.

The key is a hash of all that decides the ids (the rows' bytes, the tokenizer, the settings and the source of the code
that reads and encodes), so a cache is never stale and runs share it.
"""

import fcntl
import hashlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from datasets import Dataset
from tokenizers import pre_tokenizers
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from babelfit.devices import preemption
from babelfit.errors import UserError

ROWS_PER_CHUNK = 4096
SECONDS_BEFORE_PROGRESS = 2

_PROBE = ["Maria", "Kowalska", "visited", "Nairobi", "in", "1969"]

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Make the folder of all caches, $BABELFIT_CACHE or in the user's; raise UserError where it cannot be."""
    folder = os.environ.get("BABELFIT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "babelfit"
    try:
        made = Path(folder).expanduser()
        made.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # the latter where nobody has a home
        raise UserError(
            f"no cache at {folder} ({error}): set BABELFIT_CACHE to a folder that can be written"
        ) from error
    return made


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return a hash of all that decides a tokenizer's output, less truncation and padding, which every call sets."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str()) | {"truncation": None, "padding": None}
    return _digest([backend, tokenizer.model_input_names, tokenizer.unk_token_id])


def code_fingerprint(modules: Iterable[str]) -> str:
    """Return a hash of imported modules' source; where there is none, as in an interpreter, a new one each time."""
    sources = []
    for module in modules:
        try:
            sources.append(inspect.getsource(sys.modules[module]))
        except (KeyError, OSError, TypeError):
            log.info("%s has no source file, so the rows that it reads are tokenized again each time", module)
            sources.append(uuid4().hex)
    return _digest(sources)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def tokenized(
    key: dict[str, Any],
    *,
    chunks: Callable[[dict[str, Any]], Iterator[pa.Table]],
    schema: pa.Schema,
) -> tuple[Dataset, dict[str, Any]]:
    """Open the tokenized rows of this key and the facts about them, tokenizing first where no cache holds them.

    `chunks` yields them, as tables of `schema`, and has filled in facts that JSON can hold when it is through; it is
    not called on a hit. No more than a chunk is held in memory.
    """
    path = cache_folder() / "tokens" / f"{_digest(key)[:32]}.arrow"
    facts = path.with_suffix(".json")
    if not (path.exists() and facts.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            # Another process may have tokenized these rows while this one waited.
            if not (path.exists() and facts.exists()):
                _write(path, facts, chunks=chunks, schema=schema)
    return Dataset.from_file(str(path)), json.loads(facts.read_text(encoding="utf-8"))


def _write(
    path: Path, facts_path: Path, *, chunks: Callable[[dict[str, Any]], Iterator[pa.Table]], schema: pa.Schema
) -> None:
    # A name of its own for each process: without locks, two that tokenize the same rows write the same bytes twice.
    temporary, temporary_facts = (one.with_suffix(f"{one.suffix}.{os.getpid()}.tmp") for one in (path, facts_path))
    facts: dict[str, Any] = {}
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for chunk in chunks(facts):
                writer.write_table(chunk)
        temporary_facts.write_text(json.dumps(facts), encoding="utf-8")
        temporary_facts.replace(facts_path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        temporary_facts.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time in; the lock ends with the process that holds it, however that ends.

    On a file system without locks, all are let in.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("waiting for another process, which tokenizes the same rows")
            with preemption.break_off_at_once():
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            log.debug("no lock on %s: %s", path, error)
        try:
            yield
        finally:
            # Whoever opened it before has it still, and whoever comes now finds the rows.
            path.unlink(missing_ok=True)


def with_progress(table: pa.Table, description: str) -> Iterator[pa.Table]:
    """Yield a table in chunks, with a progress bar where it takes long."""
    with tqdm(total=table.num_rows, desc=description, delay=SECONDS_BEFORE_PROGRESS, unit=" rows", leave=False) as bar:
        for start in range(0, table.num_rows, ROWS_PER_CHUNK):
            preemption.answer()
            chunk = table.slice(start, ROWS_PER_CHUNK)
            yield chunk
            bar.update(chunk.num_rows)


def encode_texts(
    table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], max_length: int
) -> dict[str, Any]:
    """Encode a text column, or two as pairs, cut to `max_length` subwords from the longer side.

    The target of an example is its first token.
    """
    columns = [table[column].to_pylist() for column in texts]
    encoded = tokenizer(*columns, truncation="longest_first", max_length=max_length, return_attention_mask=False)
    kept = {name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded}
    return kept | {
        "windows": [[len(ids)] for ids in encoded["input_ids"]],
        "targets": [[0]] * table.num_rows,
        # The tokenizer keeps what it cut off beside each encoding.
        "truncated": [bool(one.overflowing) for one in encoded.encodings],
    }


def encode_words(table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, words: str, max_length: int) -> dict[str, Any]:
    """Encode a column of word lists, each sentence as windows of at most `max_length` subwords; targets are the words.

    Windows part between words. A word is read at its first subword; one that the tokenizer turns into nothing stands
    as the unknown token, and one that is longer than a window is cut.
    """
    begin, end = special_tokens(tokenizer)
    room = max_length - len(begin) - len(end)
    sentences = table[words].to_pylist()
    encoded = tokenizer(sentences, is_split_into_words=True, add_special_tokens=False, verbose=False)
    columns: dict[str, list[Any]] = {name: [] for name in ("input_ids", "windows", "targets", "truncated")}
    for sentence, encoding in zip(sentences, encoded.encodings, strict=True):
        subwords: list[list[int]] = [[] for _ in sentence]
        for subword, word in zip(encoding.ids, encoding.word_ids, strict=True):
            subwords[word].append(subword)
        ids: list[int] = []
        windows: list[int] = []
        targets = []
        held = room + 1  # subwords in the window that is open: none is
        for word in subwords:
            kept = word[:room] or [tokenizer.unk_token_id]
            if held + len(kept) > room:
                ids += end if windows else []
                windows.append(len(begin) + len(end))
                ids += begin
                held = 0
            targets.append(len(ids))
            ids += kept
            held += len(kept)
            windows[-1] += len(kept)
        columns["input_ids"].append(ids + end)
        columns["windows"].append(windows)
        columns["targets"].append(targets)
        columns["truncated"].append(any(len(word) > room for word in subwords))
    if "token_type_ids" in tokenizer.model_input_names:
        columns["token_type_ids"] = [np.zeros(len(ids), np.int32) for ids in columns["input_ids"]]
    return columns


def special_tokens(tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer puts before and after a sequence; raise UserError where these are unclear."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    before = next((place for place in range(len(whole)) if bare and whole[place : place + len(bare)] == bare), None)
    if before is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} turns 'a' into {bare}, and with special tokens into {whole}, "
            "so it is unclear which of them stand before and after a sentence: choose another encoder"
        )
    return whole[:before], whole[before + len(bare) :]


def read_words_as_in_text(tokenizer: PreTrainedTokenizerFast) -> None:
    """Make sure that words given one by one get the subwords that they have in running text.

    Byte-level BPE takes the space before a word for a part of it, which a word given alone has only if the tokenizer
    puts it there: this is set right in place, also for export. Raises UserError where the two differ all the same, and
    where there is no unknown token, as which a word is read that the tokenizer turns into nothing.
    """
    if tokenizer.unk_token_id is None:
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} has no unknown token (unk_token), which would stand for a "
            "word that it gives no tokens: choose another encoder"
        )

    def differ() -> bool:
        split = tokenizer(_PROBE, is_split_into_words=True, add_special_tokens=False)
        return bool(split["input_ids"] != tokenizer(" ".join(_PROBE), add_special_tokens=False)["input_ids"])

    if not differ():
        return
    pre_tokenizer: Any = tokenizer.backend_tokenizer.pre_tokenizer
    steps = [pre_tokenizer]
    if isinstance(pre_tokenizer, pre_tokenizers.Sequence):
        parts = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]["pretokenizers"]
        steps = [pre_tokenizer[place] for place in range(len(parts))]
    for step in steps:
        if isinstance(step, pre_tokenizers.ByteLevel):
            step.add_prefix_space = True
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizer
    # Otherwise a tokenizer that is loaded again would take the setting back.
    tokenizer.add_prefix_space = True
    tokenizer.init_kwargs["add_prefix_space"] = True
    if differ():
        raise UserError(
            f"the tokenizer of {tokenizer.name_or_path} splits a word given alone differently than in running text "
            f"({' '.join(_PROBE)!r}), so tags would be learned on subwords that do not occur in text: choose another "
            "encoder"
        )
    log.info("the tokenizer now puts a space before each word, so that words are split as in running text")
