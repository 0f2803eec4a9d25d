"""A folder of the user's own adds options to conf/'s groups: it is read everywhere, named in the log, and no more."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from babelfit.commands.cli import main
from babelfit.commands.compose import compose_config
from babelfit.errors import UserError
from babelfit.sweep import trials

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "helpers" / "fake_trial.py"
Command = Callable[..., Any]
MINE = "# @package _global_\nseed: 7\nname: mine\ndata: {languages: [en]}\n"
FEW = ("optimization.max_steps=2", "validation.every=2")


@pytest.fixture
def mine(in_folder: Path) -> Path:
    """The user's folder in the current one, with an experiment."""
    file = in_folder / "babelfit.conf" / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(MINE)
    return file


@pytest.fixture
def elsewhere(mine: Path, in_folder: Path) -> str:
    """The same folder under another name, which has to be said."""
    (in_folder / "babelfit.conf").rename(in_folder / "options")
    return "options"


def seed_of(run: str) -> int:
    return int(yaml.safe_load(Path("outputs", run, "config.yaml").read_text())["seed"])


def test_an_experiment_in_the_current_folder_just_works_and_is_named_in_the_log(train: Command, mine: Path) -> None:
    done = train("experiment=mine", *FEW)

    assert done.status == 0, done.err
    assert seed_of("mine") == 7
    assert "read babelfit.conf/experiment/mine.yaml" in done.err
    again = train("experiment=mine", *FEW)
    assert "is complete: nothing to train" in again.err


def test_what_such_a_run_holds_stands_for_itself(train: Command, command: Command, mine: Path) -> None:
    assert train("experiment=mine", *FEW).status == 0
    mine.unlink()
    done = command("evaluate.py", "run=outputs/mine", "split=validation")
    assert done.status == 0, done.err
    assert "read " not in done.err


@pytest.mark.parametrize("option", [["--config-dir", "options"], ["--config-dir=options"], ["-cd", "options"]])
def test_the_folder_can_be_another(train: Command, elsewhere: str, option: list[str]) -> None:
    done = train(*option, "experiment=mine", "data.limit=null", "--cfg", "job")
    assert done.status == 0, done.err
    assert "seed: 7" in done.out


def test_a_folder_that_is_named_stands_in_place_of_the_one_that_is_found(
    command: Command, elsewhere: str, in_folder: Path
) -> None:
    (in_folder / "babelfit.conf" / "experiment").mkdir(parents=True)
    (in_folder / "babelfit.conf" / "experiment" / "theirs.yaml").write_text(MINE)
    done = command("train.py", "--config-dir", elsewhere, "experiment=theirs")
    assert done.status == 2
    assert "experiment=theirs: no such choice; experiment has mine, " in done.err


def test_no_other_option_of_hydras_is_taken_for_it(command: Command, mine: Path) -> None:
    done = command("train.py", "-c", "job", "experiment=mine")
    assert done.status == 0, done.err
    assert "seed: 7" in done.out


def test_a_folder_that_is_missing_is_refused(command: Command) -> None:
    done = command("train.py", "--config-dir", "nowhere")
    assert done.status == 2
    assert "--config-dir nowhere: no such folder" in done.err


def test_files_of_our_names_are_told_of_and_not_read(train: Command, in_folder: Path) -> None:
    theirs = in_folder / "babelfit.conf"
    (theirs / "encoder").mkdir(parents=True)
    for name in ("train.yaml", "evaluate.yaml", "encoder/mini.yaml"):
        (theirs / name).write_text("nothing: [\n")
    done = train("data.languages=[en]", *FEW)

    assert done.status == 0, done.err
    for name in ("train.yaml", "evaluate.yaml", "encoder/mini.yaml"):
        assert f"babelfit.conf/{name} is not read: babelfit has its own conf/{name}" in done.err
    assert "read babelfit.conf" not in done.err


def test_the_conf_of_another_project_changes_nothing(command: Command, in_folder: Path) -> None:
    before = command("train.py", "--cfg", "job")
    (in_folder / "conf" / "experiment").mkdir(parents=True)
    for name in ("train.yaml", "_labelled.yaml", "experiment/mine.yaml"):
        (in_folder / "conf" / name).write_text("nothing: [\n")

    assert command("train.py", "--cfg", "job") == before
    refused = command("train.py", "experiment=mine")
    assert "experiment=mine: no such choice; experiment has pawsx_zero_shot" in refused.err


@pytest.mark.parametrize("verb", ["plan", "fetch"])
@pytest.mark.parametrize("option", [[], ["--config-dir", "options"]])
def test_other_verbs_that_take_overrides_read_it_too(
    verb: str, option: list[str], mine: Path, in_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if option:
        (in_folder / "babelfit.conf").rename(in_folder / "options")
    folder = "options" if option else "babelfit.conf"
    limit = "data.limit={train: 64, validation: 16, test: 16}"
    main([verb, *option, "experiment=mine", limit, "trainer=cpu"])

    assert f"read {folder}/experiment/mine.yaml" in capfd.readouterr().err


def test_the_trials_of_a_sweep_read_it_too(
    command: Command, elsewhere: str, monkeypatch: pytest.MonkeyPatch, in_folder: Path
) -> None:
    started = []

    def started_instead(arguments: list[str]) -> list[str]:
        started.append(arguments)
        return [sys.executable, str(FAKE), *arguments]

    monkeypatch.setattr(trials, "_command", started_instead)
    done = command("train.py", "-m", "--config-dir", elsewhere, "experiment=mine", "name=s", "seed=1,2")

    assert done.status == 0, done.err
    assert f"read {elsewhere}/experiment/mine.yaml" in done.err
    assert [arguments[0] for arguments in started] == [f"--config-dir={in_folder / elsewhere}"] * 2
    assert all("experiment=mine" in arguments for arguments in started)


def test_a_key_that_is_mistaken_is_answered_with_the_nearest(command: Command, mine: Path) -> None:
    for override, answer in (
        ("optimization.lerning_rate=1", "no such key; did you mean optimization.learning_rate?"),
        ("batch_size=8", "no such key; did you mean optimization.batch_size?"),
        ("encoder=xlmr_bas", "no such choice; encoder has mbert, "),
        ("experiment=mien", "did you mean mine?"),
        ("xyzzy=1", "no such key; all keys: babelfit train --help"),
    ):
        done = command("train.py", override)
        assert (done.status, answer in done.err, "Traceback" in done.err) == (2, True, False), done.err
    assert os.environ.get("HYDRA_FULL_ERROR") is None


def test_a_file_that_is_no_yaml_is_named(command: Command, mine: Path) -> None:
    mine.write_text("seed: [\n")
    done = command("train.py", "experiment=mine")
    assert (done.status, "mine.yaml" in done.err, "Traceback" in done.err) == (2, True, False), done.err
    with pytest.raises(UserError, match=r"mine\.yaml"):
        compose_config("train", ["experiment=mine"])


def test_help_has_the_users_options_too(command: Command, mine: Path) -> None:
    assert "experiment: mine, pawsx_zero_shot" in command("train.py", "--help").out
    assert "seed: 7" in command("train.py", "experiment=mine", "--help").out
