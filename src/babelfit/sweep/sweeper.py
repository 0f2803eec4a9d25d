"""What `python train.py -m ...` does: choose trials, have them run, record how they ended. Hydra calls `Sweeper`.

Hydra's own sweepers run what they are told once; this one comes back to what a killed sweep has left.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper as HydraSweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from babelfit import launch
from babelfit.commands import told
from babelfit.config import MultirunConfig, SweepConfig, TrainConfig, checked
from babelfit.config_files import identity
from babelfit.errors import UserError
from babelfit.lock import locked
from babelfit.run import CONFIG, EVALUATION, OUTPUTS
from babelfit.sweep import study as record
from babelfit.sweep import trials
from babelfit.sweep.space import Space
from babelfit.sweep.study import Study, Trial

log = logging.getLogger(__name__)

DEFAULT_OBJECTIVE = "source_dev"
AT_ONCE = "basic"
"""Hydra's own launcher, which stands for: no launcher, our own processes on this machine."""


class Sweeper(HydraSweeper):
    """Hydra's way to a sweep."""

    hydra_context: HydraContext
    config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra has composed: the configuration without what is swept."""
        self.hydra_context, self.config = hydra_context, config
        self._task = task_function

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that the command line stands for."""
        logging.getLogger("hydra").setLevel(logging.WARNING)
        with told():
            if launch.is_one_of_several():
                raise UserError("a sweep (-m) starts its trials itself: start it without torchrun and srun")
            _Plan.made(arguments, sweeper=self).carry_out()

    def composed(self, overrides: Sequence[str]) -> TrainConfig:
        """Compose and check the configuration of one trial; raises UserError for what no run can have."""
        try:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(str(error)) from error
        return checked(_without_hydra(config), TrainConfig)

    def built_launcher(self, folder: Path) -> Launcher | None:
        """Build the launcher that sends trials elsewhere; none where they run on this machine."""
        if HydraConfig.get().runtime.choices["hydra/launcher"] == AT_ONCE:
            return None
        with read_write(self.config.hydra):
            self.config.hydra.sweep.dir = str(folder)  # where it keeps its own files
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self._task, config=self.config
        )


