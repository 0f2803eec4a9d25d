"""What a task is scored by, with additive states: exact under any sharding. Knows no model and no language."""

from collections.abc import Sequence

import torch
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

MAIN_METRIC = {
    "sequence_classification": "accuracy",
    "token_classification": "f1",
    "masked_language_modeling": "log_likelihood",
}
"""The score that selects checkpoints and measures transfer, by head; the higher the better."""


def build_metrics(head: str, *, label_names: Sequence[str], across_ranks: bool) -> MetricCollection:
    """Build a head's metrics; update them with `preds`, `target` (both label ids) and `sentences`, (targets,) each.

    For sequences: accuracy (micro) and macro F1. For tokens: span F1, precision, recall and strict span F1. For masked
    tokens, updated with `nll` and `right`: log-likelihood, perplexity and accuracy.
    With `across_ranks`, what all ranks have seen counts, and all must ask at the same time.
    """
    if head == "token_classification":
        return MetricCollection({"span": SpanF1(label_names, sync_on_compute=across_ranks)})
    if head == "masked_language_modeling":
        return MetricCollection({"masked": MaskedTokens(sync_on_compute=across_ranks)})
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(len(label_names), average="micro", sync_on_compute=across_ranks),
            "f1": MulticlassF1Score(len(label_names), average="macro", sync_on_compute=across_ranks),
        }
    )


class MaskedTokens(Metric):
    """How well masked tokens are guessed: mean log-likelihood in nats, its perplexity, and the share of right ones."""

    full_state_update = False
    nll: torch.Tensor
    right: torch.Tensor
    masked: torch.Tensor

    def __init__(self, *, sync_on_compute: bool = False) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self.add_state("nll", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("right", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("masked", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, nll: torch.Tensor, right: torch.Tensor) -> None:
        """Count masked tokens, given the negative log-likelihood of each and whether it is guessed: (targets,)."""
        self.nll += nll.double().sum()
        self.right += right.sum()
        self.masked += len(nll)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return log_likelihood, perplexity and accuracy of a masked token; NaN where there was none."""
        mean = self.nll / self.masked
        return {"log_likelihood": -mean, "perplexity": mean.exp(), "accuracy": self.right.double() / self.masked}


class SpanF1(Metric):
    """Micro F1 over labelled spans, a span counting only with both borders and the type right.

    Broken IOB2 is read as conlleval and seqeval's default mode read it: a tag that follows another type, or nothing,
    begins a span even if it says I (Tjong Kim Sang & De Meulder 2003). `f1_strict` counts only spans that begin with B,
    as seqeval's strict mode does under IOB2.
    """

    full_state_update = False
    spans: torch.Tensor  # (2 ways of reading, 3): right, predicted and gold

    def __init__(self, label_names: Sequence[str], *, sync_on_compute: bool = False) -> None:
        """Take the tags in the order of their ids: "O", and "B-TYPE" or "I-TYPE"."""
        super().__init__(sync_on_compute=sync_on_compute)
        types = sorted({name[2:] for name in label_names if name != "O"})
        self._types = torch.tensor([-1 if name == "O" else types.index(name[2:]) for name in label_names])
        self._begins = torch.tensor([name.startswith("B-") for name in label_names])
        self.add_state("spans", default=torch.zeros(2, 3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: torch.Tensor, target: torch.Tensor, sentences: torch.Tensor) -> None:
        """Count the spans of whole sentences, whose words come one after the other, a number a sentence."""
        borders = torch.ones(len(sentences) + 1, dtype=torch.bool, device=sentences.device)
        borders[1:-1] = sentences[1:] != sentences[:-1]
        predicted, gold = self._read(preds, borders=borders), self._read(target, borders=borders)
        for row, (ours, theirs) in enumerate(zip(predicted, gold, strict=True)):
            right = torch.isin(ours, theirs).sum()
            self.spans[row] += torch.stack([right, right.new_tensor(len(ours)), right.new_tensor(len(theirs))])

    def by_sentence(self, preds: torch.Tensor, target: torch.Tensor, sentences: torch.Tensor) -> torch.Tensor:
        """Count right, predicted and gold spans of each sentence, numbered from 0: (sentences, 3); keeps no state."""
        borders = torch.ones(len(sentences) + 1, dtype=torch.bool, device=sentences.device)
        borders[1:-1] = sentences[1:] != sentences[:-1]
        predicted, gold = self._read(preds, borders=borders)[0], self._read(target, borders=borders)[0]
        num_sentences = int(sentences.max()) + 1

        def counted(spans: torch.Tensor) -> torch.Tensor:
            starts = spans // len(self._begins) // len(sentences)
            return torch.bincount(sentences[starts], minlength=num_sentences)

        return torch.stack([counted(predicted[torch.isin(predicted, gold)]), counted(predicted), counted(gold)], dim=1)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return f1, precision, recall and f1_strict; 0 where nothing is predicted or nothing is there."""
        right, predicted, gold = self.spans.double().unbind(1)
        f1 = 2 * right / (predicted + gold).clamp(min=1)
        precision, recall = right / predicted.clamp(min=1), right / gold.clamp(min=1)
        return {"f1": f1[0], "precision": precision[0], "recall": recall[0], "f1_strict": f1[1]}

    def _read(self, labels: torch.Tensor, *, borders: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Find all spans, and those that begin with B; each is one number made of its borders and its type."""
        types, says_begin = self._types.to(labels.device)[labels], self._begins.to(labels.device)[labels]
        changes = torch.ones_like(borders)  # (words + 1,): another type than the word before, or another sentence
        changes[1:-1] = (types[1:] != types[:-1]) | says_begin[1:]
        changes |= borders
        starts = (changes[:-1] & (types >= 0)).nonzero().squeeze(1)
        ends = (changes[1:] & (types >= 0)).nonzero().squeeze(1)
        spans = (starts * len(labels) + ends) * len(self._begins) + types[starts]
        return spans, spans[says_begin[starts]]
