"""Tasks to make predictions and scores of."""

from babelfit.tasks import Classification, MaskedTokens, Regression, Tagging

NLI = Classification(labels=("entailment", "neutral", "contradiction"), texts=("premise", "hypothesis"))
NER = Tagging(labels=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"))
TOKENS = MaskedTokens()
RATINGS = Regression(texts=("sentence1", "sentence2"))
"""Numbers, whose score may be below zero."""
