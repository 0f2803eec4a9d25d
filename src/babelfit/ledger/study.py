"""The record of a sweep: an Optuna study in the sweep's folder, which also proposes the settings of a search.

A trial stands in it from the moment at which it is chosen, so that whatever is killed, the same command knows what was
begun. What a trial did is in its run folder; here is how it ended.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babelfit.config.config_files import changes
from babelfit.errors import UserError, first_line
from babelfit.files import atomic_files, documents
from babelfit.files.documents import Number, Word
from babelfit.files.untrusted_files import inside
from babelfit.ledger.study_file import FILES, check_study, damaged

if TYPE_CHECKING:
    import optuna

SCHEMA = 1
NAME = "babelfit"
SECONDS_TO_WAIT = 60  # for another process that writes to the same file

STARTUP = 10
"""So many settings of a search are drawn at random, or half of all; half as many trials are complete before one is
compared with them."""


@dataclass(frozen=True, kw_only=True)
class SweepFacts:
    """What makes a sweep the same one, as its study says it."""

    schema: int = SCHEMA
    search: Word
    space: dict[str, str]  # what is swept, as on the command line; of a grid, which may grow, the keys alone
    base: dict[str, Any]  # the configuration that trials share, by full key
    objective: Word


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial, as the study recorded it."""

    number: int
    state: str  # running (or begun, and to go on), complete, pruned, failed
    overrides: dict[str, str]  # the swept keys and their values, as on the command line
    folder: Path  # outputs/NAME/<hash>; it may not be there where a trial failed early
    why: str | None = None  # it failed, or was pruned
    objectives: dict[Word, Number] = field(default_factory=dict)
    """Of a complete one: on dev, of its selected model, fractions of 1."""
    retries: int | None = None  # the number of the failed one whose place it takes


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep's folder records."""

    folder: Path
    search: str
    objective: str
    trials: list[Trial]


def read_sweep(folder: Path) -> Sweep:
    """Return what a sweep has recorded; raise UserError for a folder that is no sweep's, or a damaged study."""
    if not is_sweep(folder):
        raise UserError(
            f"{folder} is not a sweep: it has no {' or '.join(FILES.values())}. Sweeps: babelfit train -m ..."
        )
    study = Study(folder)
    return Sweep(folder=folder, search=study.facts.search, objective=study.facts.objective, trials=study.trials())


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep's."""
    return any((folder / name).is_file() for name in FILES.values())


