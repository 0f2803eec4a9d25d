"""Heads: what turns hidden states into logits, loss and outputs."""

from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from babelfit.heads.classification import Classification
from babelfit.heads.head import Head
from babelfit.heads.masked import MaskedTokens
from babelfit.heads.regression import Regression

__all__ = ["HEADS", "Head"]

HEADS: dict[str, Head] = {
    "sequence_classification": Classification(AutoModelForSequenceClassification),
    "sequence_regression": Regression(),
    "token_classification": Classification(AutoModelForTokenClassification),
    "masked_language_modeling": MaskedTokens(),
}
