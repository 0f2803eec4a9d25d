"""The run folder: what it holds, who may write to it, and how a run ended. Nothing in it is overwritten unasked."""

import logging
import os
import platform
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

from babelfit.config import config_files
from babelfit.config.schema import EvaluateConfig, TrainConfig
from babelfit.devices import ranks
from babelfit.devices.preemption import Preempted
from babelfit.errors import Pruned, UserError
from babelfit.files import atomic_files
from babelfit.files.lock import FILE as LOCK
from babelfit.files.lock import holder, locked
from babelfit.files.untrusted_files import check_folder
from babelfit.run import metrics, status
from babelfit.run.moved import Reads, log_moved, with_paths
from babelfit.run.status import Facts, Status

log = logging.getLogger(__name__)

OUTPUTS = Path("outputs")

PACKAGES = (
    "babelfit",
    "torch",
    "pytorch-lightning",
    "transformers",
    "tokenizers",
    "datasets",
    "hydra-core",
    "torchmetrics",
    "numpy",
)

CONFIG = "config.yaml"
EVALUATION = "evaluation.yaml"
UNFINISHED = {f"{CONFIG}.tmp", LOCK}
"""What a folder may hold that no run was made in yet."""


class Run:
    """One run's folder and the files in it that are about the run itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.metrics = folder / metrics.FILE
        self._status: Status | None = None  # while this process writes it

    @classmethod
    @contextmanager
    def opened(cls, config: TrainConfig, *, reads: Reads | None = None) -> Iterator["Run"]:
        """Make the folder of this configuration's run, or come back to it, and work in it alone.

        status.json is right while the run goes on and however it ends. Raises UserError where the folder holds another
        run, or something that is no run, or where another process works in it. What is read may lie elsewhere than
        before, where it is known to be the same.
        """
        run = cls(OUTPUTS / config.name)
        run._check(config, reads=reads)
        before = run.status()
        run.folder.mkdir(parents=True, exist_ok=True)
        with locked(run.folder):
            # Again, now that nobody else can make a run here.
            moved = run._check(config, reads=reads)
            if not (run.folder / CONFIG).exists():
                _save(config, run.folder / CONFIG)
            elif moved:
                log_moved(run.folder, moved)
                _save(with_paths(run.config(), moved), run.folder / CONFIG)
            if before.state == "killed":
                log.warning("%s: %s; going on", run.folder, before.why)
            if before.state == "complete":
                log.info("%s is complete: nothing to train, only what is missing is evaluated", run.folder)
            try:
                with run._recorded():
                    yield run
            except BaseException:
                # A complete run that is started again stays complete.
                if before.state == "complete" and run.model.is_dir():
                    status.write(before, run.folder)
                raise

    def _check(self, config: TrainConfig, *, reads: Reads | None) -> dict[str, str]:
        """Raise UserError unless this configuration may work in the folder, and return its new paths; touch nothing."""
        check_place(self.folder)
        if not self.folder.exists() or {path.name for path in self.folder.iterdir()} <= UNFINISHED:
            return {}
        if config.resume == "never":
            raise UserError(f"{self.folder} exists and resume=never: choose another name=")
        check_folder(self.folder)
        return _moved(
            self.folder,
            "holds another run; it differs in",
            before=asdict(self.config()),
            after=asdict(config),
            reads=reads,
        )

    @classmethod
    def existing(cls, folder: Path) -> "Run":
        """Open a folder that must hold a run, made by whomever."""
        run = cls(folder)
        if folder.is_dir():
            check_folder(folder)
        run.config()
        return run

    def config(self) -> TrainConfig:
        """Return the run's configuration; raise UserError where the folder is not a run."""
        path = self.folder / CONFIG
        if not path.is_file():
            raise UserError(f"{self.folder} is not a run: it has no {CONFIG}")
        return config_files.load(path, TrainConfig)

    def status(self) -> Status:
        """Return the run's state; `killed` is one that says `running`, and whose process is gone.

        Raises UserError for a damaged file.
        """
        found = status.read(self.folder)
        if found.state == "running" and holder(self.folder) is None:
            why = f"process {found.process} on {found.host} is gone without a word: killed, or the machine went down"
            return replace(found, state="killed", why=why)
        return found

    def set_status(self, state: str, *, why: str | None = None, **facts: Unpack[Facts]) -> None:
        """Write how the run stands, keeping the facts of before."""
        self._status = replace(self._status or self.status(), state=state, why=why, **facts)
        status.write(self._status, self.folder)

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Work in the folder alone, without changing how the run stands."""
        with locked(self.folder):
            yield self.folder

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Keep status.json right while the run goes on and however it ends."""
        self._status = replace(self.status(), process=os.getpid(), host=platform.node())
        self.set_status("running")
        try:
            atomic_files.write_json(self.folder / "environment.json", environment())
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt | Preempted)
            state = "interrupted" if stopped else "pruned" if isinstance(error, Pruned) else "failed"
            # Where another process has failed, this one knows only that it is gone.
            why = (ranks.why_another_ended() if state == "failed" else None) or _why(error)
            try:
                self.set_status(state, why=why)
            except OSError:
                log.warning("%s could not be written", self.folder / status.FILE)
            raise
        self.set_status("complete")


