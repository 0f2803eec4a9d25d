"""A run that trains the embeddings it reads exports the model that a run with the whole table exports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

FULL, ACTIVE = Path("outputs/full"), Path("outputs/active")


def metrics(run: Path) -> list[tuple[str, str, float]]:
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()[1:]]
    return [(step, name, float(value)) for step, name, value in rows]


@pytest.mark.parametrize("data", ["xnli_sample", "wikiann"])
def test_a_whole_run_exports_the_same_model_and_scores(train: Callable[..., Any], data: str) -> None:
    arguments = (f"data={data}", "data.folder=sample", "data.languages=[en,zh]", "optimization.weight_decay=0",
                 # In 32 bits AdamW makes much of rounding where a gradient is zero, as that of a key bias is.
                 "trainer.precision=64-true")  # fmt: skip
    whole = train("name=full", "encoder.vocabulary=full", *arguments)
    # In smaller portions, which change nothing either.
    active = train("name=active", "trainer.tokens_per_device=150", *arguments)

    assert (whole.status, active.status) == (0, 0), whole.err + active.err
    assert "active vocabulary" not in whole.err
    assert "embeddings are read in training" in active.err
    for ours, theirs in zip(metrics(ACTIVE), metrics(FULL), strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2] == pytest.approx(theirs[2], abs=1e-5)
    expected, exported = (load_file(run / "model" / "model.safetensors") for run in (FULL, ACTIVE))
    assert expected.keys() == exported.keys()
    for name, value in expected.items():
        torch.testing.assert_close(exported[name], value, atol=1e-5, rtol=0, msg=name)


def test_weight_decay_shrinks_what_nothing_reads_in_the_whole_table_alone(train: Callable[..., Any]) -> None:
    arguments = ("data.languages=[en]", "optimization.weight_decay=0.5")
    train("name=full", "encoder.vocabulary=full", *arguments)
    train("name=active", *arguments)
    name = "roberta.embeddings.word_embeddings.weight"
    decayed, exported = (load_file(run / "model" / "model.safetensors")[name] for run in (FULL, ACTIVE))
    differ = (decayed - exported).abs().amax(1) > 1e-4
    assert 0.2 < differ.float().mean() < 1
    torch.testing.assert_close(decayed[~differ], exported[~differ], atol=1e-5, rtol=0)
    assert (decayed[differ].norm(dim=1) < exported[differ].norm(dim=1)).all()
