"""A run does what the README promises: its folder, its numbers, the same bits twice, and going on where it stopped."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from babelfit.finetuning.finetuner import Finetuner
from babelfit.sample import NLI_LANGUAGES

RUN = Path("outputs/xnli-mini")


def metrics(run: Path, name: str) -> dict[int, float]:
    with (run / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["metric"] == name}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def records(run: Path, language: str, split: str = "test") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "predictions" / split / f"{language}.jsonl").read_text().splitlines()]


def test_one_command_leaves_a_whole_run_and_prints_a_row_per_language(train: Callable[..., Any]) -> None:
    outcome = train()

    assert outcome.status == 0, outcome.err
    for name in ("config.yaml", "status.json", "environment.json", "metrics.csv", "report.md", "scores/test.json"):
        assert (RUN / name).is_file(), name
    assert list((RUN / "tensorboard").glob("events.out.tfevents.*"))
    selected = json.loads((RUN / "status.json").read_text())["selected"]["file"]
    assert {path.name for path in (RUN / "checkpoints").iterdir()} == {selected, "checksums.json"}
    assert not list(RUN.rglob("*.tmp"))
    assert json.loads((RUN / "status.json").read_text())["state"] == "complete"
    assert json.loads((RUN / "environment.json").read_text())["threads"] == torch.get_num_threads()
    assert yaml.safe_load((RUN / "config.yaml").read_text())["data"]["languages"] == list(NLI_LANGUAGES)
    scores = json.loads((RUN / "scores" / "test.json").read_text())
    assert set(scores["languages"]) == set(NLI_LANGUAGES)
    assert next(iter(scores["languages"])) == "en"
    for language in NLI_LANGUAGES:
        assert f"\n{language} " in outcome.out
        assert len(records(RUN, language)) == scores["languages"][language]["examples"] == 48
    assert "synthetic" in outcome.out.lower()
    assert "synthetic" in (RUN / "report.md").read_text().lower()
    assert "synthetic" in outcome.err.lower()


def test_scores_are_those_of_the_prediction_files(train: Callable[..., Any]) -> None:
    train("data.languages=[en,sw]")
    scores = json.loads((RUN / "scores" / "test.json").read_text())
    for language, values in scores["languages"].items():
        rows = records(RUN, language)
        assert [row["index"] for row in rows] == list(range(48))
        gold, predicted = [row["gold"] for row in rows], [row["predicted"] for row in rows]
        assert values["accuracy"] == pytest.approx(accuracy_score(gold, predicted), abs=1e-6)
        assert values["f1"] == pytest.approx(f1_score(gold, predicted, average="macro"), abs=1e-6)
        for row in rows:
            assert max(row["probabilities"], key=row["probabilities"].get) == row["predicted"]


def test_the_exported_model_predicts_the_same_through_transformers(train: Callable[..., Any], cache: Path) -> None:
    train("data.languages=[en,zh]")
    model = AutoModelForSequenceClassification.from_pretrained(RUN / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(RUN / "model")
    classify = pipeline("text-classification", model=str(RUN / "model"), device="cpu", top_k=None)
    (sample,) = (cache / "sample").glob("xnli-*")
    for language in ("en", "zh"):
        lines = (sample / "xnli" / f"test-{language}.tsv").read_text().splitlines()[:48]
        for row, line in zip(records(RUN, language), lines, strict=True):
            premise, hypothesis, _ = line.split("\t")
            with torch.no_grad():
                logits = model(**tokenizer(premise, hypothesis, return_tensors="pt")).logits[0]
            probabilities = dict(zip(model.config.id2label.values(), logits.softmax(-1).tolist(), strict=True))
            assert probabilities == pytest.approx(row["probabilities"], abs=1e-5)
            piped = {one["label"]: one["score"] for one in classify({"text": premise, "text_pair": hypothesis})}
            assert piped == pytest.approx(row["probabilities"], abs=1e-5)


def test_two_runs_of_one_command_are_equal_bit_for_bit(train: Callable[..., Any]) -> None:
    for name in ("first", "second"):
        assert train(f"name={name}", "data.languages=[en]").status == 0
    first, second = weights(Path("outputs/first")), weights(Path("outputs/second"))
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    one, two = (Path("outputs") / name / "predictions/test/en.jsonl" for name in ("first", "second"))
    assert one.read_bytes() == two.read_bytes()


def test_the_seed_changes_the_run(train: Callable[..., Any], finished: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    assert train("name=other", "seed=2", "data.languages=[en]").status == 0
    first, second = weights(RUN), weights(Path("outputs/other"))
    assert any(not torch.equal(value, second[key]) for key, value in first.items())


def test_the_token_budget_changes_no_loss(train: Callable[..., Any]) -> None:
    # Dropout off: its noise falls otherwise on other tokens.
    still = (
        "encoder.overrides.hidden_dropout_prob=0.0",
        "encoder.overrides.attention_probs_dropout_prob=0.0",
        "data.max_length=100",
        "data.languages=[en]",
        "logger.every=1",
    )
    for budget in (400, 100_000):
        assert train(f"name=budget{budget}", f"trainer.tokens_per_device={budget}", *still).status == 0
    small, large = (metrics(Path(f"outputs/budget{budget}"), "train/loss") for budget in (400, 100_000))
    assert len(small) == 12
    assert small == pytest.approx(large, abs=1e-5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_trains_and_is_scored(train: Callable[..., Any], precision: str) -> None:
    assert train(f"trainer.precision={precision}", "data.languages=[en]").status == 0
    scores = json.loads((RUN / "scores" / "test.json").read_text())
    assert scores["languages"]["en"]["examples"] == 48


def test_validation_every_n_steps_includes_the_last_and_selects_the_best(train: Callable[..., Any]) -> None:
    outcome = train("validation.every=5", "optimization.max_steps=11", "data.languages=[en]", "checkpoint.keep=2")

    assert outcome.status == 0, outcome.err
    scores = metrics(RUN, "source_dev")
    assert sorted(scores) == [5, 10, 11]
    assert metrics(RUN, "validation/accuracy/en") == scores
    ranked = sorted(scores, key=lambda step: (-scores[step], step))
    kept = {f"step-{step}.ckpt" for step in ranked[:2]}
    assert {path.name for path in (RUN / "checkpoints").iterdir()} == {*kept, "checksums.json"}
    selected = json.loads((RUN / "status.json").read_text())["selected"]
    assert selected["step"] == ranked[0]
    state = torch.load(RUN / "checkpoints" / selected["file"], weights_only=True)["state_dict"]
    exported = weights(RUN)
    embeddings = "roberta.embeddings.word_embeddings"
    read = state[f"model.{embeddings}.active_ids"]
    exported[f"{embeddings}.weight"] = exported[f"{embeddings}.weight"][read]
    assert all(torch.equal(value, state[f"model.{key}"]) for key, value in exported.items())


def test_early_stopping_stops(train: Callable[..., Any]) -> None:
    arguments = ("validation.every=1", "validation.patience=2", "optimization.learning_rate=0", "data.languages=[en]")
    assert train(*arguments).status == 0
    assert sorted(metrics(RUN, "source_dev")) == [1, 2, 3]


def test_the_constant_schedule_warms_up_and_stays(train: Callable[..., Any]) -> None:
    train("optimization.schedule=constant", "optimization.warmup=4", "logger.every=1", "data.languages=[en]")
    rates = metrics(RUN, "learning_rate")
    assert [round(rates[step] * 1e3, 6) for step in (1, 2, 3, 4, 5, 12)] == [0, 0.25, 0.5, 0.75, 1, 1]


def test_out_of_memory_halves_the_budget_and_changes_no_loss(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    still = (
        "encoder.overrides.hidden_dropout_prob=0.0",
        "encoder.overrides.attention_probs_dropout_prob=0.0",
        "data.languages=[en]",
        "logger.every=1",
    )
    train("name=enough", *still)
    whole = Finetuner._loss

    def poor(self: Finetuner, batch: Any) -> torch.Tensor:
        if batch.num_tokens > 300:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, batch)

    monkeypatch.setattr(Finetuner, "_loss", poor)
    outcome = train("name=poor", *still)

    assert outcome.status == 0, outcome.err
    assert "out of memory" in outcome.err
    assert "tokens_per_device=4096" in outcome.err
    losses = [metrics(Path("outputs") / name, "train/loss") for name in ("enough", "poor")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_pretrained_weights_are_trained_with_dropout(
    train: Callable[..., Any],
    finished: Callable[..., Any],
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished("data.languages=[en]")
    step, modes = Finetuner.training_step, []

    def noted(self: Finetuner, *given: Any) -> torch.Tensor:
        modes.append(all(module.training for module in self.modules()))
        return step(self, *given)

    monkeypatch.setattr(Finetuner, "training_step", noted)
    limit = ("data.limit={train: 64, validation: 48, test: 48}", "optimization.epochs=2", "data.languages=[en]")
    outcome = command("train.py", f"encoder.path={RUN}/model", "encoder.pretrained=true", "name=further", *limit)
    assert outcome.status == 0, outcome.err
    assert modes == [True] * 4


def test_a_run_goes_on_where_it_stopped_and_ends_the_same(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("checkpoint.every=1", "validation.every=4", "data.languages=[en,de]", "logger.every=1")
    assert train("name=whole", *arguments).status == 0
    step = Finetuner.training_step

    def broken(self: Finetuner, *given: Any) -> torch.Tensor:
        if self.global_step == 7:
            raise KeyboardInterrupt
        return step(self, *given)

    monkeypatch.setattr(Finetuner, "training_step", broken)
    assert train("name=halved", *arguments).status == 130
    assert json.loads(Path("outputs/halved/status.json").read_text())["state"] == "interrupted"
    monkeypatch.setattr(Finetuner, "training_step", step)
    assert train("name=halved", *arguments).status == 0

    whole, halved = weights(Path("outputs/whole")), weights(Path("outputs/halved"))
    assert all(torch.equal(value, halved[key]) for key, value in whole.items())
    for name in ("train/loss", "source_dev"):
        assert metrics(Path("outputs/whole"), name) == metrics(Path("outputs/halved"), name)


@pytest.mark.parametrize("stage", ["set_status", "export", "evaluation.evaluate_model"])
def test_a_run_stopped_after_its_last_step_is_not_trained_again(
    train: Callable[..., Any], finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    finished("data.languages=[en]")

    def stopped(*_: Any, **facts: Any) -> None:
        if stage != "set_status" or "selected" in facts:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            f"babelfit.run.run.Run.{stage}" if stage == "set_status" else f"babelfit.training.{stage}", stopped
        )
        assert train("name=stopped", "data.languages=[en]").status == 130
    assert not Path("outputs/stopped/scores").exists()
    monkeypatch.setattr(Finetuner, "training_step", lambda *_: pytest.fail("trained again"))
    outcome = train("name=stopped", "data.languages=[en]")

    assert outcome.status == 0, outcome.err
    path = "predictions/test/en.jsonl"
    assert (Path("outputs/stopped") / path).read_bytes() == (RUN / path).read_bytes()


def test_a_finished_run_is_not_trained_again_but_evaluates_what_is_missing(
    train: Callable[..., Any], finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished("data.languages=[en,de]")
    before = (RUN / "predictions/test/de.jsonl").stat().st_mtime_ns
    monkeypatch.setattr(Finetuner, "training_step", lambda *_: pytest.fail("trained again"))
    outcome = train("data.languages=[en,de,sw]")

    assert outcome.status == 0, outcome.err
    assert "is complete" in outcome.err
    assert (RUN / "predictions/test/de.jsonl").stat().st_mtime_ns == before
    assert list(json.loads((RUN / "scores/test.json").read_text())["languages"]) == ["en", "de", "sw"]


def test_another_split_and_more_languages_are_added_to_a_run(
    finished: Callable[..., Any], command: Callable[..., Any]
) -> None:
    finished("data.languages=[en,de]")
    outcome = command("evaluate.py", f"run={RUN}", "split=validation", "languages=[de,sw]")

    assert outcome.status == 0, outcome.err
    assert list(json.loads((RUN / "scores/validation.json").read_text())["languages"]) == ["de", "sw"]
    report = (RUN / "report.md").read_text()
    assert "validation" in report
    assert "test" in report


def test_a_hugging_face_folder_is_scored_like_the_run_that_made_it(
    train: Callable[..., Any], command: Callable[..., Any]
) -> None:
    train("data.languages=[en,de]", "data.limit.test=null")
    config = json.loads((RUN / "model/config.json").read_text())
    # The same model under other names and in another order of its outputs: mapped by name, nothing changes.
    names = {"entailment": "Entailment", "neutral": "NEUTRAL", "contradiction": "contradictory"}
    config["id2label"] = {number: names[label] for number, label in config["id2label"].items()}
    config["label2id"] = {label: int(number) for number, label in config["id2label"].items()}
    (RUN / "model/config.json").write_text(json.dumps(config))
    outcome = command("evaluate.py", f"model={RUN / 'model'}", "data=xnli_sample", "languages=[en,de]", "name=other")

    assert outcome.status == 0, outcome.err
    for language in ("en", "de"):
        path = f"predictions/test/{language}.jsonl"
        assert (Path("outputs/other") / path).read_bytes() == (RUN / path).read_bytes()


@pytest.mark.parametrize("seconds", [0, 1000])
def test_a_log_without_a_terminal_says_how_far_it_is(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr("babelfit.finetuning.progress.SECONDS_BETWEEN", seconds)
    outcome = train("data.languages=[en]", "validation.every=4", "logger.every=1")
    assert outcome.status == 0, outcome.err
    said = re.findall(r"step (\d+) of 12, (.*)", outcome.err)
    validated = [(step, rest) for step, rest in said if "source_dev" in rest]
    assert {int(step) for step, _ in validated} >= {4, 8, 12}
    assert re.search(r"train/loss [\d.]+.*source_dev 0\.\d+.* rows/s, \d+ s left", validated[0][1])
    assert ("1" in dict(said)) == (seconds == 0)
    assert ("predicted batch 1 of" in outcome.err) == (seconds == 0)
    assert not set("\x1b\r\b") & set(outcome.out + outcome.err)