def _moved(
    folder: Path, told: str, *, before: dict[str, Any], after: dict[str, Any], reads: Reads | None
) -> dict[str, str]:
    """Return the new paths of what is the same run or evaluation; raise UserError for another."""
    changed = config_files.differences(before, after)
    moved = reads.moved(folder, before=before, after=after) if changed and reads is not None else {}
    if changed and not moved:
        lines = "\n  ".join(changed)
        raise UserError(f"{folder} {told}\n  {lines}\nChoose another name=")
    return moved


def _save(config: TrainConfig | EvaluateConfig, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    config_files.save(config, temporary)
    atomic_files.rename(temporary, path)


def check_kind(folder: Path) -> None:
    """Raise UserError for a folder that holds neither a run nor an evaluation."""
    if not any((folder / name).is_file() for name in (CONFIG, EVALUATION)):
        raise UserError(f"{folder} is neither a run nor an evaluation: it has no {CONFIG} and no {EVALUATION}")


def check_place(folder: Path) -> None:
    """Raise UserError for a folder inside of a run or an evaluation, whose files it would be among."""
    for parent in folder.relative_to(OUTPUTS).parents[:-1]:
        for name in (CONFIG, EVALUATION):
            if (OUTPUTS / parent / name).exists():
                raise UserError(f"{folder} lies inside {OUTPUTS / parent}, which has a {name}: choose another name=")


def _why(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "by the keyboard"
    if isinstance(error, Preempted):
        return f"by {error}"
    if isinstance(error, Pruned):
        return str(error)
    said = "".join(traceback.format_exception_only(error)).strip()
    if re.search("third_party/gloo|NCCL", said):  # what exchanges numbers has nobody to exchange them with
        return f"another process of this run is gone without a word: killed, or its machine went down ({said})"
    return said


def evaluation_folder(config: EvaluateConfig, *, data_name: str) -> Path:
    """Return the folder of an evaluation outside any run."""
    model = Path(str(config.run or config.model)).name
    return OUTPUTS / (config.name or f"{data_name}-{model}")


@contextmanager
def opened_evaluation(config: EvaluateConfig, *, data_name: str, reads: Reads | None = None) -> Iterator[Path]:
    """Make the folder of an evaluation outside any run, or come back to it, and work in it alone.

    Raises UserError if it holds another evaluation, or something else, or another process works in it. What is read may
    lie elsewhere than before, where it is known to be the same.
    """
    folder = evaluation_folder(config, data_name=data_name)
    check_place(folder)
    path = folder / EVALUATION
    if folder.exists() and not path.is_file() and {one.name for one in folder.iterdir()} - {LOCK, f"{path.name}.tmp"}:
        raise UserError(f"{folder} exists and is not an evaluation (it has no evaluation.yaml): choose another name=")
    folder.mkdir(parents=True, exist_ok=True)
    check_folder(folder)
    with locked(folder):
        if not path.is_file():
            _save(config, path)
        before = config_files.load(path, EvaluateConfig)
        told = "holds another evaluation; it differs in"
        if moved := _moved(folder, told, before=asdict(before), after=asdict(config), reads=reads):
            log_moved(folder, moved)
            _save(with_paths(before, moved), path)
        yield folder


def environment() -> dict[str, Any]:
    """Describe what decides a run's bits besides its configuration: versions, commit, hardware, threads."""
    import torch

    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "processes": ranks.world_size(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def _commit() -> str | None:
    """Return the commit of the source that runs, with a mark where it was changed since; None outside a clone."""
    source = Path(__file__).parent
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
