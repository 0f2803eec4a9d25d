"""The record of a sweep survives what kills the sweep, and draws on as if nothing had happened."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from babelfit.errors import UserError
from babelfit.ledger import study as record
from babelfit.ledger.study import Study, SweepFacts, Trial

FACTS = SweepFacts(
    search="tpe",
    space={"optimization.warmup": "interval(0,1)"},
    base={"data.name": "xnli", "objective": "source_dev"},
    objective="source_dev",
)
SPACE = {"optimization.warmup": FloatDistribution(0, 1), "optimization.learning_rate": FloatDistribution(1e-5, 1e-3)}


def drawn(folder: Path, *, num_trials: int, kills: bool, storage: str = "sqlite") -> list[Trial]:
    """Search so many settings; with kills, each by a process of its own that is killed as it has begun the next."""
    study = Study(folder, storage=storage, facts=FACTS)
    while len(study.trials()) < num_trials:
        trial = study.propose(SPACE, seed=1, num_trials=num_trials)
        if kills:
            study = Study(folder, storage=storage, facts=FACTS)
            study.mend()
            (trial,) = (one for one in study.trials() if one.state == "running")
        study.place(trial, f"{trial.number:08x}")
        study.end(trial, "complete", objectives={"source_dev": float(trial.overrides["optimization.warmup"])})
    return study.trials()


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_search_that_is_killed_draws_what_it_would_have_drawn(tmp_path: Path, storage: str) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = drawn(tmp_path / "whole", num_trials=12, kills=False)
    killed = drawn(tmp_path / "killed", num_trials=12, kills=True, storage=storage)

    assert [one.overrides for one in killed] == [one.overrides for one in whole]
    assert len({one.overrides["optimization.warmup"] for one in whole}) == 12


def test_what_was_half_chosen_is_chosen_again(tmp_path: Path) -> None:
    study = Study(tmp_path, facts=FACTS)
    # As a kill leaves them between the choice and its record.
    study._study.ask(SPACE)
    study._study.enqueue_trial({}, user_attrs={"overrides": {"seed": "1"}})

    again = Study(tmp_path, facts=FACTS)
    again.mend()
    assert [(one.state, one.overrides) for one in again.trials()] == [("running", {"seed": "1"})]


def test_a_retried_trial_takes_the_place_of_the_one_that_failed(tmp_path: Path) -> None:
    study = Study(tmp_path, facts=FACTS)
    first = study.propose(SPACE, seed=1, num_trials=4)
    failed = study.end(first, "failed", why="the disk was full")
    assert (failed.state, failed.why) == ("failed", "the disk was full")

    second = study.begin(failed.overrides, retries=failed)
    assert [one.number for one in study.trials()] == [second.number]
    study.end(second, "complete", objectives={"source_dev": 0.5, "mean_dev": 0.25})
    (trial,) = record.read_sweep(tmp_path).trials
    assert (trial.state, trial.overrides) == ("complete", first.overrides)
    assert trial.objectives == {"source_dev": 0.5, "mean_dev": 0.25}
    # Optuna learns from it: its parameters are those of the failed one.
    assert study._study.get_trials()[-1].params == {key: float(value) for key, value in first.overrides.items()}


def test_another_sweep_under_the_same_name_is_refused_with_the_difference(tmp_path: Path) -> None:
    Study(tmp_path, facts=FACTS).prunes = True
    Study(tmp_path, facts=FACTS)
    base = FACTS.base | {"data.name": "pawsx"}
    other = replace(FACTS, space={"optimization.warmup": "interval(0,2)"}, base=base)
    with pytest.raises(UserError) as refused:
        Study(tmp_path, facts=other)
    assert "base data.name: xnli -> pawsx" in str(refused.value)
    assert "space optimization.warmup: interval(0,1) -> interval(0,2)" in str(refused.value)
    assert "name=" in str(refused.value)


def test_a_study_in_another_storage_is_refused(tmp_path: Path) -> None:
    Study(tmp_path, storage="journal", facts=FACTS)
    with pytest.raises(UserError, match=r"add sweep.storage=journal"):
        Study(tmp_path, storage="sqlite", facts=FACTS)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_study_is_there_whole_or_not_at_all(tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(record.atomic_files, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            Study(tmp_path, storage=storage, facts=FACTS)
    assert not record.is_sweep(tmp_path)
    Study(tmp_path, storage=storage, facts=FACTS)
    assert record.read_sweep(tmp_path).objective == "source_dev"


def test_a_study_of_another_schema_is_refused(tmp_path: Path) -> None:
    Study(tmp_path, facts=FACTS)._study.set_user_attr("schema", 2)
    with pytest.raises(UserError, match="has schema 2; this babelfit reads 1"):
        record.read_sweep(tmp_path)


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_damaged_study_is_told(tmp_path: Path, storage: str) -> None:
    (tmp_path / record.FILES[storage]).write_bytes(b"{not a study}\n" * 500)
    with pytest.raises(UserError, match="not the study of a sweep, or damaged"):
        record.read_sweep(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("objective", None, "it.objective: Input should be a valid string; found 'None'"),
        ("space", {"seed": 1}, "it.space.seed: Input should be a valid string; found '1'"),
        ("base", [], "it.base: "),
        ("objective", "=cmd|x", "it.objective: String should be a word of letters, digits, - and _"),
        ("search", "\x1b[2J", "it.search: String should be a word"),
    ],
)
def test_a_study_that_says_what_no_sweep_does_is_told(tmp_path: Path, key: str, value: Any, told: str) -> None:
    Study(tmp_path, facts=FACTS)._study.set_user_attr(key, value)
    with pytest.raises(UserError, match="is not the study of a sweep, or damaged") as error:
        record.read_sweep(tmp_path)
    assert told in str(error.value)
    assert "the same command records them again" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("overrides", ["seed=1"], "trial 0.overrides: "),
        ("overrides", {"seed": 1}, "trial 0.overrides.seed: Input should be a valid string; found '1'"),
        ("objectives", {"source_dev": "high"}, "trial 0.objectives.source_dev: Input should be a valid number"),
        ("objectives", {"source_dev": float("inf")}, "trial 0.objectives.source_dev: Input should be a finite number"),
        ("objectives", {"source_dev": 1e300}, "trial 0.objectives.source_dev: Input should be no farther from zero"),
        ("objectives", {"\x1b[2J": 0.5}, "trial 0.objectives.'\\x1b[2J'"),
        ("why", 3, "trial 0.why: "),
        ("retries", "0", "trial 0.retries: "),
    ],
)
def test_a_trial_that_no_sweep_records_is_told(tmp_path: Path, key: str, value: Any, told: str) -> None:
    study = Study(tmp_path, facts=FACTS)
    study._own(study.begin({"seed": "1"}).number).set_user_attr(key, value)
    with pytest.raises(UserError, match="its study is damaged") as error:
        record.read_sweep(tmp_path)
    assert told in str(error.value)


def test_a_folder_without_a_study_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a sweep: it has no study.db or study.journal"):
        record.read_sweep(tmp_path)


def test_a_strangers_study_leads_nowhere_else(tmp_path: Path) -> None:
    study = Study(tmp_path, facts=FACTS)
    trial = study.place(study.begin({"seed": "1"}), "../../elsewhere")
    assert trial.folder.parent == tmp_path


def foreign(path: Path) -> bytes:
    """Make somebody's database."""
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("CREATE TABLE invoices (number)")
        opened.commit()
    return path.read_bytes()


