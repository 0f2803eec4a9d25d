"""The run folder: what it holds, who may write to it, and how a run ended. Nothing in it is overwritten unasked."""

import json
import logging
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from babelfit import config as configuration
from babelfit.config import EvaluateConfig, TrainConfig
from babelfit.errors import UserError

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


class Run:
    """One run's folder and the files in it that are about the run itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.metrics = folder / "metrics.csv"

    @classmethod
    def open(cls, config: TrainConfig) -> "Run":
        """Make the folder of this configuration's run, or come back to it.

        Raises UserError where the folder holds another run, or something that is no run.
        """
        run = cls(OUTPUTS / config.name)
        if not run.folder.exists():
            run.folder.mkdir(parents=True)
            configuration.save(config, run.folder / "config.yaml")
            return run
        if config.resume == "never":
            raise UserError(f"{run.folder} exists and resume=never: choose another name=")
        old = run.config()
        changed = configuration.differences(asdict(old), asdict(config))
        if changed:
            lines = "\n  ".join(changed)
            raise UserError(f"{run.folder} holds another run; it differs in\n  {lines}\nChoose another name=")
        return run

    @classmethod
    def existing(cls, folder: Path) -> "Run":
        """Open a folder that must hold a run."""
        run = cls(folder)
        run.config()
        return run

    def config(self) -> TrainConfig:
        """Read the run's configuration; raises UserError where the folder is no run."""
        path = self.folder / "config.yaml"
        if not path.is_file():
            raise UserError(f"{self.folder} is no run: it has no config.yaml")
        return configuration.load(path, TrainConfig)

    def status(self) -> dict[str, Any]:
        """Read how the run stands: at least its `state`, which is running, complete or failed."""
        path = self.folder / "status.json"
        if not path.is_file():
            return {"state": "new"}
        try:
            status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}): delete it, and the same command goes on") from error
        return status

    def set_status(self, state: str, **facts: Any) -> None:
        """Write how the run stands, keeping the facts of before."""
        kept = {key: value for key, value in self.status().items() if key not in ("state", "why")}
        write_json(self.folder / "status.json", {"state": state, **kept, **facts})

    def facts(self) -> dict[str, str]:
        """Say in words what a reader of the report wants to know of the run."""
        config, selected = self.config(), self.status()["selected"]
        return {
            "run": config.name,
            "encoder": f"{config.encoder.path}{'' if config.encoder.pretrained else ', from random weights'}",
            "trained on": ", ".join(config.data.train_languages),
            "seed": str(config.seed),
            "checkpoint": f"step {selected['step']} of {selected['of']}, chosen by {selected['by']} "
            f"({100 * selected['score']:.1f})",
        }

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Keep status.json right while the run goes on and however it ends."""
        self.set_status("running", process=os.getpid(), host=platform.node())
        try:
            write_json(self.folder / "environment.json", environment())
            yield
        except BaseException as error:
            why = "".join(traceback.format_exception_only(error)).strip()
            try:
                self.set_status("failed", why=why)
            except OSError:
                log.warning("%s could not be written", self.folder / "status.json")
            raise
        self.set_status("complete")


def open_evaluation(config: EvaluateConfig, *, data_name: str) -> Path:
    """Make the folder of an evaluation outside any run, or come back to it; raises UserError if it holds another."""
    model = Path(str(config.run or config.model)).name
    folder = OUTPUTS / (config.name or f"{data_name}-{model}")
    path = folder / "evaluation.yaml"
    if not folder.exists():
        folder.mkdir(parents=True)
        configuration.save(config, path)
        return folder
    if not path.is_file():
        raise UserError(f"{folder} exists and is no evaluation (it has no evaluation.yaml): choose another name=")
    changed = configuration.differences(asdict(configuration.load(path, EvaluateConfig)), asdict(config))
    if changed:
        lines = "\n  ".join(changed)
        raise UserError(f"{folder} holds another evaluation; it differs in\n  {lines}\nChoose another name=")
    return folder


def write_json(path: Path, values: Any) -> None:
    """Write JSON so that a reader finds the old file or the new one, never half of one."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


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
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def _commit() -> str | None:
    """Name the commit of the source that runs, with a mark where it was changed since; null outside a clone."""
    source = Path(__file__).parent
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
