"""Multilingual datasets, a DataModule each."""

from babelfit.data.base import MultilingualDataModule
from babelfit.data.xnli import XNLI

__all__ = ["DATA", "XNLI", "MultilingualDataModule"]

DATA: dict[str, type[MultilingualDataModule]] = {"xnli": XNLI}
