"""Turn the rows of one language and split into token ids, once: an Arrow file keyed by content, mapped by every run.

The key is a hash of all that decides the ids (the rows' bytes, the tokenizer, the settings and CACHE_VERSION), so a
cache is never stale and runs share it.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

CACHE_VERSION = 1
ROWS_PER_CHUNK = 4096
SECONDS_BEFORE_PROGRESS = 2


def cache_folder() -> Path:
    """Name the folder of all caches: $BABELFIT_CACHE, else the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "babelfit"
    return Path(os.environ.get("BABELFIT_CACHE") or default)


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """Hash everything that decides a tokenizer's output."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def tokenized(
    key: dict[str, Any],
    *,
    rows: Callable[[], pa.Table],
    encode: Callable[[pa.Table], dict[str, Any]],
    schema: pa.Schema,
    description: str,
) -> Dataset:
    """Open the tokenized rows of this key, tokenizing them first where no cache holds them.

    `rows` reads the text and `encode` turns a chunk of it into the columns of `schema`; neither is called on a hit.
    """
    digest = hashlib.sha256(json.dumps({"version": CACHE_VERSION, **key}, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / "tokens" / f"{digest[:32]}.arrow"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own for each process: two that tokenize the same rows at once write the same bytes twice.
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                for chunk in _with_progress(rows(), description):
                    writer.write_table(pa.table(encode(chunk), schema=schema))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return Dataset.from_file(str(path))


def _with_progress(table: pa.Table, description: str) -> Iterator[pa.Table]:
    """Yield a table in chunks, with a progress bar where it takes long."""
    with tqdm(total=table.num_rows, desc=description, delay=SECONDS_BEFORE_PROGRESS, unit=" rows", leave=False) as bar:
        for start in range(0, table.num_rows, ROWS_PER_CHUNK):
            chunk = table.slice(start, ROWS_PER_CHUNK)
            yield chunk
            bar.update(chunk.num_rows)


def encode_pairs(
    table: pa.Table, *, tokenizer: PreTrainedTokenizerFast, texts: tuple[str, str], max_length: int
) -> dict[str, Any]:
    """Encode two text columns as pairs, cut to `max_length` subwords from the longer side: ids and what was cut."""
    first, second = (table[column].to_pylist() for column in texts)
    encoded = tokenizer(first, second, truncation="longest_first", max_length=max_length, return_attention_mask=False)
    columns = {name: encoded[name] for name in ("input_ids", "token_type_ids") if name in encoded}
    # The tokenizer keeps what it cut off beside each encoding.
    return columns | {"truncated": [bool(one.overflowing) for one in encoded.encodings]}
