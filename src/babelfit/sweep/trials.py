"""Trials, each a `train.py` of its own: started, waited for, and what their run folders say of how they ended."""

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.plugins.launcher import Launcher
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from babelfit import preemption
from babelfit.commands import CONF
from babelfit.config import SweepConfig, TrainerConfig
from babelfit.errors import UserError
from babelfit.launch import Processes, check_devices, count_cores, count_gpus, looked_after
from babelfit.lock import holder
from babelfit.objectives import of_scores
from babelfit.run import OUTPUTS, Run
from babelfit.sweep.study import Study, Trial

log = logging.getLogger(__name__)

STOPPED = (preemption.EXIT_STATUS, preemption.KEYBOARD_STATUS)
"""Exit statuses of trials that somebody stopped: who stops one wants no other."""

LONGEST_REASON = 2000

SECONDS_BETWEEN_LOOKS = 0.1


class _Job(NamedTuple):
    """A trial that runs."""

    trial: Trial
    process: "Popen[bytes]"
    slot: int
    status_before: str  # status.json, as an earlier start has left it
    log_before: int  # bytes


class Runner:
    """Has trials run, and records how they end."""

    def __init__(
        self,
        study: Study,
        *,
        settings: SweepConfig,
        num_trials: int,
        overrides_of: Callable[[dict[str, str]], list[str]],
    ) -> None:
        self._study = study
        self._settings = settings
        self._num_trials = num_trials
        self._overrides_of = overrides_of
        self._objective = str(study.facts["objective"])
        self._languages: list[str] | None = study.facts["base"]["objective_languages"]
        self._stopped: int | None = None  # with this status, by somebody

    def run_here(self, to_do: Iterator[Trial], *, environments: Sequence[dict[str, str]]) -> None:
        """Run trials as processes of this machine, as many at a time as there are environments.

        A signal goes to all that run, and ends the sweep when they have ended.
        """
        jobs: list[_Job] = []
        done = sum(trial.state != "running" for trial in self._study.trials())
        bar = tqdm(total=self._num_trials, initial=done, desc="trials", unit="", disable=None)
        with logging_redirect_tqdm(), bar, looked_after() as processes:
            while True:
                while len(jobs) < len(environments) and not processes.received and self._stopped is None:
                    trial = next(to_do, None)
                    if trial is None:
                        break
                    slot = min(set(range(len(environments))) - {job.slot for job in jobs})
                    jobs.append(self._started(trial, processes, slot=slot, environment=environments[slot]))
                if not jobs:
                    break
                for job in [job for job in jobs if job.process.poll() is not None]:
                    jobs.remove(job)
                    self._conclude(job.trial, _outcome(job))
                    bar.update()
                    if self._stopped is not None:
                        for other in jobs:
                            other.process.terminate()
                bar.set_postfix_str(", ".join(job.trial.folder.name for job in jobs))
                time.sleep(SECONDS_BETWEEN_LOOKS)
        if processes.received == signal.SIGINT:
            raise KeyboardInterrupt
        if processes.received is not None:
            raise preemption.Preempted(processes.received.name)
        if self._stopped is not None:
            sys.exit(self._stopped)

    def run_elsewhere(self, to_do: Iterator[Trial], *, launcher: Launcher) -> None:
        """Have a launcher of Hydra's run trials: a grid's all at once, a search's as many as there are workers."""
        size = None if self._study.facts["search"] == "grid" else self._settings.workers
        while batch := list(islice(to_do, size)):
            for trial in batch:
                log.info("%s: %s", trial.folder, written(trial.overrides))
            try:
                launcher.launch([self._arguments(trial) for trial in batch], initial_job_idx=batch[0].number)
            except Exception as error:
                # Of a job that is gone the launcher knows nothing more; the run folders do.
                log.warning("%s: %s", type(error).__name__, error)
            for trial in batch:
                wait_for_the_end_of(trial.folder)
                self._conclude(trial, _state(trial.folder, log_before=0))
            if self._stopped is not None:
                sys.exit(self._stopped)

    def _arguments(self, trial: Trial) -> list[str]:
        return [*self._overrides_of(trial.overrides), f"name={trial.folder.relative_to(OUTPUTS)}"]

    def _started(self, trial: Trial, processes: Processes, *, slot: int, environment: dict[str, str]) -> _Job:
        log.info("%s: %s", trial.folder, written(trial.overrides))
        with _log_of(trial.folder).open("ab") as file:
            before = _status_text(trial.folder)
            own = os.environ | environment
            process = processes.start(_command(self._arguments(trial)), environment=own, log=file)
            return _Job(trial, process, slot, before, file.tell())

    def _conclude(self, trial: Trial, ended: "_Ended") -> None:
        """Record how a trial ended; one that was stopped stays begun, for the same command to go on with."""
        if ended.state == "stopped":
            log.info("%s was stopped", trial.folder)
            self._stopped = ended.status
            return
        if ended.state == "complete":
            try:
                objectives = of_scores(_dev_scores(trial.folder), languages=self._languages)
                if self._objective not in objectives:
                    raise UserError(
                        f"objective={self._objective} is undefined: see {trial.folder}/scores/validation.json"
                    )
            except UserError as error:
                ended = _Ended("failed", str(error))
        if ended.state == "complete":
            self._study.end(trial, "complete", objectives=objectives)
            shares = ", ".join(f"{name} {100 * value:.1f}" for name, value in objectives.items())
            log.info("%s: %s", trial.folder, shares)
            if self._settings.keep == "best":
                self._drop_models()
            return
        self._study.end(trial, ended.state, why=ended.why[:LONGEST_REASON])
        level = logging.ERROR if ended.state == "failed" else logging.INFO
        log.log(level, "%s %s: %s", trial.folder, ended.state, ended.why)

    def _drop_models(self) -> None:
        """Delete models and checkpoints of all complete trials but the best."""
        complete = [trial for trial in self._study.trials() if trial.state == "complete"]
        ranked = sorted(complete, key=lambda trial: -trial.objectives[self._objective])
        for folder in list(dict.fromkeys(trial.folder for trial in ranked))[self._settings.best :]:
            for part in (Run(folder).model, Run(folder).checkpoints):
                if part.is_dir() and not part.is_symlink():
                    shutil.rmtree(part)
                    log.info("%s deleted: not of the best %d", part, self._settings.best)


