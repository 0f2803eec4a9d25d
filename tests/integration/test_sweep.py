"""Sweeps: begun, killed, resumed, recorded. Most trials here are stand-ins that take no time (fake_trial.py)."""

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
from tiny import RANDOM

from babelfit.ledger.study import Study, SweepFacts, Trial, read_sweep
from babelfit.sweep import trials

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "helpers" / "fake_trial.py"
SECONDS = 120
Command = Callable[..., Any]
SEARCH = ("sweep=optuna", "optimization.warmup=interval(0, 0.9)")


@pytest.fixture
def sweep(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `python train.py -m name=s ...` with trials that take no time."""
    monkeypatch.setattr(trials, "_command", lambda arguments: [sys.executable, str(FAKE), *arguments])
    monkeypatch.setattr(trials, "SECONDS_BETWEEN_LOOKS", 0.01)
    return lambda *arguments: command("train.py", "-m", "name=s", *arguments)


def recorded(name: str = "s") -> list[Trial]:
    return read_sweep(Path("outputs") / name).trials


def befall(**faults: str) -> None:
    Path("faults.json").write_text(json.dumps({key.replace("__", "="): fault for key, fault in faults.items()}))


def started() -> list[str]:
    """Name the trials that were started, in order, again each time."""
    return [line.split()[0] for line in Path("started.txt").read_text().splitlines()]


def test_a_grid_runs_every_combination_and_records_all_objectives(sweep: Command) -> None:
    done = sweep("seed=1,2", "optimization.warmup=0.0,0.1")

    assert done.status == 0, done.err
    assert [one.overrides["seed"] for one in recorded()] == ["1", "1", "2", "2"]
    best = recorded()[-1]
    assert best.objectives == pytest.approx(
        {"source_dev": 0.53, "mean_dev": 0.43, "worst_dev": 0.33, "target_dev": 0.38}
    )
    assert done.err.count(f"{best.folder}: source_dev 53.0, mean_dev 43.0, worst_dev 33.0, target_dev 38.0") == 1
    assert all(one.folder.name in done.err for one in recorded())


def test_trials_that_fail_are_recorded_with_their_reason_and_the_sweep_goes_on(sweep: Command) -> None:
    befall(seed__1="refused", seed__2="failed", seed__3="killed")
    done = sweep("seed=1,2,3,4")

    assert done.status == 1
    states = [(one.state, one.why) for one in recorded()]
    assert states == [
        ("failed", "data.folder=x: no such folder;\ngive another"),
        ("failed", "the loss of step 3 is not finite"),
        ("failed", "killed by SIGKILL, as the kernel does when memory runs out"),
        ("complete", None),
    ]
    assert "3 of 4 trials failed" in done.err
    assert done.err.index("3 of 4 trials failed") < done.err.rindex("seed=2: the loss of step 3 is not finite")

    # The same command takes nothing up again, unless it is asked to.
    assert sweep("seed=1,2,3,4").status == 1
    assert len(started()) == 4
    befall()
    assert sweep("seed=1,2,3,4", "sweep.retry=true").status == 0
    assert [one.state for one in recorded()] == ["complete"] * 4
    assert len(started()) == 7


def test_a_grid_may_grow_and_what_is_finished_is_not_run_again(sweep: Command) -> None:
    assert sweep("seed=1,2").status == 0
    assert sweep("seed=1,2,3").status == 0
    assert len(started()) == len(set(started())) == 3
    refused = sweep("seed=1,2", "optimization.warmup=0.1,0.2")
    assert refused.status == 2
    assert "holds another sweep" in refused.err
    assert "space optimization.warmup: absent -> values" in refused.err


def test_a_search_makes_as_many_trials_as_asked_in_all(sweep: Command) -> None:
    assert sweep(*SEARCH, "sweep.trials=3").status == 0
    assert sweep(*SEARCH, "sweep.trials=3").status == 0
    assert len(started()) == 3
    assert sweep(*SEARCH, "sweep.trials=5").status == 0
    assert len(started()) == len(recorded()) == 5
    warmups = [float(one.overrides["optimization.warmup"]) for one in recorded()]
    assert len(set(warmups)) == 5
    assert all(0 <= one <= 0.9 for one in warmups)


def test_settings_that_do_not_go_together_are_a_failed_trial(sweep: Command) -> None:
    # Each value alone is right, and looked at before the first trial.
    arguments = ("sweep=optuna", "trainer.precision=32-true,16-mixed", "trainer.strategy=auto,fsdp", "sweep.trials=8")
    done = sweep(*arguments)
    assert done.status == 1, done.err
    together = {one.overrides["trainer.strategy"] + one.overrides["trainer.precision"]: one for one in recorded()}
    assert together["fsdp16-mixed"].state == "failed"
    assert "trainer.strategy=fsdp does not support trainer.precision=16-mixed" in str(together["fsdp16-mixed"].why)
    assert len(recorded()) == 8
    assert sweep(*arguments, "sweep.retry=true").status == 1
    assert len(recorded()) == 8


def test_the_trials_of_a_sweep_are_compared_on_the_same_languages(sweep: Command) -> None:
    assert sweep("seed=1", "data.languages=[en,de]").status == 0
    refused = sweep("seed=1", "data.languages=[en,sw]")
    assert (refused.status, "base data.languages: ['en', 'de'] -> ['en', 'sw']" in refused.err) == (2, True)


def test_a_space_of_a_config_is_searched(sweep: Command) -> None:
    assert sweep("sweep=fine_tune", "sweep.trials=2").status == 0
    assert {*recorded()[0].overrides} == {
        "optimization.learning_rate",
        "optimization.batch_size",
        "optimization.warmup",
    }


def test_a_trial_that_was_stopped_stops_the_sweep_and_is_gone_on_with(sweep: Command) -> None:
    befall(seed__2="stopped")
    assert sweep("seed=1,2,3").status == 75
    assert [one.state for one in recorded()] == ["complete", "running"]
    befall()
    assert sweep("seed=1,2,3").status == 0
    first, second, third = (one.folder.name for one in recorded())
    assert started() == [first, second, second, third]


def test_pruned_trials_are_recorded_as_pruned(sweep: Command) -> None:
    befall(seed__2="pruned")
    done = sweep("seed=1,2")
    assert done.status == 0, "it is no failure"
    assert [(one.state, one.why) for one in recorded()] == [("complete", None), ("pruned", "below the others' median")]


def test_models_of_the_best_alone_are_kept_where_that_is_asked(sweep: Command) -> None:
    assert sweep("seed=3,1,5,4,2", "sweep.keep=best", "sweep.best=2").status == 0
    kept = {one.overrides["seed"] for one in recorded() if (one.folder / "model").exists()}
    assert kept == {"4", "5"}
    assert {one.overrides["seed"] for one in recorded() if (one.folder / "checkpoints").exists()} == kept
    assert all((one.folder / "scores" / "validation.json").exists() for one in recorded())


def test_trials_side_by_side_share_the_cores(sweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(trials, "count_cores", lambda: 6)
    assert sweep("seed=1,2,3,4,5", "sweep.workers=3", "trainer.accelerator=cpu").status == 0
    assert {line.split()[1] for line in Path("started.txt").read_text().splitlines()} == {"2"}
    assert sorted(one.overrides["seed"] for one in recorded()) == ["1", "2", "3", "4", "5"]
    assert {one.state for one in recorded()} == {"complete"}


def test_a_trial_does_not_take_itself_for_a_job(sweep: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert sweep("seed=1").status == 0
    assert Path("started.txt").read_text().split()[2] == "no-job"


def test_a_dry_run_lists_the_trials_and_writes_nothing(sweep: Command) -> None:
    done = sweep("seed=1,2", "sweep.dry_run=true")
    assert done.status == 0
    assert len(re.findall(r"[0-9a-f]{8} seed=[12] \(new\)", done.err)) == 2
    assert not Path("outputs").exists()
    search = sweep(*SEARCH, "sweep.dry_run=true")
    assert "optimization.warmup=interval(0, 0.9)" in search.err


BAD: list[tuple[tuple[str, ...], str]] = [
    (("seed=1,2", "objective=target"), "objective=target: must be one of source_dev, mean_dev, worst_dev, target_dev"),
    (("optimization.lr=1,2",), "optimization.lr"),
    (("sweep=optuna", "optimization.lr=interval(0,1)"), "optimization.lr"),
    (("sweep=optuna", "optimization.warmup=interval(1,0)"), "empty interval"),
    (("sweep=optuna",), "nothing to search"),
    (("sweep=optuna", "optimization.warmup=interval(-1,1)"), "optimization.warmup=-1.0: must be at least 0"),
    (("seed=1,2", "optimization.batch_size=0"), "optimization.batch_size=0: must be at least 1"),
    (("seed=1,x",), "seed"),
    (("seed=1,1",), "seed=1 and seed=1 are the same run"),
    (("trainer.tokens_per_device=1000,2000",), "are the same run"),
    (("seed=1,2", "sweep.trials=3"), "sweep.trials=3: a grid has one trial per combination"),
    ((*SEARCH, "sweep.trials=null"), "sweep.trials=null"),
    ((*SEARCH, "sweep.trials=0"), "sweep.trials=0: must be at least 1"),
    (("++seed=1,2",), "write seed=..., without the prefix of the key"),
    (("seed=1,2", "data.folder=${oc.env:NOWHERE}"), "NOWHERE"),
    (("seed=1,2", "hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2"), "tasks_per_node"),
    (("seed=1,2", "hydra/launcher=submitit_slurm"), "add sweep.storage=journal"),
    (("seed=1,2", "sweep.search=random"), "sweep.search=random: must be one of grid, tpe"),
    (("seed=1,2", "sweep.keep=some"), "sweep.keep=some: must be one of all, best"),
    (("sweep=nowhere",), "nowhere"),
    (("encoder=mini,nobody",), "nobody"),
    (("seed=1,2", "sweep.workers=100000", "trainer=cpu"), "sweep.workers=100000: at most"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_input_is_told_before_the_first_trial(sweep: Command, arguments: tuple[str, ...], said: str) -> None:
    refused = sweep(*arguments)
    assert refused.status in (1, 2), refused.err
    assert said in refused.err
    assert "Traceback" not in refused.err
    assert not Path("outputs").exists()


def signalled(number: int) -> threading.Thread:
    """Send this process a signal as soon as a trial is at work."""

    def send() -> None:
        while not Path("endless.txt").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("fault", ["endless", "slow to begin"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_stops_the_sweep_and_leaves_its_trial_to_be_gone_on_with(
    sweep: Command, number: int, status: int, fault: str
) -> None:
    befall(seed__1=fault)
    signalled(number)
    assert sweep("seed=1,2").status == status
    assert [one.state for one in recorded()] == ["running"]
    befall()
    assert sweep("seed=1,2").status == 0
    assert [one.state for one in recorded()] == ["complete", "complete"]


def test_a_resumed_trial_that_fails_before_it_comes_to_its_folder_has_failed(sweep: Command) -> None:
    befall(seed__1="stopped")
    assert sweep("seed=1,2").status == 75
    befall(seed__1="refused")
    assert sweep("seed=1,2").status == 1
    assert [(one.state, (one.why or "")[:13]) for one in recorded()] == [("failed", "data.folder=x"), ("complete", "")]


def test_settings_that_a_search_proposes_again_are_not_trained_again(sweep: Command) -> None:
    Path("faults.json").write_text('{"optimization.batch_size=16": "slow", "optimization.batch_size=32": "slow"}')
    arguments = ("sweep=optuna", "optimization.batch_size=16,32", "sweep.trials=7", "sweep.workers=2", "trainer=cpu")
    assert sweep(*arguments, "sweep.keep=best").status == 0
    assert len(started()) == len(set(started())) == 2
    assert {one.state for one in recorded()} == {"complete"}
    assert len(recorded()) == 7
    assert len({(one.folder, one.objectives["source_dev"]) for one in recorded()}) == 2


def test_a_trial_that_ended_unrecorded_is_recorded_without_a_start(sweep: Command) -> None:
    befall(seed__1="stopped")
    assert sweep("seed=1").status == 75
    (trial,) = recorded()
    (trial.folder / "status.json").write_text('{"state": "complete", "objectives": {"source_dev": 0.75}}')
    (trial.folder / "scores").mkdir()
    assert sweep("seed=1").status == 0
    assert (len(started()), recorded()[0].objectives) == (1, {"source_dev": 0.75})


def test_a_strangers_sweep_with_a_link_out_of_it_is_refused(sweep: Command, tmp_path: Path) -> None:
    assert sweep("seed=1").status == 0
    elsewhere = tmp_path / "elsewhere"
    recorded()[0].folder.rename(elsewhere)
    recorded()[0].folder.symlink_to(elsewhere)
    refused = sweep("seed=1,2", "sweep.keep=best")
    assert (refused.status, "leads out of outputs/s" in refused.err) == (2, True)
    assert (elsewhere / "model").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_first_trial(sweep: Command) -> None:
    Path("outputs").write_text("not a folder")
    refused = sweep("seed=1,2")
    assert (refused.status, Path("started.txt").exists()) == (2, False)
    assert "outputs" in refused.err
    assert "Traceback" not in refused.err


def test_a_sweep_cannot_be_in_a_run_nor_a_run_a_sweep(sweep: Command, command: Command) -> None:
    Path("outputs/s").mkdir(parents=True)
    Path("outputs/s/config.yaml").write_text("version: 2\n")
    refused = sweep("seed=1,2")
    assert (refused.status, "outputs/s has a config.yaml" in refused.err) == (2, True)
    alone = command("train.py", "sweep=optuna", "optimization.epochs=1")
    assert (alone.status, "babelfit train -m sweep=optuna optimization.epochs=1" in alone.err) == (2, True)


def test_without_a_name_a_sweep_is_named_after_what_all_its_trials_share(sweep: Command, command: Command) -> None:
    assert command("train.py", "-m", "seed=1,2").status == 0
    assert [path.name for path in Path("outputs").iterdir()] == ["xnli-mini-sweep"]
    assert len(recorded("xnli-mini-sweep")) == 2


# With trials that train

TINY = (
    "trainer=cpu",
    *RANDOM,
    "data.languages=[en,de,sw]",
    "data.limit={train: 160, validation: 40, test: 30}",
    "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}",
    "optimization.epochs=8",
    "validation.every=10",
    "checkpoint.every=1",
    "logger.every=1",
    "logger.tensorboard=false",
    "objective=target_dev",
)


def start(folder: Path, *arguments: str) -> forked.Forked:
    with (folder / "said.txt").open("a") as said:
        return forked.Forked(
            [sys.executable, ROOT / "train.py", *TINY, *arguments],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=said,
            stdout=said,
        )


def losses(folder: Path) -> list[str]:
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return [value for _, metric, value in rows if metric == "train/loss"]


def test_a_sweep_that_is_killed_goes_on_where_its_trials_stopped(in_folder: Path) -> None:
    # Long enough that the first trial still trains when the second one has begun, also on a machine that is busy.
    arguments = ("-m", "name=s", "seed=1,2", "sweep.workers=2", "optimization.epochs=32", "validation.every=40")
    sweep = start(in_folder, *arguments)
    deadline = time.monotonic() + SECONDS
    while len(list(in_folder.glob("outputs/s/*/checkpoints/last.ckpt"))) < 2 and time.monotonic() < deadline:
        assert sweep.poll() is None, (in_folder / "said.txt").read_text()
        time.sleep(0.02)
    sweep.kill()
    sweep.wait()
    # At once, while the trials that were left behind are still at it.
    assert start(in_folder, *arguments).wait(SECONDS) == 0, (in_folder / "said.txt").read_text()

    states = {one.overrides["seed"]: one for one in recorded()}
    assert {seed: one.state for seed, one in states.items()} == {"1": "complete", "2": "complete"}
    assert all("going on from" in one.folder.with_name(f"{one.folder.name}.log").read_text() for one in states.values())
    trial = states["2"].folder
    assert [one for one in (trial / "metrics.csv").read_text().splitlines() if ",train/loss," in one] == [
        f"{step},train/loss,{loss}" for step, loss in enumerate(losses(trial), start=1)
    ], "each step once"
    scores = json.loads((trial / "scores" / "validation.json").read_text())["languages"]
    assert states["2"].objectives["target_dev"] == pytest.approx(
        (scores["de"]["accuracy"] + scores["sw"]["accuracy"]) / 2
    )


def test_a_job_that_is_taken_away_goes_back_into_the_queue_and_on_from_its_checkpoint(in_folder: Path) -> None:
    sweep = start(in_folder, "-m", "name=s", "seed=1", "hydra/launcher=submitit_local")
    job = None
    deadline = time.monotonic() + SECONDS
    while job is None and time.monotonic() < deadline:
        assert sweep.poll() is None, (in_folder / "said.txt").read_text()
        for last in in_folder.glob("outputs/s/*/checkpoints/last.ckpt"):
            trial = json.loads((last.parents[1] / "status.json").read_text())["process"]
            # The job is the parent of the trial that it was sent to run.
            job = int(Path(f"/proc/{trial}/stat").read_text().rpartition(")")[2].split()[1])
        time.sleep(0.02)
    assert job is not None
    os.kill(job, signal.SIGUSR2)

    assert sweep.wait(SECONDS) == 0, (in_folder / "said.txt").read_text()
    assert [one.state for one in recorded()] == ["complete"]
    logs = [one.folder.with_name(f"{one.folder.name}.log").read_text() for one in recorded()]
    assert sum("going on from" in log for log in logs) == 1


def test_a_hopeless_trial_ends_with_its_last_validation_saved(in_folder: Path, train: Command) -> None:
    folder = Path("outputs/s")
    folder.mkdir(parents=True)
    facts = SweepFacts(search="tpe", space={}, base={"objective_languages": None}, objective="source_dev")
    study = Study(folder, facts=facts)
    study.prunes = True
    for seed in range(5):
        trial = study.begin({"seed": f"1{seed}"})
        study.is_hopeless(trial, 0.99, percent=50)
        study.end(trial, "complete", objectives={"source_dev": 0.99})
    study.place(study.begin({"seed": "1"}), "aaaaaaaa")

    done = train("name=s/aaaaaaaa", "objective=source_dev")
    assert done.status == 0, done.err
    assert re.search(r"pruned source_dev \d+\.\d after 50 % of its steps is below the others' median", done.err)
    status = json.loads((folder / "aaaaaaaa" / "status.json").read_text())
    assert status["state"] == "pruned"
    assert status["why"] in done.err
    assert {path.name for path in (folder / "aaaaaaaa" / "checkpoints").glob("*.ckpt")} == {"last.ckpt", "step-6.ckpt"}

    # By itself, outside of the sweep, it goes on to its end.
    study.end(study.trials()[-1], "pruned", why="it was below")
    assert train("name=s/aaaaaaaa", "objective=source_dev").status == 0
    assert json.loads((folder / "aaaaaaaa" / "status.json").read_text())["state"] == "complete"
