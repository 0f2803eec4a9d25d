"""Datasets by name: the facts about each in a short file, with the DataModule that is made of them."""

from babelfit.data import MultilingualDataModule, Text
from babelfit.datasets.pawsx import PAWSX
from babelfit.datasets.wikiann import WikiANN
from babelfit.datasets.xnli import XNLI

__all__ = ["DATASETS", "PAWSX", "XNLI", "Text", "WikiANN"]

DATASETS: dict[str, type[MultilingualDataModule]] = {"xnli": XNLI, "pawsx": PAWSX, "wikiann": WikiANN, "text": Text}
