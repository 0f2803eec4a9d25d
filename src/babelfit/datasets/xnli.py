"""XNLI (Conneau et al. 2018): does the premise entail the hypothesis, contradict it, or neither, in 15 languages.

All facts about the dataset and how its files lie; not how files are found or read.
"""

from functools import partial
from typing import Any, final

from babelfit.data import DatasetFacts, LabelledDataModule, Sample
from babelfit.rows.readers import read_parquet, read_translations, read_tsv
from babelfit.rows.sources import HUB_PARQUET, TRANSLATED, Layout
from babelfit.sample import NLI_LANGUAGES, NLI_ROWS, write_nli
from babelfit.tasks import Classification

LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
LABELS = ("entailment", "neutral", "contradiction")  # the Hub's order
ALIASES = {"contradictory": "contradiction"}  # the spelling of XNLI-MT-1.0
ROWS = {"train": 392_702, "validation": 2_490, "test": 5_010}  # in each language

COLUMNS = {
    "premise": ("premise", "sentence1"),
    "hypothesis": ("hypothesis", "hypo", "sentence2"),
    "label": ("label", "gold_label"),
}
# "-" stands where the annotators did not agree on a label.
SPELLINGS: dict[str, str | None] = {label: label for label in LABELS} | ALIASES | {"-": None}

_read_tsv = partial(read_tsv, columns=COLUMNS, spellings=SPELLINGS)

LAYOUTS = (
    Layout(
        name="XTREME",
        patterns={
            "train": "xnli/train-{language}.tsv",
            "validation": "xnli/dev-{language}.tsv",
            "test": "xnli/test-{language}.tsv",
        },
        read=_read_tsv,
    ),
    Layout(
        name="XNLI-1.0 and XNLI-MT-1.0",
        patterns={
            "train": "XNLI-MT-1.0/multinli/multinli.train.{language}.tsv",
            "validation": "XNLI-1.0/xnli.dev.tsv",
            "test": "XNLI-1.0/xnli.test.tsv",
            # Into English, in one file with the language that each row was translated from.
            f"{TRANSLATED}validation": "XNLI-MT-1.0/xnli/xnli.dev.en.tsv",
            f"{TRANSLATED}test": "XNLI-MT-1.0/xnli/xnli.test.en.tsv",
        },
        read=_read_tsv,
    ),
    Layout(
        name="XTREME's translations",
        patterns={
            "train": "xnli/translate-train/en-{language}-translated.tsv",
            f"{TRANSLATED}test": "xnli/translate-test/test-{language}-en-translated.tsv",
        },
        read=partial(read_translations, columns=COLUMNS, spellings=SPELLINGS),
    ),
    Layout(
        name="Hub parquet",
        patterns=HUB_PARQUET,
        read=partial(read_parquet, texts=("premise", "hypothesis"), labels=LABELS, names=LABELS),
    ),
)


@final
class XNLI(LabelledDataModule):
    """XNLI with the English training rows of MultiNLI and their translations."""

    dataset = DatasetFacts(
        name="xnli",
        task=Classification(labels=LABELS, texts=("premise", "hypothesis"), aliases=ALIASES),
        rows=dict.fromkeys(LANGUAGES, ROWS),
        layouts=LAYOUTS,
        hub_repo="facebook/xnli",
        hub_languages=LANGUAGES,
        is_parallel=True,
        written_in="en",
        sample=Sample(rows=dict.fromkeys(NLI_LANGUAGES, NLI_ROWS), write=write_nli),
    )

    def __init__(self, **settings: Any) -> None:
        """Accept the settings of every labelled dataset."""
        super().__init__(self.dataset, **settings)
