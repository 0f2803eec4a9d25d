"""The commands of README and docs: found on the pages, and turned into what this checkout can run at once.

A command is a line of a block of ```bash. It is run as it stands but for its size: few rows, few steps, a small encoder
in the place of one that would have to be downloaded, the sample in the place of the Hub.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tiny import RANDOM

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
SHRUNK = (
    "data.limit={train: 48, validation: 16, test: 16}",
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "optimization.max_steps=2",
    "logger.tensorboard=false",
)
OF_TEXT = (*SHRUNK, "data.max_length=32")
INSTEAD = (
    (r"experiment=(xnli|pawsx|wikiann)_zero_shot", r"data=\1 data.folder=sample encoder=mini_random"),
    (r"experiment=(pretrain_\w+)", r"data=text encoder=mini_random name=\1 data.folder=corpus"),
    (r"encoder=(xlmr_\w+|mbert|mdeberta)", r"encoder=mini_random encoder.name=\1"),
    (r"encoder\.overrides\.\w+=\w+", ""),
    (r"data\.revision=\w+", "data.folder=sample"),
)


@dataclass(frozen=True)
class Command:
    """A line of a page."""

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        """Its program and arguments, without what it sets in the environment."""
        return [word for word in shlex.split(self.line, comments=True) if not re.match(r"[A-Z_]+=", word)]

    @property
    def environment(self) -> dict[str, str]:
        """What it sets in the environment."""
        found = re.match(r"(?:[A-Z_]+=\S+ +)*", self.line)
        return dict(one.split("=", 1) for one in found[0].split()) if found else {}

    @property
    def verb(self) -> str | None:
        """What babelfit is to do; None of another program."""
        return self.words[1] if self.words[0] == "babelfit" else None


def on(page: Path) -> list[Command]:
    """Return the commands of a page."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [Command(page.name, line) for line in lines if line and not line.startswith("#")]


def script(words: list[str]) -> tuple[str, list[str]]:
    """Turn `babelfit VERB ...` into the file of this checkout that is the program, and its arguments."""
    return "src/babelfit/__main__.py", words[1:]


def small(words: list[str]) -> list[str]:
    """Turn a command of babelfit into one that takes a second or two, without network."""
    if words[1] not in ("train", "plan", "fetch"):
        return words
    changed: list[str] = []
    for word in words:
        new = next((re.sub(old, new, word) for old, new in INSTEAD if re.fullmatch(old, word)), None)
        changed += [word] if new is None else new.split()
    if "data=text" in changed:
        return [*changed, *OF_TEXT, *RANDOM]
    goes_on = any(word.startswith("encoder.path=") for word in words)
    shrunk = SHRUNK[:1] + SHRUNK[2:] if goes_on else (*SHRUNK, *RANDOM)
    scored = [] if any(word.startswith("data.languages=") for word in changed) else ["data.languages=[en,de,fr]"]
    return [*changed, *shrunk, *scored]
