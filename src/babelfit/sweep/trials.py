"""Trials, each a `babelfit train` of its own: started here or elsewhere, waited for, and recorded."""

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
from typing import NamedTuple

from hydra.plugins.launcher import Launcher
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from babelfit.config.schema import SweepConfig, TrainerConfig
from babelfit.devices import preemption
from babelfit.devices.launch import PROCESSES_PER_CORE, Processes, check_devices, count_cores, count_gpus, supervise
from babelfit.devices.program import babelfit_command
from babelfit.errors import UserError, first_line
from babelfit.files.lock import holder
from babelfit.ledger.study import Study, Trial
from babelfit.run.run import OUTPUTS, Run
from babelfit.sweep import outcome
from babelfit.sweep.outcome import Before, Outcome, log_path

log = logging.getLogger(__name__)

LONGEST_REASON = 2000

SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 120  # for a trial to write its checkpoint


class _Job(NamedTuple):
    """A trial that runs."""

    trial: Trial
    process: "Popen[bytes]"
    slot: int
    before: Before


class Runner:
    """Has trials run, and records how they end."""

    def __init__(
        self,
        study: Study,
        *,
        settings: SweepConfig,
        num_trials: int,
        overrides_of: Callable[[dict[str, str]], list[str]],
        config_dir: Path | None = None,  # with options of the user's
    ) -> None:
        self._study = study
        self._settings = settings
        self._num_trials = num_trials
        self._overrides_of = overrides_of
        self._config_dir = config_dir
        self._objective = study.facts.objective
        self._stopped: int | None = None  # with this status, by somebody

    def run_here(self, to_do: Iterator[Trial], *, environments: Sequence[dict[str, str]]) -> None:
        """Run trials as processes of this machine, as many at a time as there are environments.

        A signal goes to all that run, and ends the sweep when they have ended.
        """
        jobs: list[_Job] = []
        bar = tqdm(total=self._num_trials, initial=self._num_ended(), desc="trials", unit="", disable=None)
        with logging_redirect_tqdm(), bar, supervise(seconds_to_end=SECONDS_TO_END) as processes:
            while True:
                while len(jobs) < len(environments) and not processes.received and self._stopped is None:
                    trial = next(to_do, None)
                    if trial is None:
                        break
                    slot = min(set(range(len(environments))) - {job.slot for job in jobs})
                    jobs.append(self._start(trial, processes, slot=slot, environment=environments[slot]))
                if not jobs:
                    break
                for job in [job for job in jobs if job.process.poll() is not None]:
                    jobs.remove(job)
                    asked = processes.received is not None or self._stopped is not None
                    status = job.process.returncode
                    ended = outcome.of_process(status, job.trial.folder, before=job.before, is_asked_to_end=asked)
                    self.conclude(job.trial, ended)
                    if self._stopped is not None:
                        for other in jobs:
                            other.process.terminate()
                bar.n = self._num_ended()
                bar.set_postfix_str(", ".join(job.trial.folder.name for job in jobs))
                time.sleep(SECONDS_BETWEEN_LOOKS)
        if processes.received == signal.SIGINT:
            raise KeyboardInterrupt
        if processes.received is not None:
            raise preemption.Preempted(processes.received.name)
        if self._stopped is not None:
            sys.exit(self._stopped)

    def _num_ended(self) -> int:
        return sum(trial.state != "running" for trial in self._study.trials())

    def run_elsewhere(self, to_do: Iterator[Trial], *, launcher: Launcher) -> None:
        """Have a launcher of Hydra's run trials: a grid's all at once, a search's as many as there are workers."""
        size = None if self._study.facts.search == "grid" else self._settings.workers
        while batch := list(islice(to_do, size)):
            before = [Before.at(trial.folder) for trial in batch]
            for trial in batch:
                log.info("%s: %s", trial.folder, join_overrides(trial.overrides))
            failure: Exception | None = None
            try:
                launcher.launch([self._arguments(trial) for trial in batch], initial_job_idx=batch[0].number)
            except Exception as error:
                # One job is gone, and the launcher waits no longer for the others; or none could be sent.
                failure = error
            for trial, at_first in zip(batch, before, strict=True):
                wait_for_the_end_of(trial.folder)
                self.conclude(trial, outcome.of_job(trial.folder, before=at_first, is_over=failure is None))
            if failure is not None:
                raise UserError(
                    f"the launcher gave up ({first_line(failure)}). Its other jobs may still wait or run: let them "
                    "end, or cancel them; then the same command records what they did, and goes on"
                ) from failure
            if self._stopped is not None:
                sys.exit(self._stopped)

    def _arguments(self, trial: Trial) -> list[str]:
        return [*self._overrides_of(trial.overrides), f"name={trial.folder.relative_to(OUTPUTS)}"]

    def _start(self, trial: Trial, processes: Processes, *, slot: int, environment: dict[str, str]) -> _Job:
        log.info("%s: %s", trial.folder, join_overrides(trial.overrides))
        before = Before.at(trial.folder)
        own = _without_scheduler(os.environ) | environment
        with log_path(trial.folder).open("ab") as file:
            command = _command([*_options(self._config_dir), *self._arguments(trial)])
            process = processes.start(command, environment=own, log=file)
        return _Job(trial, process, slot, before)

    def conclude(self, trial: Trial, ended: Outcome) -> None:
        """Record how a trial ended, and all that are the same run; one that was stopped stays begun.

        The same command goes on with that one.
        """
        if ended.state == "stopped":
            log.info("%s was stopped", trial.folder)
            self._stopped = ended.status
            return
        if ended.state == "complete" and self._objective not in ended.objectives:
            undefined = f"objective={self._objective} is undefined: see {trial.folder}/scores/validation.json"
            ended = Outcome("failed", undefined)
        same = [one for one in self._study.trials() if one.folder == trial.folder and one.state == "running"]
        for one in same:
            why = ended.why[:LONGEST_REASON] if ended.why else None
            self._study.end(one, ended.state, why=why, objectives=ended.objectives)
        if ended.state == "complete":
            shares = ", ".join(f"{name} {100 * value:.1f}" for name, value in ended.objectives.items())
            log.info("%s: %s", trial.folder, shares)
            if self._settings.keep == "best":
                self._drop_models()
        else:
            level = logging.ERROR if ended.state == "failed" else logging.INFO
            log.log(level, "%s %s: %s", trial.folder, ended.state, ended.why)

    def _drop_models(self) -> None:
        """Delete models and checkpoints of all complete trials but the best."""
        complete = [trial for trial in self._study.trials() if trial.state == "complete"]
        ranked = sorted(complete, key=lambda trial: -trial.objectives[self._objective])
        for folder in list(dict.fromkeys(trial.folder for trial in ranked))[self._settings.best :]:
            for part in (Run(folder).model, Run(folder).checkpoints):
                if part.is_dir():
                    shutil.rmtree(part)
                    log.info("%s deleted: not among the best %d", part, self._settings.best)


