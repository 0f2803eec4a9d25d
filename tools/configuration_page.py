"""Write docs/configuration.md: every key with its type, default and meaning.

Keys and types are those of the schema, defaults and meanings those of the files in conf/: a key without a comment is an
error. `make docs` runs this, and a test compares what it would write with what is there.
"""

import re
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from babelfit.config import schema
from babelfit.config.values import ALLOWED, AT_LEAST, AT_MOST

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "configuration.md"
HEAD = """\
# All configuration keys

Every key of `babelfit train` and `babelfit evaluate`: its type, its default and what it means. The page is made of the
schema and of the comments in `conf/` by `tools/configuration_page.py`; `make docs` rewrites it.

```bash
babelfit train optimization.learning_rate=1e-4 'data.train_languages=[en,de]' name=two-keys    # any key, as key=value
```

`null` as a value means that there is none. A choice (`encoder=xlmr_base`) takes all keys of a file in
`conf/encoder/`; single keys are set on top.
"""
NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null"}


@dataclass(frozen=True)
class Section:
    """A table of the page: the keys of a dataclass, and the file that says their defaults and meanings."""

    title: str
    kind: type
    file: str
    prefix: str = ""
    text: str = ""


SECTIONS = (
    Section("Of the run", schema.TrainConfig, "train.yaml"),
    Section("data, with labels", schema.LabelledConfig, "_labelled.yaml", "data.", "`data=xnli`, `pawsx`, `wikiann`."),
    Section(
        "data, running text", schema.TextConfig, "data/text.yaml", "data.", "`data=text`: [your own](own-text.md)."
    ),
    Section("encoder", schema.EncoderConfig, "encoder/xlmr_base.yaml", "encoder.", "Defaults of `encoder=xlmr_base`."),
    Section("head", schema.HeadConfig, "head/sequence_classification.yaml", "head.", "`data` chooses it."),
    Section("optimization", schema.OptimizationConfig, "optimization/fine_tune.yaml", "optimization."),
    Section("trainer", schema.TrainerConfig, "trainer/auto.yaml", "trainer."),
    Section("logger", schema.LoggerConfig, "logger/files.yaml", "logger."),
    Section("sweep", schema.SweepConfig, "sweep/grid.yaml", "sweep.", "With `-m` alone: [Sweeps](sweeps.md)."),
    Section("Of babelfit evaluate", schema.EvaluateConfig, "evaluate.yaml", "", "Besides these, `trainer` as above."),
)
GROUPS = ("data", "encoder", "head", "optimization", "trainer", "logger", "sweep", "experiment")
TABLE = ("| key | type | default | meaning |", "|---|---|---|---|")


def page() -> str:
    """Return the page as it should be."""
    return "\n".join([HEAD, *(_section(one) for one in SECTIONS), _choices()])


def _section(section: Section) -> str:
    facts = _facts(CONF / section.file)
    rows = []
    for key, hint in _keys(section.kind):
        full = section.prefix + key
        if section.prefix or key.split(".")[0] not in GROUPS:
            default, meaning = facts[key]
            if not meaning:
                raise SystemExit(f"{full} has no comment in conf/{section.file}: say there what it means")
            rows.append(f"| `{full}` | {_type(full, hint)} | {_written(default)} | {_escaped(meaning)} |")
    text = [section.text, ""] if section.text else []
    return "\n".join([f"## {section.title}", "", *text, *TABLE, *rows, ""])


def _keys(kind: type, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the full keys below a dataclass with their types."""
    found: list[tuple[str, Any]] = []
    for name, hint in get_type_hints(kind).items():
        full = prefix + name
        found += _keys(hint, f"{full}.") if is_dataclass(hint) and isinstance(hint, type) else [(full, hint)]
    return found


def _type(key: str, hint: Any) -> str:
    if key in ALLOWED:
        values = [f"`{one}`" for one in ALLOWED[key]]
        return ", ".join(values + ["null"] * (NoneType in get_args(hint)))
    words = [_words(hint)]
    if key in AT_LEAST:
        words.append(f"at least {AT_LEAST[key]:g}" if AT_LEAST[key] >= 1 or not AT_LEAST[key] else "above 0")
    if key in AT_MOST:
        words.append(f"at most {AT_MOST[key]:g}")
    return ", ".join(words)


def _words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (list, dict):
        return "list" if origin is list else "mapping"
    if arguments:
        return " or ".join(_words(one) for one in arguments)
    return NAMES[hint]


def _facts(path: Path) -> dict[str, tuple[str, str]]:
    """Return the value, as it is written, and the comment of each key of a YAML file, by full key."""
    facts: dict[str, tuple[str, str]] = {}
    parents: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r"( *)(\w+):(?: +(.*?))??(?: +# *(.*))?", line)
        if found is None:
            continue
        indent, name, value, comment = found.groups(default="")
        parents = [*parents[: len(indent) // 2], name]
        key = ".".join(parents)
        facts[key] = (value, comment)
        if value.startswith("{") and value != "{}":
            inner = yaml.safe_load(value).items()
            facts |= {f"{key}.{one}": ("null" if of is None else str(of), comment) for one, of in inner}
    return facts


def _written(default: str) -> str:
    return "none: it must be given" if default == "???" else f"`{default}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _choices() -> str:
    """List the choices of each group, with the first sentence of their file."""
    lines = ["## Choices", "", "| choice | what |", "|---|---|"]
    for group in GROUPS:
        for path in sorted((CONF / group).glob("*.yaml")):
            lines.append(f"| `{group}={path.stem}` | {_escaped(_first_sentence(path))} |")
    return "\n".join([*lines, ""])


def _first_sentence(path: Path) -> str:
    lines = [line.removeprefix("# ") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] == "#"]
    comment = " ".join(line for line in lines if not line.startswith(("@", "  python")))
    # Behind the colon stands a command.
    return re.split(r"\.(?= [A-Z]|$)|: (?=python|sbatch)", comment)[0].removesuffix(".") + "."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
