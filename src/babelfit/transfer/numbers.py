"""Transfer numbers from one score a language: plain arithmetic, no library."""

from collections.abc import Mapping, Sequence
from typing import Any


def transfer_numbers(scores: Mapping[str, float], *, source_languages: Sequence[str]) -> dict[str, Any]:
    """Return how much of what was learned on the source languages arrives in the others.

    `gap` is the mean over source languages less the mean over target languages (Hu et al. 2020, XTREME), `retention`
    the target mean as a share of the source mean. Means are over languages, unweighted. A number that is undefined
    (no source or no target language among the scores, the retention of a source mean that is not above zero) is None.
    """
    source = _mean([score for language, score in scores.items() if language in source_languages])
    targets = {language: score for language, score in scores.items() if language not in source_languages}
    target_mean = _mean(list(targets.values()))
    worst = min(targets, key=lambda language: (targets[language], language)) if targets else None
    return {
        "source": source,
        "target_mean": target_mean,
        "mean": _mean(list(scores.values())),
        "gap": None if source is None or target_mean is None else source - target_mean,
        "retention": None if source is None or source <= 0 or target_mean is None else target_mean / source,
        "worst": {"language": worst, "score": targets[worst]} if worst is not None else None,
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
