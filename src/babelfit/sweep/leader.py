"""Lead a sweep: which trials there are, and which are still to be done."""

import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from babelfit.config.config_files import identity
from babelfit.config.schema import MultirunConfig, SweepConfig, TrainConfig, checked
from babelfit.errors import UserError, first_line
from babelfit.files.lock import locked
from babelfit.files.untrusted_files import check_folder
from babelfit.ledger.study import Study, SweepFacts, Trial, is_sweep, read_sweep
from babelfit.run.run import CONFIG, EVALUATION, OUTPUTS, check_place
from babelfit.sweep import outcome, trials
from babelfit.sweep.space import Space

log = logging.getLogger(__name__)

DEFAULT_OBJECTIVE = "source_dev"


@dataclass(frozen=True, kw_only=True)
class Leader:
    """A sweep that has been checked: nothing in it is run yet."""

    compose: Callable[[Sequence[str]], TrainConfig]  # the configuration of a trial with these overrides
    build_launcher: Callable[[Path], Launcher | None]  # with files of its own in this folder; None: trials run here
    settings: SweepConfig
    resume: str
    space: Space
    common: list[str]  # overrides that all trials share
    folder: Path
    facts: SweepFacts
    grid: dict[str, dict[str, str]] | None  # the settings of each trial by the name of its folder; None: a search
    config_dir: Path | None  # with options of the user's

    @classmethod
    def read(
        cls,
        arguments: Sequence[str],
        *,
        config: DictConfig,
        parser: OverridesParser,
        compose: Callable[[Sequence[str]], TrainConfig],
        build_launcher: Callable[[Path], Launcher | None],
        config_dir: Path | None = None,
    ) -> "Leader":
        """Read the command line, given the configuration without what is swept.

        Raise UserError, with nothing written, for all that a look at the settings shows.
        """
        settings = checked(OmegaConf.create({"sweep": config.sweep}), MultirunConfig).sweep
        space = Space.read(arguments, space=settings.space, parser=parser)
        objective = config.objective or DEFAULT_OBJECTIVE
        is_search = settings.search != "grid"
        if is_search and settings.trials is None:
            raise UserError("sweep.trials=null: a search needs the number of trials in all, as in sweep.trials=20")
        if not is_search and settings.trials is not None:
            raise UserError(f"sweep.trials={settings.trials}: a grid has one trial per combination; set it to null")
        try:
            values: Any = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            raise UserError(first_line(error)) from error
        values.pop("sweep")
        name = values.pop("name")
        folder = OUTPUTS / (name if space.is_named else f"{name}-sweep")
        check_place(folder)
        leader = cls(
            compose=compose,
            build_launcher=build_launcher,
            settings=settings,
            resume=config.resume,
            space=space,
            common=[*space.fixed, *([] if config.objective else [f"objective={objective}"])],
            folder=folder,
            facts=SweepFacts(
                search=settings.search,
                # A grid may grow: what it sweeps counts, not over which values.
                space=space.written() if is_search else dict.fromkeys(space.swept, "values"),
                # A run may score other languages when it goes on; the trials of a sweep are compared on the same.
                base=identity(values | {"objective": objective}) | {"data.languages": values["data"]["languages"]},
                objective=objective,
            ),
            grid=None if is_search else {},
            config_dir=config_dir,
        )
        leader._check(space.samples() if is_search else space.grid())
        return leader

    def _check(self, settings: Sequence[dict[str, str]]) -> None:
        """Compose these settings, which of a grid are all there are."""
        for name in (CONFIG, EVALUATION):
            if (self.folder / name).exists():
                raise UserError(
                    f"{self.folder} has a {name} and cannot hold the trials of a sweep: choose another name="
                )
        if self.grid is None:
            self.space.distributions()
        for overrides in settings:
            name = self.name_of(overrides)
            if self.grid is None:
                continue
            if name in self.grid:
                one, other = (trials.join_overrides(settings) for settings in (self.grid[name], overrides))
                raise UserError(
                    f"{one} and {other} are the same run: the keys that "
                    "differ do not change results. Leave one of them out"
                )
            self.grid[name] = overrides

    def overrides(self, trial_overrides: dict[str, str]) -> list[str]:
        """Return the overrides of a trial, but for its name."""
        return [*self.common, *(f"{key}={value}" for key, value in trial_overrides.items())]

    def name_of(self, trial_overrides: dict[str, str]) -> str:
        """Return the name of a trial's folder, by what makes it the same run; raise UserError where it is none."""
        config = self.compose([*self.overrides(trial_overrides), f"name={self.folder.relative_to(OUTPUTS)}/0"])
        values = identity(asdict(config))
        values.pop("name")
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]

    def run(self) -> None:
        """Run all trials that are not done, and end with status 1 where some failed."""
        if self.settings.dry_run:
            self._log_dry_run()
            return
        if self.resume == "never" and is_sweep(self.folder):
            raise UserError(f"{self.folder} exists and resume=never: choose another name=")
        launcher = self.build_launcher(self.folder)
        environments: list[dict[str, str]] = []
        if launcher is None:
            environments = trials.environments(self.settings.workers, self.compose(self._first()).trainer)
        elif self.settings.storage == "sqlite" and type(launcher).__name__ == "SlurmLauncher":
            raise UserError("sweep.storage=sqlite cannot be shared between machines: add sweep.storage=journal")
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder):
            check_folder(self.folder)
            study = Study(self.folder, storage=self.settings.storage, facts=self.facts)
            study.mend()
            study.prunes = self.settings.prune
            known = Counter(trial.state for trial in study.trials())
            log.info(
                "%s: %d trials by %s%s",
                self.folder,
                self._num_trials,
                self.facts.objective,
                "".join(f", {count} {state}" for state, count in known.items()),
            )
            runner = trials.Runner(
                study,
                settings=self.settings,
                num_trials=self._num_trials,
                overrides_of=self.overrides,
                config_dir=self.config_dir,
            )
            to_do = self._to_do(study, runner=runner)
            if launcher is None:
                runner.run_here(to_do, environments=environments)
            else:
                runner.run_elsewhere(to_do, launcher=launcher)
            self._conclude(study)

    @property
    def _num_trials(self) -> int:
        return int(self.settings.trials or 0) if self.grid is None else len(self.grid)

    def _first(self) -> list[str]:
        return self.overrides(self.space.samples()[0] if self.grid is None else next(iter(self.grid.values())))

    def _to_do(self, study: Study, *, runner: trials.Runner) -> Iterator[Trial]:
        """Yield trials to run: those that were begun, those to try again, then new ones, in the light of all before."""

        def begun() -> Iterator[Trial]:
            yield from (trial for trial in study.trials() if trial.state == "running")
            for trial in study.trials() if self.settings.retry else ():
                if trial.state == "failed" and (self.grid is None or trial.folder.name in self.grid):
                    yield study.begin(trial.overrides, retries=trial)
            for name, overrides in (self.grid or {}).items():
                if name not in {trial.folder.name for trial in study.trials()}:
                    yield study.begin(overrides)
            while self.grid is None and len(study.trials()) < self._num_trials:
                yield study.propose(self.space.distributions(), seed=self.settings.seed, num_trials=self._num_trials)

        for trial in begun():
            placed = self._place(trial, study=study)
            if placed is not None and not self._is_known(placed, study=study, runner=runner):
                yield placed

    def _place(self, trial: Trial, *, study: Study) -> Trial | None:
        """Return a trial with its folder; None where it is not wanted, or cannot be a run, which is recorded."""
        try:
            name = self.name_of(trial.overrides)
        except UserError as error:
            # In a search each value was looked at before, but not each with each.
            study.end(trial, "failed", why=str(error))
            log.error("%s failed: %s", trials.join_overrides(trial.overrides), error)
            return None
        placed = study.place(trial, name)
        return placed if self.grid is None or name in self.grid else None

    def _is_known(self, trial: Trial, *, study: Study, runner: trials.Runner) -> bool:
        """Return whether a trial need not start: the same run was recorded, or goes on, or has ended unrecorded."""
        same = [one for one in study.trials() if one.folder == trial.folder and one.number != trial.number]
        for one in same:
            if one.state in ("complete", "pruned"):
                study.end(trial, one.state, why=one.why, objectives=one.objectives)
                return True
            if one.state == "running" and one.number < trial.number:
                return True  # and recorded with it
        trials.wait_for_the_end_of(trial.folder)
        ended = outcome.of_folder(trial.folder)
        if ended is not None:
            runner.conclude(trial, ended)
        return ended is not None

    def _conclude(self, study: Study) -> None:
        from babelfit.reports import sweep_files  # not above: torch would be imported before --help

        sweep_files.report_sweep(self.folder)
        failed = [trial for trial in study.trials() if trial.state == "failed"]
        if failed:
            lines = "\n".join(f"  {one.folder}: {trials.join_overrides(one.overrides)}: {one.why}" for one in failed)
            log.error("%d of %d trials failed:\n%s", len(failed), len(study.trials()), lines)
            log.error("sweep.retry=true runs them again")
            sys.exit(1)

    def _log_dry_run(self) -> None:
        recorded = read_sweep(self.folder).trials if is_sweep(self.folder) else []
        known = {one.folder.name: one.state for one in recorded}
        if self.grid is None:
            log.info("%s: %s trials in all, %d known; drawn from", self.folder, self.settings.trials, len(known))
            for key, value in self.space.written().items():
                log.info("  %s=%s", key, value)
            return
        log.info("%s: %d trials", self.folder, len(self.grid))
        for name, overrides in self.grid.items():
            log.info("  %s %s (%s)", name, trials.join_overrides(overrides), known.get(name, "new"))
