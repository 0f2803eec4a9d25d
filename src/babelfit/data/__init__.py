"""DataModules of multilingual text: of labelled datasets, made of facts, and of one's own text."""

from babelfit.data.base import MultilingualDataModule
from babelfit.data.facts import DatasetFacts, Sample
from babelfit.data.labelled import LabelledDataModule
from babelfit.data.text import Text

__all__ = ["DatasetFacts", "LabelledDataModule", "MultilingualDataModule", "Sample", "Text"]
