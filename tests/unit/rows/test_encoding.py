"""Rows are tokenized once, however many processes ask for them at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest

from babelfit.rows.encoding import cache_folder, tokenized

SCHEMA = pa.schema([pa.field("number", pa.int64())])


def ask(key: str, *, calls: list[int], fails: int = 0) -> list[int]:
    def chunks(facts: dict[str, Any]) -> Iterator[pa.Table]:
        calls.append(1)
        if len(calls) <= fails:
            raise OSError("the disk is gone")
        yield pa.table({"number": [1, 2]}, schema=SCHEMA)
        facts["told"] = "at the end"
        yield pa.table({"number": [3]}, schema=SCHEMA)

    dataset, facts = tokenized({"test": key}, chunks=chunks, schema=SCHEMA)
    assert facts == {"told": "at the end"}
    return list(dataset["number"])


def test_only_one_of_many_tokenizes() -> None:
    calls: list[int] = []
    together = Barrier(4)

    def one(_: int) -> list[int]:
        together.wait()
        return ask("many", calls=calls)

    # A lock is a matter of open files, not of processes: threads show it as well.
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [[1, 2, 3]] * 4
    assert len(calls) == 1
    assert not list((cache_folder() / "tokens").glob("*.lock"))


def test_where_one_fails_the_next_tokenizes() -> None:
    calls: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        ask("failing", calls=calls, fails=1)
    assert ask("failing", calls=calls, fails=1) == [1, 2, 3]
    assert not list((cache_folder() / "tokens").glob("*.tmp"))


def test_rows_without_their_facts_are_tokenized_again() -> None:
    calls: list[int] = []
    before = set((cache_folder() / "tokens").glob("*.json"))
    ask("half", calls=calls)
    [facts] = set((cache_folder() / "tokens").glob("*.json")) - before
    facts.unlink()

    assert ask("half", calls=calls) == [1, 2, 3]
    assert len(calls) == 2