def is_running() -> bool:
    """Tell whether this process is of a sweep; raises UserError for settings of a sweep where there is none."""
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN:
        return True
    for override in job.overrides.task:
        if str(override).startswith(("sweep=", "sweep.")):
            raise UserError(f"{override} is for sweeps: python train.py -m {' '.join(job.overrides.task)}")
    return False


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A sweep that has been checked: nothing in it is run yet."""

    sweeper: Sweeper
    settings: SweepConfig
    space: Space
    common: list[str]  # overrides that all trials share
    folder: Path
    facts: dict[str, Any]  # what makes it the same sweep
    grid: list[dict[str, str]] | None  # None: a search

    @classmethod
    def made(cls, arguments: Sequence[str], *, sweeper: Sweeper) -> "_Plan":
        """Read the command line; raises UserError, with nothing written, for all that a look at the settings shows."""
        master = sweeper.config
        settings = checked(OmegaConf.create({"sweep": master.sweep}), MultirunConfig).sweep
        parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
        space = Space.read(arguments, space=settings.space, parser=parser)
        objective = master.objective or DEFAULT_OBJECTIVE
        is_search = settings.search != "grid"
        if is_search and settings.trials is None:
            raise UserError("sweep.trials=null: a search needs to know how many trials to make in all; sweep.trials=20")
        if not is_search and settings.trials is not None:
            raise UserError(f"sweep.trials={settings.trials}: a grid has as many as there are combinations; set null")
        values: Any = OmegaConf.to_container(_without_hydra(master), resolve=True)
        values.pop("sweep")
        named = any(str(one).startswith("name=") for one in arguments)
        folder = OUTPUTS / (values.pop("name") if named else f"{values.pop('name')}-sweep")
        plan = cls(
            sweeper=sweeper,
            settings=settings,
            space=space,
            common=[*space.fixed, *([] if master.objective else [f"objective={objective}"])],
            folder=folder,
            facts={
                "search": settings.search,
                # A grid may grow: what it sweeps counts, not over which values.
                "space": space.written() if is_search else dict.fromkeys(space.swept, "values"),
                "base": identity(values | {"objective": objective}),
                "objective": objective,
            },
            grid=None if is_search else space.grid(),
        )
        plan._check()
        return plan

    def _check(self) -> None:
        for name in (CONFIG, EVALUATION):
            if (self.folder / name).exists():
                raise UserError(
                    f"{self.folder} has a {name} and cannot hold the trials of a sweep: choose another name="
                )
        if self.grid is None:
            self.space.distributions()
        first: dict[str, dict[str, str]] = {}
        for overrides in self.space.samples() if self.grid is None else self.grid:
            same = first.setdefault(self.name_of(overrides), overrides)
            if self.grid is not None and same is not overrides:
                raise UserError(
                    f"{trials.written(same)} and {trials.written(overrides)} are one and the same run: what differs "
                    "does not change results. Leave one of them out"
                )

    def overrides(self, trial_overrides: dict[str, str]) -> list[str]:
        """Return the overrides of a trial, but for its name."""
        return [*self.common, *(f"{key}={value}" for key, value in trial_overrides.items())]

    def name_of(self, trial_overrides: dict[str, str]) -> str:
        """Name the folder of a trial by what makes it the same run; raises UserError where it can be no run."""
        config = self.sweeper.composed([*self.overrides(trial_overrides), f"name={self.folder.relative_to(OUTPUTS)}/0"])
        values = identity(asdict(config))
        values.pop("name")
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]

    def carry_out(self) -> None:
        """Run all trials that are not done, and end with status 1 where some failed."""
        if self.settings.dry_run:
            self._tell_what_would_run()
            return
        if self.sweeper.config.resume == "never" and record.holds(self.folder):
            raise UserError(f"{self.folder} exists and resume=never: choose another name=")
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder):
            study = Study(self.folder, storage=self.settings.storage, facts=self.facts)
            study.mend()
            study.prunes = self.settings.prune
            runner = trials.Runner(
                study, settings=self.settings, num_trials=self._num_trials, overrides_of=self.overrides
            )
            launcher = self.sweeper.built_launcher(self.folder)
            if launcher is None:
                environments = trials.environments(self.settings.workers, self.sweeper.composed(self._first()).trainer)
                runner.run_here(self._to_do(study), environments=environments)
            else:
                runner.run_elsewhere(self._to_do(study), launcher=launcher)
            self._conclude(study)

    @property
    def _num_trials(self) -> int:
        return int(self.settings.trials or 0) if self.grid is None else len(self.grid)

    def _first(self) -> list[str]:
        return self.overrides((self.space.samples() if self.grid is None else self.grid)[0])

    def _to_do(self, study: Study) -> Iterator[Trial]:
        """Yield trials to run: those that were begun, those to try again, then new ones, in the light of all before."""
        for trial in study.trials():
            if trial.state == "running" and (self.grid is None or trial.overrides in self.grid):
                placed = study.place(trial, self.name_of(trial.overrides))
                trials.wait_for_the_end_of(placed.folder)
                yield placed
        for trial in study.trials() if self.settings.retry else ():
            if trial.state == "failed":
                yield study.place(study.begin(trial.overrides, retries=trial), self.name_of(trial.overrides))
        for overrides in self.grid or ():
            if overrides not in [trial.overrides for trial in study.trials()]:
                yield study.place(study.begin(overrides), self.name_of(overrides))
        while self.grid is None and len(study.trials()) < self._num_trials:
            trial = study.propose(self.space.distributions(), seed=self.settings.seed, num_trials=self._num_trials)
            try:
                name = self.name_of(trial.overrides)
            except UserError as error:
                # Each value was tried, but not each with each.
                study.end(trial, "failed", why=str(error))
                continue
            yield study.place(trial, name)

    def _conclude(self, study: Study) -> None:
        from babelfit.sweep import ledger_files  # not above: torch would be imported before --help

        ledger_files.tell(self.folder)
        failed = [trial for trial in study.trials() if trial.state == "failed"]
        if failed:
            lines = "\n".join(f"  {one.folder}: {trials.written(one.overrides)}: {one.why}" for one in failed)
            log.error("%d of %d trials failed:\n%s", len(failed), len(study.trials()), lines)
            log.error("sweep.retry=true takes them up again")
            sys.exit(1)

    def _tell_what_would_run(self) -> None:
        recorded = record.read(self.folder).trials if record.holds(self.folder) else []
        known = {one.folder.name: one.state for one in recorded}
        if self.grid is None:
            log.info("%s: %s trials in all, %d known; drawn from", self.folder, self.settings.trials, len(known))
            for key, value in self.space.written().items():
                log.info("  %s=%s", key, value)
            return
        log.info("%s: %d trials", self.folder, len(self.grid))
        for overrides in self.grid:
            name = self.name_of(overrides)
            log.info("  %s %s (%s)", name, trials.written(overrides), known.get(name, "new"))


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