def _command(arguments: Sequence[str]) -> list[str]:
    return babelfit_command("train", *arguments)


def _options(config_dir: Path | None) -> list[str]:
    return [] if config_dir is None else [f"--config-dir={config_dir}"]


def _without_scheduler(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment less the scheduler's variables: trials are not srun's, and requeueing is ours."""
    return {key: value for key, value in environment.items() if not key.startswith(("SLURM_", "SUBMITIT_"))}


def join_overrides(overrides: Mapping[str, str]) -> str:
    """Return the settings of a trial on one line."""
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def wait_for_the_end_of(folder: Path) -> None:
    """Wait until no process works in a trial's folder: one of a killed sweep still writes its checkpoint."""
    known = None
    while (other := holder(folder)) is not None:
        if other != known:
            log.info("%s still works in %s: waiting for it to end", other, folder)
            known = other
        time.sleep(SECONDS_BETWEEN_LOOKS)


def environments(workers: int, trainer: TrainerConfig) -> list[dict[str, str]]:
    """Return what each of so many trials at a time gets of this machine's cores, or of its GPUs.

    Raise UserError where there are not enough GPUs, or far too few cores.
    """
    most = PROCESSES_PER_CORE * count_cores()
    if workers * trainer.devices > most and not count_gpus():
        raise UserError(f"sweep.workers={workers}: at most {most // trainer.devices} on this machine's cores")
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


def run_as_job(overrides: Sequence[str], *, config_dir: Path | None = None) -> None:
    """Run the trial of these overrides, which a launcher has sent here, as a process of its own on what this job has.

    A signal to the job (SIGUSR2 under submitit, before its time is up) stops the trial with a checkpoint; only then the
    job is put back into the queue.
    """
    folder = OUTPUTS / next(one for one in reversed(overrides) if one.startswith("name=")).removeprefix("name=")
    asked = False

    with supervise(seconds_to_end=SECONDS_TO_END) as processes:

        def stop(*_: object) -> None:
            nonlocal asked
            asked = True
            processes.pass_on(signal.SIGTERM, None)

        # Ignored by the trial, which would die of it: some schedulers send it to every process of a job.
        submitits = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        with log_path(folder).open("ab") as file:
            command = _command([*_options(config_dir), *overrides])
            process = processes.start(command, environment=_without_scheduler(os.environ), log=file)
        signal.signal(signal.SIGUSR2, stop)
        process.wait()
        signal.signal(signal.SIGUSR2, submitits)
    if asked:
        signal.raise_signal(signal.SIGUSR2)
    elif processes.received is not None:
        raise preemption.Preempted(processes.received.name)