def test_a_foreign_database_is_left_as_it_is(tmp_path: Path) -> None:
    before = foreign(tmp_path / "study.db")
    for opened in (record.read_sweep, Study, lambda folder: Study(folder, facts=FACTS)):
        with pytest.raises(UserError, match=r"study\.db is not the study of a sweep.* has no table studies.*move it"):
            opened(tmp_path)
    assert (tmp_path / "study.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_linked_study_is_not_opened(tmp_path: Path, storage: str) -> None:
    (tmp_path / "sweep").mkdir()
    before = foreign(tmp_path / "precious")
    (tmp_path / "sweep" / record.FILES[storage]).symlink_to(tmp_path / "precious")
    for opened in (record.read_sweep, Study, lambda folder: Study(folder, storage=storage, facts=FACTS)):
        with pytest.raises(UserError, match="is a link"):
            opened(tmp_path / "sweep")
    assert (tmp_path / "precious").read_bytes() == before


def test_a_study_whose_writer_died_is_opened(tmp_path: Path) -> None:
    Study(tmp_path, facts=FACTS)
    (tmp_path / "study.db-journal").write_bytes(b"")
    assert record.read_sweep(tmp_path).objective == "source_dev"


@pytest.mark.parametrize("table", ["trials", "trial_user_attributes", "studies"])
def test_a_study_that_lacks_rows_or_tables_is_told(tmp_path: Path, table: str) -> None:
    study = Study(tmp_path, facts=FACTS)
    study.end(study.begin({"seed": "1"}), "complete", objectives={"source_dev": 0.5})
    with closing(sqlite3.connect(tmp_path / "study.db")) as opened:
        opened.execute(f"DROP TABLE {table}")
        opened.commit()
    with pytest.raises(UserError, match="damaged"):
        record.read_sweep(tmp_path)


def test_a_trial_below_the_median_of_the_others_is_hopeless(tmp_path: Path) -> None:
    study = Study(tmp_path, facts=FACTS)
    for score in (0.5, 0.6, 0.7, 0.8, 0.9):
        trial = study.propose(SPACE, seed=1, num_trials=9)
        assert not study.is_hopeless(trial, 0.1, percent=25), "too few to compare with"
        study.is_hopeless(trial, score, percent=50)
        study.end(trial, "complete", objectives={"source_dev": score})
    good, bad = (study.propose(SPACE, seed=1, num_trials=9) for _ in range(2))

    assert not study.is_hopeless(good, 0.75, percent=50)
    assert study.is_hopeless(bad, 0.65, percent=50)
    # In the trial's own process, and again after it was killed.
    assert Study(tmp_path).is_hopeless(bad, 0.65, percent=50)
    assert study.end(bad, "pruned", why="below the median").state == "pruned"
