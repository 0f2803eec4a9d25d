"""A run whose epochs mix languages goes on exactly where it stopped, and says what it takes of each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from babelfit.commands import cli
from babelfit.finetuning.finetuner import Finetuner

MIXED = ("data.languages=[en,sw]", "data.regime=few_shot", "data.few_shot.k=5", "data.sampling_exponent=0.5",
         "logger.every=1", "logger.tensorboard=false")  # fmt: skip
TOLD = "en 162 of 192 (30 left out), sw 45 of 15 (each 3.0 times)"
"""The square roots of 192 and 15 are as 13.856 to 3.873."""


def test_a_mixed_run_goes_on_where_it_stopped(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (*MIXED, "checkpoint.every=1", "validation.every=5")
    outcome = train("name=whole", *arguments)
    assert outcome.status == 0, outcome.err
    assert f"examples per epoch: {TOLD}" in outcome.err
    step = Finetuner.training_step

    def broken(self: Finetuner, *given: Any) -> Any:
        if self.global_step == 9:  # in the second epoch
            raise KeyboardInterrupt
        return step(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", broken)
        assert train("name=halved", *arguments).status == 130
    assert train("name=halved", *arguments).status == 0

    whole, halved = (Path("outputs") / name for name in ("whole", "halved"))
    assert (halved / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    weights, theirs = (load_file(run / "model" / "model.safetensors") for run in (whole, halved))
    assert all(torch.equal(value, theirs[name]) for name, value in weights.items())
    # Without mixing, or with another one, it is another run, and takes other steps.
    other = train("name=whole", *arguments, "data.sampling_exponent=0.7")
    assert other.status == 2
    assert "data.sampling_exponent: 0.5 -> 0.7" in other.err
    plain = train("name=plain", *arguments, "data.sampling_exponent=null")
    assert plain.status == 0
    assert "examples per epoch" not in plain.err
    assert (Path("outputs/plain") / "metrics.csv").read_text() != (whole / "metrics.csv").read_text()


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_an_exponent_that_is_none_is_refused(train: Callable[..., Any], value: str) -> None:
    outcome = train(f"data.sampling_exponent={value}")

    assert outcome.status == 2
    assert "data.sampling_exponent" in outcome.err
    assert not Path("outputs").exists()


def test_a_plan_counts_a_mixed_epoch(in_folder: Path, capsys: pytest.CaptureFixture[str],
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")

    def tokens(exponent: str) -> int:
        cli.main(["plan", *MIXED, "data.limit={train: 192, validation: 48, test: 48}",
                  f"data.sampling_exponent={exponent}"])  # fmt: skip
        said = capsys.readouterr().out
        assert ("left out" in said) == (exponent == "0.5")
        if exponent == "0.5":
            assert TOLD in said
        rows = {line.split()[1]: int(line.split()[6].replace(",", ""))
                for line in said.splitlines() if line.startswith("train")}  # fmt: skip
        (line,) = (line for line in said.splitlines() if line.startswith("tokens"))
        found = int(line.split()[1].replace(",", ""))
        expected = rows["en"] + rows["sw"] if exponent == "null" else rows["en"] * 162 / 192 + rows["sw"] * 45 / 15
        assert abs(found - expected) <= 1
        return found

    assert tokens("0.5") != tokens("null")
