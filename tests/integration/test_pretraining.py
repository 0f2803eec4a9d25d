"""Pretraining by masked language modeling, as a run: what it writes, and what goes on from it."""

import csv
import json
import logging
import math
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
from huggingface_hub import ModelCard
from made_text import MadeText
from safetensors.torch import load_file
from tiny import RANDOM, write_folder
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from babelfit.datasets import DATASETS
from babelfit.finetuning.finetuner import Finetuner
from babelfit.statistics.sums import PERPLEXITY

ROOT = Path(__file__).resolve().parents[2]
IN_RANKS = ROOT / "tests" / "helpers" / "in_ranks.py"
NO_LABELS = {"0": "LABEL_0", "1": "LABEL_1"}
RUN = Path("outputs/made-mini")
TEXT = ("data.name=made", "head=masked_language_modeling", "data.train_languages=[en,de]", "data.languages=[en,de]",
        "validation.every=5", "logger.every=1", "logger.tensorboard=false", "optimization.epochs=2",
        "trainer.tokens_per_device=300")  # fmt: skip


@pytest.fixture
def pretrain(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setitem(DATASETS, "made", MadeText)
    return lambda *arguments: train(*TEXT, *arguments)


@pytest.fixture
def pretrained(pretrain: Callable[..., Any], once: Callable[..., Any]) -> Callable[..., Any]:
    """Have a finished run; of the same arguments, a copy of the same."""

    def finished(*arguments: str) -> None:
        outcome = pretrain(*arguments)
        assert outcome.status == 0, outcome.err

    return lambda *arguments: once(lambda: finished(*arguments), "pretrained", *arguments)


def metrics(run: Path, name: str) -> dict[int, float]:
    with (run / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["metric"] == name}


def scores(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "scores/validation.json").read_text())
    return found


