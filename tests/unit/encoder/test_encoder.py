"""Which parameters lie how deep, how long a sequence may be, and what of an encoder's files is read."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import KINDS, model

from babelfit.encoder.encoder import depths, max_tokens
from babelfit.encoder.loading import files_read
from babelfit.errors import UserError

NUM_LAYERS = 3


@pytest.mark.parametrize("kind", [*KINDS, "modernbert"])
def test_parameters_lie_as_deep_as_their_layer(kind: str) -> None:
    made = model(kind)
    for name, depth in depths(made).items():
        if "layer." in name or "layers." in name:
            assert f".{depth - 1}." in name
        elif "embeddings." in name:
            assert depth == 0
        else:
            assert depth == NUM_LAYERS + 1
    assert set(depths(made).values()) == set(range(NUM_LAYERS + 2))


def test_what_has_no_stack_of_layers_has_no_depths() -> None:
    with pytest.raises(UserError, match=r"albert has no stack of 3 layers.*encoder\.freeze_layers at 0"):
        depths(model("albert", head="token_classification", embedding_size=32))


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("xlm-roberta", 64), ("xlm-roberta-xl", 64), ("bert", 66), ("deberta-v2", 66), ("modernbert", 66)],
)
def test_a_sequence_may_be_as_long_as_the_positions_reach(kind: str, longest: int) -> None:
    assert max_tokens(model(kind)) == longest


def test_a_model_without_positions_sets_no_bound() -> None:
    made = model("deberta-v2")
    made.config = SimpleNamespace(model_type="endless")
    assert max_tokens(made) is None


def test_only_files_are_read_for_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.json").mkdir()
    os.mkfifo(tmp_path / "b.json")  # who reads it waits for ever
    assert list(files_read(str(tmp_path)).files) == ["config.json"]
