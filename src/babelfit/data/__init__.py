"""Multilingual datasets, a DataModule each."""

from babelfit.data.base import MultilingualDataModule
from babelfit.data.labelled import LabelledDataModule
from babelfit.data.text import Text
from babelfit.datasets.pawsx import PAWSX
from babelfit.datasets.wikiann import WikiANN
from babelfit.datasets.xnli import XNLI

__all__ = ["DATA", "PAWSX", "XNLI", "LabelledDataModule", "MultilingualDataModule", "Text", "WikiANN"]

DATA: dict[str, type[MultilingualDataModule]] = {"xnli": XNLI, "pawsx": PAWSX, "wikiann": WikiANN, "text": Text}