@pytest.mark.parametrize("vocabulary", ["active", "full"])
def test_a_run_learns_and_tells_how_well_tokens_are_guessed(pretrain: Callable[..., Any], vocabulary: str) -> None:
    outcome = pretrain(f"encoder.vocabulary={vocabulary}")
    assert outcome.status == 0, outcome.err

    losses = list(metrics(RUN, "train/loss").values())
    assert losses[-1] < losses[0]
    found = scores(RUN)
    assert found["languages"].keys() == {"en", "de"}
    assert ("of the text read" in found["vocabulary"]) == (vocabulary == "active")
    best = json.loads((RUN / "status.json").read_text())["selected"]
    mean = sum(one["log_likelihood"] for one in found["languages"].values()) / 2
    assert mean == pytest.approx(best["score"], abs=1e-4), "the last evaluation is the validation once more"
    for language, values in found["languages"].items():
        logged = metrics(RUN, f"validation/perplexity/{language}")
        assert values["perplexity"] == pytest.approx(logged[best["step"]], rel=1e-4)
        assert values["accuracy"] == pytest.approx(metrics(RUN, f"validation/accuracy/{language}")[best["step"]])
        assert values["interval"][0] < values["perplexity"] < values["interval"][1]
        lines = (RUN / f"predictions/validation/{language}.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert len(records) == values["examples"]
        assert sum(one["masked"] for one in records) == values["masked"]
        nll = sum(one["nll"] for one in records)
        assert values["perplexity"] == pytest.approx(math.exp(nll / values["masked"]), rel=1e-6)
    assert "perplexity" in outcome.out
    report = (RUN / "report.md").read_text()
    assert all(words in report for words in ("perplexity", found["vocabulary"], "Synthetic data"))
    assert "regime" not in report
    card = ModelCard.load(RUN / "model/README.md")
    assert (card.data.pipeline_tag, card.data.metrics) == ("fill-mask", ["accuracy", "perplexity"])
    shown = PERPLEXITY.text(found["languages"]["de"]["perplexity"])
    assert f"| de German | {shown} |" in card.content
    assert {one.metric_value for one in card.data.eval_results if one.dataset_config == "de"} == {
        round(found["languages"]["de"][name], 4) for name in ("perplexity", "accuracy")
    }


def test_the_export_is_a_masked_language_model_whose_tables_are_tied(pretrain: Callable[..., Any]) -> None:
    assert pretrain("data.train_languages=[en]", "data.languages=[en]").status == 0
    model = AutoModelForMaskedLM.from_pretrained(RUN / "model")
    assert model.lm_head.decoder.weight is model.roberta.embeddings.word_embeddings.weight
    assert model.lm_head.decoder.bias is model.lm_head.bias
    tokenizer = AutoTokenizer.from_pretrained(RUN / "model")
    assert len(tokenizer) == len(model.lm_head.bias)
    assert "lm_head.decoder.weight" not in load_file(RUN / "model/model.safetensors")
    text = f"The {tokenizer.mask_token} sleeps."
    guesses = pipeline("fill-mask", model=str(RUN / "model"))(text)
    with torch.no_grad():
        (logits,) = model(**tokenizer(text, return_tensors="pt")).logits
    place = tokenizer(text)["input_ids"].index(tokenizer.mask_token_id)
    assert [one["token"] for one in guesses] == logits[place].topk(5).indices.tolist()


def test_another_task_goes_on_from_it(pretrained: Callable[..., Any], command: Callable[..., Any]) -> None:
    pretrained()
    outcome = command(
        "train.py", "name=tuned", f"encoder.path={RUN}/model", "encoder.pretrained=true", "data.languages=[en,sw]",
        "data.limit={train: 64, validation: 16, test: 16}", "optimization.epochs=1", "optimization.learning_rate=1e-9",
        "encoder.vocabulary=full",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert not [line for line in outcome.err.splitlines() if "lm_head" in line or "tuned on other labels" in line]
    before, after = (load_file(run / "model/model.safetensors") for run in (RUN, Path("outputs/tuned")))
    name = "roberta.encoder.layer.0.attention.self.query.weight"
    torch.testing.assert_close(after[name], before[name], atol=1e-5, rtol=0)
    assert not any(name.startswith("lm_head") for name in after)
    # And more text, from where the head was left.
    again = command("train.py", *TEXT, "name=more", f"encoder.path={RUN}/model", "encoder.pretrained=true",
                    "data.limit={train: 192, validation: 48, test: 48}")  # fmt: skip
    assert again.status == 0, again.err
    assert "starts from random weights" not in again.err
    # From a model of another task, with a new one.
    back = command("train.py", *TEXT, "name=back", "encoder.path=outputs/tuned/model", "encoder.pretrained=true",
                   "optimization.max_steps=1", "data.limit={train: 64, validation: 8, test: 8}")  # fmt: skip
    assert back.status == 0, back.err
    assert (
        "has no head for masked tokens, or only a part of one: what is missing starts from random weights" in back.err
    )
    assert json.loads(Path("outputs/back/model/config.json").read_text()).get("id2label") in (None, NO_LABELS)
    assert metrics(Path("outputs/more"), "train/loss")[1] < metrics(RUN, "train/loss")[1]


def test_a_run_that_is_evaluated_again_keeps_its_scores(
    pretrained: Callable[..., Any], command: Callable[..., Any]
) -> None:
    pretrained()
    before = scores(RUN)
    for file in (RUN / "predictions/validation").glob("*.jsonl"):
        file.unlink()
    again = command("evaluate.py", f"run={RUN}", "trainer.tokens_per_device=300")
    assert again.status == 0, again.err
    assert scores(RUN) == before
    # A language that was not trained on has tokens that the active vocabulary lacks, and that is told.
    other = command("evaluate.py", f"run={RUN}", "languages=[sw]")
    assert other.status == 0, other.err
    assert scores(RUN)["languages"]["sw"]["inactive"] > 0
    assert "Masked tokens left out" in other.out
    # A model by itself guesses from all ids.
    whole = command("evaluate.py", f"model={RUN}/model", "name=whole", "data=xnli_sample", "data.name=made",
                    "head=masked_language_modeling", "languages=[en,sw]")  # fmt: skip
    assert whole.status == 0, whole.err
    found = scores(Path("outputs/whole"))
    assert found["vocabulary"].startswith("all ")
    assert "inactive" not in found["languages"]["sw"]
    assert found["languages"]["en"]["perplexity"] > before["languages"]["en"]["perplexity"]


def test_the_token_budget_and_workers_change_nothing_but_rounding(pretrain: Callable[..., Any]) -> None:
    double = "trainer.precision=64-true"
    assert pretrain(double).status == 0
    other = pretrain(double, "name=other", "trainer.tokens_per_device=128", "trainer.workers=1")
    assert other.status == 0, other.err
    for name in ("train/loss", "source_dev"):
        expected = metrics(RUN, name)
        assert len(expected) > 2
        assert metrics(Path("outputs/other"), name) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("at", [0, 7])
def test_a_run_that_is_resumed_equals_the_uninterrupted_one_bit_for_bit(
    pretrain: Callable[..., Any], pretrained: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    arguments = ("checkpoint.every=1", "encoder.overrides.hidden_dropout_prob=0.1")
    pretrained("name=whole", *arguments)
    training_step = Finetuner.training_step

    def stopped(self: Finetuner, *given: Any) -> Any:
        if self.global_step == at:
            raise KeyboardInterrupt
        return training_step(self, *given)

    with monkeypatch.context() as patched:
        patched.setattr(Finetuner, "training_step", stopped)
        assert pretrain(*arguments).status != 0
    assert pretrain(*arguments).status == 0
    ours, whole = (load_file(run / "model/model.safetensors") for run in (RUN, Path("outputs/whole")))
    assert ours.keys() == whole.keys()
    assert all(torch.equal(ours[name], whole[name]) for name in whole)
    assert scores(RUN)["languages"] == scores(Path("outputs/whole"))["languages"]


def test_positions_that_an_encoder_counts_itself_cannot_begin_again(
    pretrain: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(MadeText, "reset_positions", True)
    folder = write_folder("deberta-v2", tmp_path / "deberta")
    outcome = pretrain(f"encoder.path={folder}", "encoder.overrides.num_hidden_layers=1")
    assert outcome.status == 2
    assert "data.reset_positions=true: deberta-v2 numbers positions by itself" in outcome.err


def test_devices_take_the_same_steps(
    in_folder: Path, cache: Path, labelled_sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the embeddings in two places, exchanged whole (DDP) or sharded (FSDP)."""
    (in_folder / "corpus").mkdir()
    for language in ("en", "sw"):
        rows = (labelled_sample / f"xnli/train-{language}.tsv").read_text().splitlines()[1:200]
        (in_folder / f"corpus/{language}.txt").write_text("\n".join(dict.fromkeys(row.split("\t")[0] for row in rows)))
    arguments = ["data=text", "data.folder=corpus", "data.max_length=64", "optimization.batch_size=5",
                 "trainer.tokens_per_device=128", "optimization.epochs=2", "logger.every=1", "logger.tensorboard=false",
                 *RANDOM,
                 "encoder.overrides={num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2}"]  # fmt: skip
    kinds = {"ddp": "trainer.precision=64-true", "fsdp": "trainer.strategy=fsdp"}
    monkeypatch.setattr(logging.root, "handlers", [])  # for what a command puts there
    alone = runpy.run_path(str(IN_RANKS))["run"]
    assert alone("train", [*arguments, "name=ddp-1", kinds["ddp"], "trainer.accelerator=cpu"]) == 0
    environment = os.environ | {"BABELFIT_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    commands = [{"script": "train", "arguments": [*arguments, f"name={one}-2", kind]} for one, kind in kinds.items()]
    command = [sys.executable, str(IN_RANKS), "2", json.dumps(commands)]
    done = forked.run(command, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    expected = metrics(Path("outputs/ddp-1"), "train/loss")
    assert len(expected) > 4
    assert metrics(Path("outputs/ddp-2"), "train/loss") == pytest.approx(expected, abs=1e-9)
    assert metrics(Path("outputs/fsdp-2"), "train/loss") == pytest.approx(expected, abs=1e-4)
    one, two = (scores(Path(f"outputs/ddp-{devices}"))["languages"]["sw"] for devices in (1, 2))
    assert one["masked"] == two["masked"]
    assert one["perplexity"] == pytest.approx(two["perplexity"], rel=1e-6)


@pytest.mark.parametrize("asked", ["objective=source_dev", "checkpoint.compare=True"])
def test_what_needs_fractions_of_1_is_refused(pretrain: Callable[..., Any], asked: str) -> None:
    outcome = pretrain(asked)
    assert outcome.status == 2
    assert f"{asked}: head=masked_language_modeling has log-likelihoods as scores" in outcome.err
    assert not RUN.exists()
