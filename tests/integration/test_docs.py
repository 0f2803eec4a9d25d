"""Every command of README and docs is run, page after page, in the order in which it stands there.

Commands for several devices have a file of their own, test_docs_devices.py.
"""

import gzip
import re
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import doc_commands
import pytest
from doc_commands import PAGES, ROOT, Command
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from babelfit.commands.compose import introduce_to_hydra
from babelfit.config.schema import EvaluateConfig, TrainConfig, checked
from babelfit.sample import CORPUS_ROWS, NER_ROWS, NLI_ROWS, PARAPHRASE_ROWS
from babelfit.sweep.space import Space

COMMANDS = [command for page in PAGES for command in doc_commands.on(page)]
OURS = [command for command in COMMANDS if command.verb is not None]
ELSEWHERE = {"devices.md": "test_docs_devices.py", "interruptions.md": "test_docs_devices.py"}
LANGUAGES = ("en", "de", "fr", "sw")
SWEPT = ROOT / "tests" / "fixtures" / "version-2" / "sweep"
SENTENCES = [
    f"{name} walks to the {place}" for name in ("Nina", "Omar", "Ravi") for place in ("river", "school", "sea")
]
CODE = {page: re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S) for page in PAGES}
WITH_TESTS_OF_THEIR_OWN = ("add-a-dataset.md", "add-a-task.md", "from-python.md")


def test_there_are_commands_on_every_page() -> None:
    assert len(OURS) >= 60
    assert {page.name for page in PAGES} - {command.page for command in COMMANDS} - {"from-python.md"} == set()


def test_blocks_say_in_which_language_they_are() -> None:
    """So that no command hides in a block that is not looked at."""
    for page in PAGES:
        fences = re.findall(r"^ *```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), page
        assert not any(fences[1::2]), page


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.verb is None], ids=lambda one: one.line)
def test_a_command_of_another_program_names_what_is_there(command: Command) -> None:
    program, *arguments = command.words
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments if "=" not in target)
    elif program == "pip":
        assert all(extra in project["optional-dependencies"] for extra in re.findall(r"\[(\w+)\]", command.line))
        assert "--constraint" not in arguments or (ROOT / arguments[arguments.index("--constraint") + 1]).is_file()
    elif program == "python":
        paths = [one.split("::")[0] for one in arguments if "/" in one or one.endswith(".py")]
        assert paths
        assert all((ROOT / path).exists() for path in paths)
    elif program in ("torchrun", "srun"):
        assert command.page in ELSEWHERE
    else:
        assert (command.page, program) in {("CONTRIBUTING.md", one) for one in ("git", "cd", "pre-commit")}


REPLACED = [one for one in OURS if not set(one.words) <= set(doc_commands.small(one.words))]


@pytest.mark.parametrize("command", REPLACED, ids=lambda one: one.line)
def test_a_command_that_is_run_otherwise_is_valid_as_it_stands(command: Command) -> None:
    verb, *arguments = command.words[1:]
    overrides = [one for one in arguments if not one.startswith(("-", "plan.")) and one != "job"]
    introduce_to_hydra()
    if "-m" in arguments:
        # Of a sweep, the first trial.
        space = Space.read(overrides, space={}, parser=OverridesParser.create())
        of_sweep = [one for one in overrides if one.startswith("sweep")]
        overrides = [*of_sweep, *space.fixed, *(f"{key}={value}" for key, value in space.samples()[0].items())]
    with initialize_config_dir(str(ROOT / "conf")):
        name, kind = ("evaluate", EvaluateConfig) if verb == "evaluate" else ("train", TrainConfig)
        checked(compose(name, overrides), kind)


@pytest.fixture(scope="module")
def little_sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Have the sample written with few rows, into a cache of its own, where nobody else finds it; return the cache."""
    few = {"train": 54, "validation": 18, "test": 18}
    with pytest.MonkeyPatch.context() as patch:
        for rows in (NLI_ROWS, PARAPHRASE_ROWS, NER_ROWS):
            for split, count in few.items():
                patch.setitem(rows, split, count)
        for part in ("text", "parallel"):
            patch.setitem(CORPUS_ROWS, part, 20)
        yield tmp_path_factory.mktemp("little")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, labelled_sample: Path) -> Path:
    """What a user brings along: rows in XTREME's layout, and text."""
    folder = tmp_path_factory.mktemp("brought")
    files = sorted(file for file in labelled_sample.glob("xnli/*.tsv") if file.stem.split("-")[1] in LANGUAGES)
    for file in files:
        for name in ("FOLDER", "mine"):
            place = folder / name / "xnli" / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:15]), encoding="utf-8")
    for language in ("de", "fr", "sw"):
        rows = (folder / "FOLDER" / "xnli" / f"test-{language}.tsv").read_text(encoding="utf-8").splitlines()
        fields = [row.split("\t") for row in rows]
        lines = [f"{one}\t{other}\t{one}\t{other}\t{label}\n" for one, other, label in fields]
        place = folder / "TRANSLATIONS" / "xnli" / "translate-test" / f"test-{language}-en-translated.tsv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(lines), encoding="utf-8")
    shutil.copytree(folder / "FOLDER" / "xnli", folder / "TRANSLATIONS" / "xnli", dirs_exist_ok=True)
    corpus = folder / "corpus"
    (corpus / "sw").mkdir(parents=True)
    (corpus / "en.txt").write_text("".join(f"{one} today\n" for one in SENTENCES))
    (corpus / "sw" / "news.txt").write_text("".join(f"{one} leo\n" for one in SENTENCES))
    (corpus / "sw" / "old.txt.gz").write_bytes(gzip.compress("".join(f"{one} jana\n" for one in SENTENCES).encode()))
    (corpus / "en-sw.tsv").write_text("".join(f"{one} now\t{one} sasa\n" for one in SENTENCES))
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_end_well(
    page: Path,
    command: Callable[..., Any],
    in_folder: Path,
    folders: Path,
    little_sample: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if page.name in ELSEWHERE:
        pytest.skip(f"in {ELSEWHERE[page.name]}")
    shutil.copytree(folders, in_folder, dirs_exist_ok=True)
    monkeypatch.setenv("BABELFIT_CACHE", str(little_sample))
    for one in doc_commands.on(page):
        if one.verb is None:
            continue
        words = doc_commands.small(one.words)
        models = sorted(in_folder.glob("outputs/*/model"))
        words = [word.replace("FOLDER_OR_HUB_ID", str(models[0]) if models else "") for word in words]
        if "-m" in words:
            # Its trials would be processes that take long to start: test_sweep.py has such.
            words.append("sweep.dry_run=true")
        file, arguments = doc_commands.script(words)
        with monkeypatch.context() as patch:
            for name, value in one.environment.items():
                patch.setenv(name, value)
            outcome = command(file, *arguments)
        assert outcome.status == 0, f"{page.name}: {one.line}\n{shlex.join(words)}\n{outcome.err[-2000:]}"
        if "name=grid" in words:
            shutil.copytree(SWEPT, in_folder / "outputs" / "grid", dirs_exist_ok=True)
    if page.name not in WITH_TESTS_OF_THEIR_OWN:
        for code in CODE[page]:
            exec(code.replace("src/babelfit", str(ROOT / "src" / "babelfit")), {})
