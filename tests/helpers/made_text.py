"""A DataModule of masked text, made of the bundled sample's sentences: to train on without files of one's own."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset, Features, Value
from datasets import Sequence as ListOf

from babelfit.data import DatasetFacts, MultilingualDataModule
from babelfit.datasets.xnli import COLUMNS, SPELLINGS
from babelfit.rows.encoding import cache_folder
from babelfit.rows.read import DataFile, RowsRead
from babelfit.rows.readers import read_tsv
from babelfit.sample import write_nli
from babelfit.tasks import MaskedTokens

FEATURES = Features(
    {
        "input_ids": ListOf(Value("int32")),
        "windows": ListOf(Value("int32")),
        "index": Value("int64"),
        "maskable": Value("int32"),
        "second": Value("int32"),
    }
)


class _Here:
    """Text that is always there."""

    is_sample = True

    def facts(self) -> dict[str, str | None]:
        return {"kind": "made"}

    def available(self, split: str, *, languages: Sequence[str]) -> tuple[str, ...]:
        return () if split == "test" else tuple(languages)


class MadeText(MultilingualDataModule):
    """Premises of the sample's NLI part, one an example."""

    dataset = DatasetFacts(name="made", task=MaskedTokens())
    mask_share = 0.15
    origin = _Here()

    def __init__(self, *, languages: Sequence[str] | None, tokenizer: Any, **settings: Any) -> None:
        ours = {key: value for key, value in settings.items() if key not in WITHOUT}
        super().__init__(languages=languages or settings["train_languages"], tokenizer=tokenizer, **ours)

    def download(self) -> None:
        pass

    def has(self, split: str) -> bool:
        return split != "test"

    def has_gold(self, split: str, language: str) -> bool:
        return True

    def _opened(self, split: str, language: str) -> tuple[Dataset, RowsRead]:
        folder = cache_folder() / "made"
        if not folder.exists():
            write_nli(folder)
        file = folder / f"xnli/{'dev' if split == 'validation' else split}-{language}.tsv"
        table = read_tsv(file, language=language, columns=COLUMNS, spellings=SPELLINGS)
        sentences = list(dict.fromkeys(table["premise"].to_pylist()))[: self.limit[split]]
        rows = self.tokenizer(sentences, truncation=True, max_length=self.max_length)["input_ids"]
        special = self.tokenizer.all_special_ids
        columns = {
            "input_ids": rows,
            "windows": [[len(row)] for row in rows],
            "index": list(range(len(rows))),
            "maskable": [int((~np.isin(row, special)).sum()) for row in rows],
            "second": [0] * len(rows),
        }
        digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
        files = [DataFile(path=file.name, bytes=file.stat().st_size, sha256=digest)]
        read = RowsRead(files=files, rows=len(rows), examples=len(rows))
        return Dataset.from_dict(columns, features=FEATURES), read

    def _tell(self, split: str, languages: Sequence[str], *, num_tokens: int) -> None:
        pass


WITHOUT = ("folder", "revision", "train_split", "regime", "few_shot")
"""What is for labelled data alone."""
