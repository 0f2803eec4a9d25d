"""An unknown name is answered with the known one that is most like it."""

import pytest

from babelfit.config.nearest import did_you_mean, nearest

KEYS = ["seed", "data", "optimization.learning_rate", "optimization.batch_size", "data.limit.train", "trainer.devices"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sed", "seed"),
        ("dta", "data"),
        ("optimization.lerning_rate", "optimization.learning_rate"),
        ("batch_size", "optimization.batch_size"),
        ("optimisation.batch_size", "optimization.batch_size"),
        ("xyzzy", None),
    ],
)
def test_the_nearest_key_is_found_also_in_another_section(name: str, meant: str | None) -> None:
    assert nearest(name, KEYS) == meant


def test_nothing_is_asked_where_nothing_is_near() -> None:
    assert did_you_mean("trian", ["train", "plan"]) == "; did you mean train?"
    assert did_you_mean("xyzzy", ["train", "plan"]) == ""
    assert did_you_mean("anything", []) == ""
