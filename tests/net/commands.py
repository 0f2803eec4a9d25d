"""Commands as a user types them, in processes of their own that need not import torch and the like anew.

That takes ten seconds each time, so the libraries are imported once, and each command is a fork of this process. Of
babelfit nothing is imported before the fork: where its files lie is not known here.
"""

import contextlib
import importlib
import itertools
import os
import runpy
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

LIBRARIES = ("torch", "pytorch_lightning", "torchmetrics", "transformers.models.xlm_roberta", "datasets", "optuna",
             "matplotlib.figure", "tensorboard", "scipy.stats", "hydra", "jinja2", "rich.console")  # fmt: skip

CORPORA = ("babelfit.sample.corpus",)
"""Where the sample's text is written."""

CORPUS_ROWS = 300
"""Of 6,000 documents and pairs of sentences of each language, so many are written: all would take 40 seconds."""

SECONDS = 1800
"""How long a command may take before it counts as hanging, also where others use the machine."""


def prepare() -> None:
    """Import the libraries, and set what all commands share; before anything else is imported."""
    shared = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200",
              "PYTHONPATH": str(ROOT / "src"), "TOKENIZERS_PARALLELISM": "false", "GLOO_SOCKET_IFNAME": "lo",
              "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
              "THP_MEM_ALLOC_ENABLE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    os.environ.update(shared)
    sys.dont_write_bytecode = True
    # As if a script of the root were run, with its source on PYTHONPATH.
    sys.path[:] = [str(ROOT), str(ROOT / "src"), *(one for one in sys.path if Path(one) != Path(__file__).parent)]
    for name in LIBRARIES:
        importlib.import_module(name)
    _draw_nothing()


def _draw_nothing() -> None:
    """Spare each run the seconds that its figures take."""
    from matplotlib.figure import Figure

    def savefig(self: Figure, target: Any, **_: Any) -> None:
        if isinstance(target, (str, Path)):
            Path(target).write_bytes(b"")
        else:
            target.write('<svg viewBox="0 0 1 1"></svg>')

    Figure.savefig = savefig  # type: ignore[method-assign, assignment]


def run(folder: Path, script: str, *arguments: str) -> None:
    """Run `python SCRIPT ARGUMENTS`, or `python -m babelfit ARGUMENTS`, in a folder, with the cache that lies there.

    Ends this process with what the command said where it fails.
    """
    process, log = _start(folder, script, arguments)
    deadline = time.monotonic() + SECONDS
    while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    if ended[1]:
        how = os.waitstatus_to_exitcode(ended[1])
        sys.exit(f"{script} {' '.join(arguments)}\nended with {how}\n{log.read_text(errors='replace')[-6000:]}")


def kill_at(step: int, folder: Path, script: str, *arguments: str) -> None:
    """Run a training that kills itself by SIGKILL within an optimizer step, counted from 1."""
    process, _ = _start(folder, script, arguments, killed_at=step)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != -signal.SIGKILL:
        sys.exit(f"{script} {' '.join(arguments)}\nended before it was killed")


def _kill_at(step: int) -> None:
    """Have this process kill itself once the optimizer took so many steps."""
    taken = itertools.count(1)

    def kill(*_: Any) -> None:
        if next(taken) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    importlib.import_module("torch.optim.optimizer").register_optimizer_step_post_hook(kill)


def _start(folder: Path, script: str, arguments: tuple[str, ...], *, killed_at: int | None = None) -> tuple[int, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        status = 1
        # Nothing of what this process would do at its own end must happen in the fork.
        try:
            if killed_at is not None:
                _kill_at(killed_at)
            status = _become(folder, script, arguments, log=log)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    return process, log


def _become(folder: Path, script: str, arguments: tuple[str, ...], *, log: Path) -> int:
    """Be the command, and return its exit status."""
    os.chdir(folder)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    os.environ["BABELFIT_CACHE"] = str(folder / "cache")
    if "data=text" in arguments and "trainer.devices=1" in arguments:
        _shorten_corpus()
    try:
        if script == "babelfit":
            sys.argv = [script, *arguments]
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [str(ROOT / script), *arguments]
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        where = Path(str(sys.modules["babelfit"].__file__)).parent
        assert where == ROOT / "src" / "babelfit", f"another babelfit was run: {where}"
    return 0


def _shorten_corpus() -> None:
    """Have the sample's text written with few documents and pairs."""
    for name in CORPORA:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name).CORPUS_ROWS.update(text=CORPUS_ROWS, parallel=CORPUS_ROWS)
            return
    sys.exit(f"the sample's text is written in none of {', '.join(CORPORA)}: name its module in {__file__}")