class Study:
    """A sweep's study. One process leads the sweep and adds trials; each trial's own process adds its dev scores."""

    def __init__(self, folder: Path, *, storage: str = "sqlite", facts: SweepFacts | None = None) -> None:
        """Open the study of a folder; with the facts of a sweep, also make one.

        Raises UserError where another sweep's study is there, with the differences, or a damaged file.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.folder = folder
        there = next((name for name in FILES if (folder / FILES[name]).is_file()), None)
        path = folder / FILES[there or storage]
        # Opened, it is written to: tables that Optuna misses are made.
        check_study(path)
        if facts is not None and there not in (None, storage):
            raise UserError(f"{path} is the sweep's study, but sweep.storage={storage}: add sweep.storage={there}")
        if facts is not None and there is None:
            _make(path, facts=facts)
        try:
            self._storage = _storage(path)
            pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP // 2, n_min_trials=3)
            self._study = optuna.load_study(storage=self._storage, study_name=NAME, pruner=pruner)
            self.facts = documents.parsed(SweepFacts, self._study.user_attrs, where="it")
        except Exception as error:
            raise UserError(damaged(path, why=first_line(error))) from error
        if self.facts.schema != SCHEMA:
            raise UserError(f"{path} has schema {self.facts.schema}; this babelfit reads {SCHEMA}")
        if facts is not None:
            self._check(facts)

    def _check(self, facts: SweepFacts) -> None:
        if changed := changes(_flat(self.facts), _flat(facts)):
            lines = "\n  ".join(changed)
            raise UserError(f"{self.folder} holds another sweep; it differs in\n  {lines}\nChoose another name=")

    @property
    def prunes(self) -> bool:
        """Whether hopeless trials end early."""
        return bool(self._study.user_attrs.get("prune", False))

    @prunes.setter
    def prunes(self, prunes: bool) -> None:
        self._study.set_user_attr("prune", prunes)

    def trials(self) -> list[Trial]:
        """Return all trials in the order of their beginning, but those that another has taken the place of."""
        try:
            every = self._study.get_trials(deepcopy=False)
            found = [self._recorded(trial) for trial in every if "overrides" in trial.user_attrs]
        except Exception as error:
            raise UserError(
                f"{self.folder}: its study is damaged ({first_line(error)}). The trials' folders are whole: move the "
                "study away, and the same command records them again"
            ) from error
        replaced = {trial.retries for trial in found}
        return [trial for trial in found if trial.number not in replaced]

    def _recorded(self, trial: "optuna.trial.FrozenTrial") -> Trial:
        known = trial.user_attrs
        state = {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())
        place = str(known.get("folder", ""))
        # An untrusted study must not lead out of its folder.
        name = place if re.fullmatch("[0-9a-f]{1,64}", place) else f"unnamed-{trial.number}"
        folder = inside(self.folder, name)
        own = {"number": trial.number, "state": state, "folder": str(folder)}
        return documents.parsed(Trial, {**known, **own}, where=f"trial {trial.number}")

    def mend(self) -> None:
        """Undo what a sweep that was killed had half chosen: it will choose the same again."""
        from optuna.trial import TrialState

        while self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self._study.ask()
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if "overrides" not in trial.user_attrs:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def begin(self, overrides: Mapping[str, str], *, retries: Trial | None = None) -> Trial:
        """Begin a trial with these settings, perhaps in the place of one that failed."""
        known: dict[str, Any] = {"overrides": dict(overrides)}
        params, distributions = {}, None
        if retries is not None:
            known["retries"] = retries.number
            failed = self._study.get_trials(deepcopy=False)[retries.number]
            params, distributions = failed.params, failed.distributions
        self._study.enqueue_trial(params, user_attrs=known)
        return self._of(self._study.ask(distributions).number)

    def propose(
        self, distributions: "Mapping[str, optuna.distributions.BaseDistribution]", *, seed: int, num_trials: int
    ) -> Trial:
        """Begin the next trial of a search, whose settings follow from the seed and from the trials before it."""
        import numpy as np
        import optuna

        # A sampler of its own for each: one that goes on after a kill would draw the first settings again.
        drawn = np.random.SeedSequence([seed, len(self.trials())]).generate_state(1)[0]
        self._study.sampler = optuna.samplers.TPESampler(
            seed=int(drawn), n_startup_trials=min(STARTUP, num_trials // 2)
        )
        trial = self._study.ask(dict(distributions))
        trial.set_user_attr("overrides", {key: as_text(value) for key, value in trial.params.items()})
        return self._of(trial.number)

    def place(self, trial: Trial, name: str) -> Trial:
        """Note the folder of a trial."""
        self._own(trial.number).set_user_attr("folder", name)
        return self._of(trial.number)

    def end(
        self,
        trial: Trial,
        state: str,
        *,
        why: str | None = None,
        objectives: Mapping[str, float] | None = None,
    ) -> Trial:
        """Record how a trial ended: complete, pruned or failed."""
        from optuna.trial import TrialState

        own = self._own(trial.number)
        if why is not None:
            own.set_user_attr("why", why)
        if objectives:
            own.set_user_attr("objectives", dict(objectives))
        value = (objectives or {}).get(self.facts.objective) if state == "complete" else None
        of_optuna = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[state]
        self._study.tell(trial.number, value, state=of_optuna)
        return self._of(trial.number)

    def is_hopeless(self, trial: Trial, score: float, *, percent: int) -> bool:
        """Note a running trial's dev score after so many percent of its steps; tell whether it should end here."""
        own = self._own(trial.number)
        noted = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        if percent in noted:
            # The same validation, made again after a kill; or a second one within one percent, which is left out.
            return noted[percent] == score and own.should_prune()
        own.report(score, step=percent)
        return own.should_prune()

    def _of(self, number: int) -> Trial:
        return next(trial for trial in self.trials() if trial.number == number)

    def _own(self, number: int) -> "optuna.trial.Trial":
        import optuna

        study = self._storage.get_study_id_from_name(NAME)
        return optuna.trial.Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number))


def _make(path: Path, *, facts: SweepFacts) -> None:
    """Make a study under another name first: other processes see none, or the whole of it."""
    import optuna

    temporary = path.with_name(f"new-{path.name}")
    temporary.unlink(missing_ok=True)
    storage = _storage(temporary)
    study = optuna.create_study(storage=storage, study_name=NAME, direction="maximize")
    for key, value in asdict(facts).items():
        study.set_user_attr(key, value)
    if isinstance(storage, optuna.storages.RDBStorage):
        storage.remove_session()
        storage.engine.dispose()
    atomic_files.rename(temporary, path)


def _storage(path: Path) -> "optuna.storages.BaseStorage":
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    if path.suffix == Path(FILES["sqlite"]).suffix:
        options = {"connect_args": {"timeout": SECONDS_TO_WAIT}}
        return storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
    return storages.JournalStorage(JournalFileBackend(str(path)))


def as_text(value: object) -> str:
    """Return a value that Optuna drew as an override has it."""
    return value if isinstance(value, str) else repr(value)


def _flat(facts: SweepFacts) -> dict[str, Any]:
    """Lay out facts by full key."""
    nested = {f"{name} {key}": one for name in ("space", "base") for key, one in getattr(facts, name).items()}
    return {"search": facts.search, "objective": facts.objective, **nested}
