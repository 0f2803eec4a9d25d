"""Every command of the README composes to a valid configuration."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from babelfit.commands.cli import main
from babelfit.commands.compose import introduce_to_hydra
from babelfit.config.schema import EvaluateConfig, TrainConfig, checked
from babelfit.sweep.space import Space

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VERBS = "train|evaluate|fetch|plan"
COMMANDS = [
    command
    for kind in (
        rf"(?:python|torchrun .*|srun .* python) ((?:train\.py|evaluate\.py|-m babelfit (?:{VERBS})\b)[^#\n]*)",
        rf"(?:srun \S+ )?(babelfit (?:{VERBS})\b[^#\n]*)",
    )
    for command in re.findall(rf"^(?:[A-Z_]+=\S+ )*{kind}", README, re.MULTILINE)
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 12


def test_torchrun_is_told_of_as_many_processes_as_the_config() -> None:
    (command,) = re.findall(r"^torchrun .*", README, re.MULTILINE)
    options = dict(re.findall(r"(--nnodes|--nproc-per-node|trainer\.devices|trainer\.num_nodes)[= ](\d+)", command))
    assert options["--nproc-per-node"] == options["trainer.devices"]
    assert options["--nnodes"] == options["trainer.num_nodes"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_valid(command: str) -> None:
    script, *arguments = shlex.split(re.sub("^(-m )?babelfit ", "", command))
    overrides = [one for one in arguments if not one.startswith(("-", "plan.")) and one != "job"]
    introduce_to_hydra()
    if "-m" in arguments:
        # Of a sweep, the first trial.
        space = Space.read(overrides, space={}, parser=OverridesParser.create())
        of_sweep = [one for one in overrides if one.startswith("sweep")]
        overrides = [*of_sweep, *space.fixed, *(f"{key}={value}" for key, value in space.samples()[0].items())]
    with initialize_config_dir(str(ROOT / "conf")):
        name, kind = ("evaluate", EvaluateConfig) if script.startswith("evaluate") else ("train", TrainConfig)
        checked(compose(name, overrides), kind)


@pytest.mark.parametrize(
    "command",
    re.findall(
        rf"^(?:python -m )?babelfit ((?!{VERBS})\w[^#\n]*)",
        "\n".join(README.split("```")[1::2]),
        re.MULTILINE,
    ),
)
def test_a_verb_of_the_readme_is_one_with_its_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class IsReadError(Exception):
        """Raised where the command line is read and nothing done yet."""

    def session() -> None:
        raise IsReadError

    monkeypatch.setattr("babelfit.commands.session.cli_session", session)
    with pytest.raises(IsReadError):
        main(shlex.split(command))


def test_the_two_commands_of_the_first_screen_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
