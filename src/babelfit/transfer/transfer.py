"""The cross-lingual transfer metric for Hugging Face `evaluate`: `evaluate.load("<path of this folder>")`.

The loader reads the import lines one by one, so each import has a line of its own.
"""

from collections import defaultdict
from typing import Any

import datasets
import evaluate

from .numbers import transfer_numbers

DESCRIPTION = """\
Accuracy in each language, and how much of what a model learned on its source languages arrives in the others: source
mean, target mean, gap, retention and worst target language.
"""

CITATION = """\
@inproceedings{hu2020xtreme,
  title     = {{XTREME}: A Massively Multilingual Multi-task Benchmark for Evaluating Cross-lingual Generalisation},
  author    = {Hu, Junjie and Ruder, Sebastian and Siddhant, Aditya and Neubig, Graham and Firat, Orhan and
               Johnson, Melvin},
  booktitle = {Proceedings of ICML},
  year      = {2020}
}
"""

INPUTS = """\
Args:
    predictions (list of int): predicted label ids.
    references (list of int): right label ids.
    languages (list of str): the language of each example.
    source_languages (list of str): the languages the model was trained on.
Returns:
    languages: for each language its accuracy and number of examples.
    transfer: source, target_mean, mean, gap, retention, worst (fractions of 1; None where undefined).
"""


class Transfer(evaluate.Metric):
    """Compute accuracy by language and the transfer numbers."""

    def _info(self) -> evaluate.MetricInfo:
        features = {
            "predictions": datasets.Value("int32"),
            "references": datasets.Value("int32"),
            "languages": datasets.Value("string"),
        }
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features(features),
        )

    def _compute(
        self, predictions: list[int], references: list[int], languages: list[str], source_languages: list[str]
    ) -> dict[str, Any]:
        right: defaultdict[str, list[bool]] = defaultdict(list)
        for predicted, reference, language in zip(predictions, references, languages, strict=True):
            right[language].append(predicted == reference)
        accuracy = {language: sum(hits) / len(hits) for language, hits in right.items()}
        return {
            "languages": {
                language: {"accuracy": accuracy[language], "examples": len(hits)} for language, hits in right.items()
            },
            "transfer": transfer_numbers(accuracy, source_languages=source_languages),
        }
