"""The bundled encoder carries what it learns on English to other languages, and random weights do not.

Shorter than the default runs, in some languages, and with wide margins: the README has the whole tables.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SHORT = ("name=run", "logger.tensorboard=false", "validation.every=100000", "data.limit.test=200", "seed=1")


def trained(command: Callable[..., Any], *arguments: str) -> tuple[float, float]:
    """Train on English; return its score and the targets' mean."""
    outcome = command("train.py", *SHORT, *arguments)
    assert outcome.status == 0, outcome.err
    transfer = json.loads(Path("outputs/run/scores/test.json").read_text())["transfer"]
    return transfer["source"], transfer["target_mean"]


@pytest.mark.parametrize(
    ("data", "languages", "epochs", "source", "target"),
    [
        ("xnli_sample", "[en,de,vi]", 4, 0.7, 0.6),
        ("pawsx", "[en,de,fr]", 8, 0.65, 0.55),
        ("wikiann", "[en,de,ru,sw]", 1, 0.85, 0.45),
    ],
)
def test_what_is_learned_on_english_arrives_elsewhere(
    command: Callable[..., Any], data: str, languages: str, epochs: int, source: float, target: float
) -> None:
    english, others = trained(
        command, f"data={data}", "data.folder=sample", f"data.languages={languages}", f"optimization.epochs={epochs}"
    )
    assert english > source
    assert others > target


def test_with_random_weights_english_is_learned_and_nothing_arrives(command: Callable[..., Any]) -> None:
    arguments = ("encoder=mini_random", "optimization.epochs=4", "data.languages=[en,de,vi]")
    english, others = trained(command, *arguments)
    assert english > 0.5
    assert others < 0.42
