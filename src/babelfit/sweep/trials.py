"""Trials, each a `train.py` of its own: started here or elsewhere, waited for, and recorded."""

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
from babelfit.sweep.outcome import Before, Ended, dev_scores, log_of, of_folder, of_process
from babelfit.sweep.study import Study, Trial

log = logging.getLogger(__name__)

LONGEST_REASON = 2000

SECONDS_BETWEEN_LOOKS = 0.1


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
                    self._conclude(job.trial, of_process(job.process.returncode, job.trial.folder, before=job.before))
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
                self._conclude(trial, of_folder(trial.folder, log_before=0))
            if self._stopped is not None:
                sys.exit(self._stopped)

    def _arguments(self, trial: Trial) -> list[str]:
        return [*self._overrides_of(trial.overrides), f"name={trial.folder.relative_to(OUTPUTS)}"]

    def _started(self, trial: Trial, processes: Processes, *, slot: int, environment: dict[str, str]) -> _Job:
        log.info("%s: %s", trial.folder, written(trial.overrides))
        before = Before.at(trial.folder)
        own = _without_scheduler(os.environ) | environment
        with log_of(trial.folder).open("ab") as file:
            process = processes.start(_command(self._arguments(trial)), environment=own, log=file)
        return _Job(trial, process, slot, before)

    def _conclude(self, trial: Trial, ended: Ended) -> None:
        """Record how a trial ended; one that was stopped stays begun, for the same command to go on with."""
        if ended.state == "stopped":
            log.info("%s was stopped", trial.folder)
            self._stopped = ended.status
            return
        if ended.state == "complete":
            try:
                objectives = of_scores(dev_scores(trial.folder), languages=self._languages)
                if self._objective not in objectives:
                    raise UserError(
                        f"objective={self._objective} is undefined: see {trial.folder}/scores/validation.json"
                    )
            except UserError as error:
                ended = Ended("failed", str(error))
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


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(CONF.parent / "train.py"), *arguments]


def _without_scheduler(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep from a trial what job it is in: it is no process of srun's, and the job is put into the queue once by us."""
    return {key: value for key, value in environment.items() if not key.startswith(("SLURM_", "SUBMITIT_"))}


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
    with looked_after() as processes:
        asked = False

        def stop(*_: object) -> None:
            nonlocal asked
            asked = True
            processes.pass_on(signal.SIGTERM, None)

        before = signal.signal(signal.SIGUSR2, stop)
        with log_of(folder).open("ab") as file:
            process = processes.start(_command(overrides), environment=_without_scheduler(os.environ), log=file)
        process.wait()
        signal.signal(signal.SIGUSR2, before)
    if asked:
        signal.raise_signal(signal.SIGUSR2)
