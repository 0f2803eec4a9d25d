"""What the first command of a newcomer prints is worth reading, all of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_said_twice_and_no_bar_is_shown_for_weights(command: Callable[..., Any]) -> None:
    few = ("data.limit={train: 64, validation: 16, test: 16}", "data.languages=[en,de]", "optimization.max_steps=2")
    outcome = command("train.py", *few)

    assert outcome.status == 0, outcome.err
    said = [line.partition(" ")[2] for line in outcome.err.splitlines() if line]
    assert "xlm-roberta runs without padding" in said
    assert len(said) == len(set(said))
    assert "Loading weights" not in outcome.err + outcome.out
    assert "Warning" not in outcome.err


def test_make_installs_without_a_word_of_pip() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "pip install" in line or "$(INSTALL) " in line]
    assert len(installs) >= 3
    assert "-qq --disable-pip-version-check" in makefile
    assert all(line.startswith("\t@") for line in installs if "$(INSTALL) " in line)
