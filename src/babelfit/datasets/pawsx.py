"""PAWS-X (Yang et al. 2019): do two sentences of almost the same words mean the same, in seven languages.

All facts about the dataset and how its files lie; not how files are found or read.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, final

import pyarrow as pa
import pyarrow.compute as pc

from babelfit.data import DatasetFacts, LabelledDataModule, Sample
from babelfit.rows.readers import read_parquet, read_translations, read_tsv
from babelfit.rows.sources import HUB_PARQUET, TRANSLATED, Layout
from babelfit.sample import PARAPHRASE_LANGUAGES, PARAPHRASE_ROWS, write_paraphrase
from babelfit.tasks import Classification

LANGUAGES = ("de", "en", "es", "fr", "ja", "ko", "zh")
LABELS = ("not_paraphrase", "paraphrase")  # 0 and 1 in the files
ROWS = {"train": 49_401, "validation": 2_000, "test": 2_000}  # in each language
PLACEHOLDER = "NS"  # stands for a sentence that was not translated

TEXTS = ("sentence1", "sentence2")
COLUMNS = {"sentence1": ("sentence1",), "sentence2": ("sentence2",), "label": ("label",)}
SPELLINGS: dict[str, str | None] = {"0": "not_paraphrase", "1": "paraphrase"}

_read_tsv = partial(read_tsv, columns=COLUMNS, spellings=SPELLINGS)

LAYOUTS = (
    Layout(
        name="XTREME",
        patterns={
            "train": "pawsx/train-{language}.tsv",
            "validation": "pawsx/dev-{language}.tsv",
            "test": "pawsx/test-{language}.tsv",
        },
        read=_read_tsv,
    ),
    Layout(
        name="x-final",
        patterns={
            # English is the original; the other languages' training rows are machine translations of it.
            "train": "x-final/{language}/*train.tsv",
            "validation": "x-final/{language}/dev_2k.tsv",
            "test": "x-final/{language}/test_2k.tsv",
        },
        read=_read_tsv,
    ),
    Layout(
        name="XTREME's translations",
        patterns={
            "train": "pawsx/translate-train/en-{language}-translated.tsv",
            f"{TRANSLATED}test": "pawsx/translate-test/test-{language}-en-translated.tsv",
        },
        read=partial(read_translations, columns=COLUMNS, spellings=SPELLINGS),
    ),
    Layout(
        name="Hub parquet",
        patterns=HUB_PARQUET,
        read=partial(read_parquet, texts=TEXTS, labels=LABELS, names=tuple(SPELLINGS)),
    ),
)


def untranslated(table: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    """Return a mask of the rows in which a sentence was not translated."""
    return {f"untranslated, {PLACEHOLDER}": pc.or_(*(pc.equal(table[column], PLACEHOLDER) for column in TEXTS))}


@final
class PAWSX(LabelledDataModule):
    """PAWS-X with its English training rows and their translations."""

    dataset = DatasetFacts(
        name="pawsx",
        task=Classification(labels=LABELS, texts=TEXTS, aliases={"0": "not_paraphrase", "1": "paraphrase"}),
        rows=dict.fromkeys(LANGUAGES, ROWS),
        layouts=LAYOUTS,
        hub_repo="google-research-datasets/paws-x",
        hub_languages=LANGUAGES,
        is_parallel=True,
        written_in="en",
        sample=Sample(rows=dict.fromkeys(PARAPHRASE_LANGUAGES, PARAPHRASE_ROWS), write=write_paraphrase),
        dropped=untranslated,
    )

    def __init__(self, **settings: Any) -> None:
        """Accept the settings of every labelled dataset."""
        super().__init__(self.dataset, **settings)
