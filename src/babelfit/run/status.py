"""status.json: how a run stands, as typed values. Nothing in it is taken that no run of ours writes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypedDict

from pydantic import Field

from babelfit.checkpoints.rankings import Ranked
from babelfit.errors import UserError
from babelfit.files import atomic_files, documents
from babelfit.files.documents import Count, Number

FILE = "status.json"

WRITTEN_STATES = ("running", "complete", "interrupted", "failed", "pruned")


@dataclass(frozen=True, kw_only=True)
class Selected:
    """The selected checkpoint: its step of how many, and its score by which ranking."""

    file: Annotated[str, Field(pattern=r"^step-[0-9]+\.ckpt$")]  # an untrusted file must not choose what is read
    step: Count
    score: Number
    by: str
    of: Count


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a run stands."""

    state: str
    why: str | None = None  # it was interrupted, failed, was pruned or killed
    process: int | None = None
    host: str | None = None
    selected: Selected | None = None  # once its training is over
    rankings: dict[str, Annotated[list[Ranked], Field(min_length=1)]] = field(default_factory=dict)
    objectives: dict[str, Number] = field(default_factory=dict)
    model: dict[str, str] = field(default_factory=dict)  # SHA-256 of the exported files, by name

    @property
    def in_words(self) -> str:
        """Return the state, and why it is so."""
        return self.state if self.why is None else f"{self.state} ({self.why})"


class Facts(TypedDict, total=False):
    """What is set in the course of a run."""

    selected: Selected
    rankings: dict[str, list[Ranked]]
    objectives: dict[str, float]
    model: dict[str, str]


def read(folder: Path) -> Status:
    """Read a run's status.json; raise UserError for a damaged one."""
    path = folder / FILE
    if not path.is_file():
        return Status(state="new")
    try:
        document = documents.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("state") not in WRITTEN_STATES:
            raise ValueError(f"state {document.get('state')!r} is not one of {', '.join(WRITTEN_STATES)}")
        return documents.parsed(Status, document, where="it")
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged ({error}). Delete it and start the training command again: what it said is "
            "recovered from checkpoints/ and model/, and no step is taken twice"
        ) from error


def write(status: Status, folder: Path) -> None:
    """Write a run's status.json."""
    atomic_files.write_json(folder / FILE, documents.dumped(status))
