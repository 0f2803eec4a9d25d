"""Multilingual datasets, a DataModule each."""

from babelfit.data.base import MultilingualDataModule
from babelfit.data.labelled import LabelledDataModule
from babelfit.data.pawsx import PAWSX
from babelfit.data.text import Text
from babelfit.data.wikiann import WikiANN
from babelfit.data.xnli import XNLI

__all__ = ["DATA", "PAWSX", "XNLI", "LabelledDataModule", "MultilingualDataModule", "Text", "WikiANN"]

DATA: dict[str, type[MultilingualDataModule]] = {"xnli": XNLI, "pawsx": PAWSX, "wikiann": WikiANN, "text": Text}