class _Ended(NamedTuple):
    """How a trial ended: complete, pruned, failed, or stopped by somebody."""

    state: str
    why: str = ""
    status: int = preemption.EXIT_STATUS


def _outcome(job: _Job) -> _Ended:
    """Say how a process of ours ended: by its status, what it wrote into its folder, and else by its last words."""
    status = job.process.returncode
    if status in STOPPED:
        return _Ended("stopped", status=status)
    ended = _state(job.trial.folder, log_before=job.log_before)
    if ended.state != "failed":
        return ended
    if status < 0:
        name = signal.Signals(-status).name
        hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
        return _Ended("failed", f"killed by {name}{hint}")
    if _status_text(job.trial.folder) == job.status_before:
        # It ended before it could open its folder: what stands there is of an earlier start.
        return _Ended("failed", _last_words(_log_of(job.trial.folder), start=job.log_before))
    return ended


def _state(folder: Path, *, log_before: int) -> _Ended:
    """Say what a trial's folder knows of how it ended."""
    try:
        status = Run(folder).status()
    except UserError as error:
        return _Ended("failed", str(error))
    state, why = status["state"], str(status.get("why", ""))
    if state in ("complete", "pruned"):
        return _Ended(state, why)
    if state == "interrupted" or (state == "new" and not _log_of(folder).is_file()):
        return _Ended("stopped")
    return _Ended("failed", _last_words(_log_of(folder), start=log_before) if state == "new" else why)


def _last_words(path: Path, *, start: int) -> str:
    """Return the error that a trial's log ends with, or else its last line."""
    lines = [line for line in path.read_bytes()[start:].decode(errors="replace").splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.startswith("error ")]
    said = "\n".join(lines[errors[-1] :]) if errors else "".join(lines[-1:])
    return said.removeprefix("error ") or f"it said nothing; see {path}"


def _status_text(folder: Path) -> str:
    path = folder / "status.json"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _dev_scores(folder: Path) -> dict[str, Any]:
    from babelfit import scoring  # not above: torch would be imported before --help

    found = [scores for scores in scoring.read_all(folder) if scores["split"] == "validation"]
    if not found:
        raise UserError(f"{folder}/scores/validation.json is not there: no language has gold labels on validation")
    return found[0]


def _log_of(folder: Path) -> Path:
    """Name the file beside a trial's folder that holds what its process said."""
    return folder.with_name(f"{folder.name}.log")


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(CONF.parent / "train.py"), *arguments]


def written(overrides: Mapping[str, str]) -> str:
    """Write the settings of a trial on one line."""
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def wait_for_the_end_of(folder: Path) -> None:
    """Wait until no process works in a trial's folder: one of a killed sweep still writes its checkpoint."""
    told_of = None
    while (other := holder(folder)) is not None:
        if other != told_of:
            log.info("%s still works in %s: waiting for its end", other, folder)
            told_of = other
        time.sleep(SECONDS_BETWEEN_LOOKS)


def environments(workers: int, trainer: TrainerConfig) -> list[dict[str, str]]:
    """Share out this machine: what each of so many trials at a time gets of its cores, or of its GPUs.

    Raises UserError where there are not enough GPUs.
    """
    if workers == 1:
        return [{}]
    cores = max(1, count_cores() // (workers * trainer.devices))
    shared = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(cores))}
    if check_devices(trainer) == "cpu":
        return [shared] * workers
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count_gpus())))).split(",")
    if workers * trainer.devices > len(visible):
        raise UserError(
            f"sweep.workers={workers} trials of trainer.devices={trainer.devices} need "
            f"{workers * trainer.devices} GPUs; {len(visible)} are visible"
        )
    own = [visible[worker * trainer.devices : (worker + 1) * trainer.devices] for worker in range(workers)]
    return [shared | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} for gpus in own]


def run_as_job() -> None:
    """Run the trial that a launcher has sent here as a process of its own, on whatever this job was given.

    The job's signal before its end (SIGUSR2 under submitit) stops the trial with a checkpoint; only then the job is put
    back into the queue.
    """
    overrides = [str(one) for one in HydraConfig.get().overrides.task]
    folder = OUTPUTS / next(one for one in reversed(overrides) if one.startswith("name=")).removeprefix("name=")
    # The trial shall not take itself for a process that srun has started, nor put the job back into the queue.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SUBMITIT_"))}
    with looked_after() as processes:
        asked = False

        def stop(*_: object) -> None:
            nonlocal asked
            asked = True
            processes.pass_on(signal.SIGTERM, None)

        before = signal.signal(signal.SIGUSR2, stop)
        with _log_of(folder).open("ab") as file:
            process = processes.start(_command(overrides), environment=environment, log=file)
        process.wait()
        signal.signal(signal.SIGUSR2, before)
    if asked:
        signal.raise_signal(signal.SIGUSR2)
