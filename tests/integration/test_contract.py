"""Every task goes the whole way: tokens, falling loss, predictions and back, exact anywhere, reports, export.

A new task is taken up by itself; all that it needs here is a tiny dataset in tests/helpers/tiny_data.py.
"""

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tiny_data import MODULES, TINY
from transformers import AutoTokenizer, pipeline
from trip import EXACT, SETTINGS, Trip

from babelfit import evaluation
from babelfit.batches.ragged import RaggedBatch
from babelfit.commands.compose import compose_config
from babelfit.config.schema import EvaluateConfig, checked
from babelfit.datasets import DATASETS
from babelfit.encoder.encoder import encode_targets
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.prepared import prepare
from babelfit.heads import HEADS
from babelfit.predictions import prediction_files
from babelfit.run.run import Run
from babelfit.scoring.scores import read
from babelfit.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
IN_RANKS = ROOT / "tests" / "helpers" / "in_ranks.py"


@pytest.fixture(scope="module", params=sorted(TASKS))
def trip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    """Train a task's run, which has its page: a test's own runs have none."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BABELFIT_CACHE", str(folder / "cache"))
        for name, module in MODULES.items():
            patch.setitem(DATASETS, name, module)
        tiny = TINY[request.param]
        tiny.write(folder / "data")
        made = Trip(request.param, (*tiny.overrides, f"data.folder={folder / 'data'}"), folder)
        made.train("whole")
        yield made


SHORT = (*EXACT, "optimization.epochs=2")


@pytest.fixture(scope="module")
def in_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run of each task, with its name, in two processes: the same two for all, as starting them takes long."""
    folder = tmp_path_factory.mktemp("two")
    commands = []
    for name, tiny in TINY.items():
        tiny.write(folder / name)
        arguments = [*tiny.overrides, f"data.folder={folder / name}", *SETTINGS, *SHORT, f"name={name}"]
        commands.append({"script": "train", "arguments": arguments})
    own = {"BABELFIT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(IN_RANKS), "2", json.dumps(commands)]
    done = forked.run(command, cwd=folder, env=os.environ | own, timeout=300)
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        assert json.loads((folder / f"statuses-{rank}.json").read_text()) == [0] * len(TINY), done.stderr
    return folder / "outputs"


def metrics(run: Path, name: str) -> dict[int, float]:
    with (run / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["metric"] == name}


def test_every_task_has_a_tiny_dataset() -> None:
    assert TINY.keys() == TASKS.keys()


def test_rows_become_tokens_targets_and_gold(trip: Trip) -> None:
    data = prepare(trip.config("name=encoded")).data
    step = data.training_steps()[0, 0]

    assert data.task.name == trip.name
    assert step.weight > 0
    for batch in step.micro_batches:
        assert len(batch.targets) == len(batch.gold) == len(batch.indices)
        assert batch.targets.max() < batch.num_tokens <= 512
    indices, num_targets = data.targets("test", "de")
    assert indices.tolist() == list(range(len(indices)))
    assert (num_targets > 0).all()


def test_the_loss_falls(trip: Trip) -> None:
    losses = list(metrics(trip.run, "train/loss").values())

    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


def test_predictions_come_back_from_their_file_as_they_were(trip: Trip, tmp_path: Path) -> None:
    file = prediction_files.path(trip.run, split="test", language="de")
    records = prediction_files.read(file, trip.task)

    prediction_files.write(tmp_path / "again.jsonl", records)

    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()
    answers = trip.task.read(records).with_gold()
    assert answers.indices.tolist() == [record.index for record in records]
    assert np.isfinite(trip.task.counts(answers).rows).all()


def test_counts_in_training_are_those_of_the_file(trip: Trip) -> None:
    overrides = [f"run={trip.run}", "split=validation", "trainer.accelerator=cpu"]
    evaluation.evaluate(checked(compose_config("evaluate", overrides), EvaluateConfig))
    scores = read(trip.run / "scores" / "validation.json")
    selected = Run(trip.run).status().selected
    assert selected is not None

    logged = {key: metrics(trip.run, f"validation/{key}/en") for key in scores.languages["en"].values}
    assert logged[scores.metric]
    for key, value in scores.languages["en"].values.items():
        if logged[key]:  # a score of ranks is none of sums
            assert logged[key][selected.step] == pytest.approx(value, rel=1e-5, abs=1e-6), key


def test_two_processes_and_half_the_token_budget_take_the_same_steps(trip: Trip, in_two_processes: Path) -> None:
    one = trip.train("one", *SHORT)
    half = trip.train("half", *SHORT, "trainer.tokens_per_device=64")

    for other in (half, in_two_processes / trip.name):
        expected = metrics(one, "train/loss")
        assert metrics(other, "train/loss") == {step: pytest.approx(loss, rel=1e-4) for step, loss in expected.items()}
        for language in ("en", "de"):
            ours, theirs = (trip.task.read(trip.records(run, language)) for run in (one, other))
            np.testing.assert_allclose(trip.task.counts(ours).rows, trip.task.counts(theirs).rows, rtol=1e-3, atol=1e-3)


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(trip: Trip, monkeypatch: pytest.MonkeyPatch) -> None:
    step_of = Finetuner.training_step

    def stopped(self: Finetuner, *given: Any) -> Any:
        if self.global_step == 6:
            raise RuntimeError("stopped")
        return step_of(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Finetuner, "training_step", stopped)
        with pytest.raises(RuntimeError, match="stopped"):
            trip.train("stopped")
    assert Run(Path("outputs/stopped")).status().state == "failed"
    again = trip.train("stopped")

    assert metrics(again, "train/loss") == metrics(trip.run, "train/loss")
    assert (again / "model" / "model.safetensors").read_bytes() == (
        trip.run / "model" / "model.safetensors"
    ).read_bytes()
    assert trip.records(again, "de") == trip.records(trip.run, "de")


def test_the_reports_tell_its_scores(trip: Trip) -> None:
    scores = read(trip.run / "scores" / "test.json")
    value = scores.languages["de"].values[scores.headline.key]
    told = scores.headline.how.text(value)

    assert (scores.task, scores.parallel) == (trip.name, False)
    for file in ("report.md", "report.html", "model/README.md"):
        text = (trip.run / file).read_text(encoding="utf-8")
        assert scores.headline.title in text, file
        assert told in text, file
    assert (trip.run / "figures" / "scores-test.png").stat().st_size > 1_000
    assert ModelCard.load(trip.run / "model" / "README.md").data.pipeline_tag == trip.task.pipeline


def test_the_export_gives_the_same_in_a_plain_loop(trip: Trip) -> None:
    head = HEADS[trip.task.head]
    model = head.model_class.from_pretrained(trip.run / "model").eval()
    assert load_file(trip.run / "model" / "model.safetensors").keys() <= model.state_dict().keys()
    data = prepare(trip.config("name=export")).data
    batch: RaggedBatch = data.evaluation_dataloader("test", languages=["de"]).dataset[0].to("cpu")
    ours = head.model_class.from_pretrained(trip.run / "model").eval()
    head.ready(ours, max_length=32)
    with torch.no_grad():
        expected = head.logits(ours, encode_targets(ours, batch))
        found = []
        for first, last in zip(batch.cu_seqlens, batch.cu_seqlens[1:], strict=False):
            logits = model(input_ids=batch.input_ids[None, first:last]).logits[0]
            targets = batch.targets[(batch.targets >= first) & (batch.targets < last)] - first
            # One row a sequence, or one a token.
            found.append(logits[None] if logits.ndim == 1 else logits[targets])

    torch.testing.assert_close(torch.cat(found), expected, atol=1e-5, rtol=1e-4)


def test_the_pipeline_of_transformers_opens_it(trip: Trip) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trip.run / "model")
    ask = pipeline(trip.task.pipeline, model=str(trip.run / "model"), tokenizer=tokenizer, device="cpu")
    text = f"one {tokenizer.mask_token} three" if trip.task.pipeline == "fill-mask" else "one two three"

    assert ask.model.config.architectures == [type(ask.model).__name__]
    assert isinstance(ask(text), list)
