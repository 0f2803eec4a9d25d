"""The program's verbs: which there are, how they start again, and how a shell completes them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from babelfit import __version__
from babelfit.commands import completion
from babelfit.commands.cli import main
from babelfit.devices.program import babelfit_command, this_command

VERBS = [
    *("train", "evaluate", "plan", "fetch", "report", "sweep", "compare", "matrix"),
    *("import-predictions", "export-predictions"),
]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the program; return its status and what it said."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out + captured.err


def test_help_names_every_verb_and_completion(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, "--help")

    assert status == 0
    for word in (*VERBS, completion.LINE):
        assert word in text
    assert said(capsys, "--version") == (0, f"babelfit {__version__}\n")


def test_an_unknown_verb_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, "trian", "seed=1")

    assert status == 2
    assert "unknown verb trian; did you mean train? there are train, evaluate, " in text


def test_without_a_verb_they_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys)

    assert status == 2
    assert all(verb in text for verb in VERBS)


def test_a_command_starts_again_as_it_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["babelfit train", "seed=2"])
    assert this_command() == babelfit_command("train", "seed=2") == [
        *(sys.executable, "-P", "-m", "babelfit", "train", "seed=2")
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["train.py", "seed=2"])
    assert this_command() == [sys.executable, str(tmp_path / "train.py"), "seed=2"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("babelfit tr", ["train "]),
        ("babelfit ex", ["export-predictions "]),
        ("babelfit train encoder=mini", ["encoder=mini", "encoder=mini_random"]),
        ("babelfit plan experiment=m", ["experiment=mine"]),
        ("babelfit evaluate sp", ["split="]),
        ("babelfit report x", []),
    ],
)
def test_bash_completes_verbs_keys_and_choices(line: str, expected: list[str], in_folder: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    (in_folder / "babelfit.conf" / "experiment").mkdir(parents=True)
    (in_folder / "babelfit.conf" / "experiment" / "mine.yaml").write_text("seed: 3\n")
    words = " ".join(f"'{word}'" for word in line.split())
    script = (
        f'babelfit() {{ "{sys.executable}" -P -m babelfit "$@"; }}\n{completion.script(VERBS)}'
        f"COMP_LINE='{line}' COMP_WORDS=({words}) COMP_CWORD={len(line.split()) - 1}\n"
        "_babelfit\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stderr, [one for one in done.stdout.split("\n") if one]) == ("", expected)
