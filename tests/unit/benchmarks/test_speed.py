"""What the speed benchmark counts and compares is right: operations, rows for both sides, medians and ratios."""

import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode

from babelfit.data import MultilingualDataModule
from babelfit.datasets import DATASETS
from babelfit.encoder.loading import load_tokenizer

SCRIPTS = Path(__file__).resolve().parents[3] / "benchmarks"
LENGTHS = [5, 12, 9]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """Import a script of benchmarks/ by name."""
    monkeypatch.syspath_prepend(SCRIPTS)
    module: ModuleType = pytest.importorskip(request.param)
    for name in ("measuring", "ours", "peers", "speed", "speed_table"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return module


def with_script(name: str) -> Any:
    return pytest.mark.parametrize("script", [name], indirect=True)


@pytest.mark.parametrize("training", [False, True])
@with_script("measuring")
def test_operations_are_those_that_torch_counts(script: ModuleType, training: bool) -> None:
    model = tiny.model("xlm-roberta", **tiny.without_dropout("xlm-roberta"))
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        for length in LENGTHS:
            embedded = model.base_model.embeddings(torch.randint(5, 200, (1, length)))
            hidden = model.base_model.encoder(embedded).last_hidden_state
            if training:
                hidden.sum().backward()
    counted = script.useful_operations(
        num_tokens=sum(LENGTHS),
        sum_of_squares=sum(length**2 for length in LENGTHS),
        layers=model.config.num_hidden_layers,
        hidden=model.config.hidden_size,
        intermediate=model.config.intermediate_size,
        training=training,
    )
    assert counted == counter.get_total_flops() > 0


@with_script("measuring")
def test_a_rate_is_operations_over_seconds(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.5, 14.0])  # the start, still too early, over
    monkeypatch.setattr(script, "now", lambda _: next(times))
    rate = script._rate(2, 3, 5, device="cpu", dtype=torch.float32)
    assert rate == 4 * (2 * 2 * 3 * 5) / 4


def flat(lists: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(lists))


def data_of(name: str, tokenizer: Any) -> MultilingualDataModule:
    return DATASETS[name](
        folder="sample",
        revision=None,
        train_languages=["en"],
        languages=["en"],
        max_length=10,
        train_split="train",
        limit=dict.fromkeys(("train", "validation", "test"), 40),
        tokenizer=tokenizer,
        batch_size=8,
        tokens_per_device=64,
        seed=1,
    )


@pytest.mark.parametrize("name", ["xnli", "wikiann"])
@with_script("ours")
def test_the_trainer_gets_our_rows(script: ModuleType, name: str) -> None:
    data = data_of(name, load_tokenizer("mini"))
    ours = data.open("train", "en")
    theirs = script.peer_rows(ours, head=data.task.head)
    assert list(theirs["length"]) == [length for row in ours["windows"] for length in row]
    assert [len(ids) for ids in theirs["input_ids"]] == list(theirs["length"])
    assert flat(theirs["input_ids"]) == flat(ours["input_ids"])
    labels = list(theirs["labels"])
    if name == "wikiann":
        assert len(theirs) > len(ours), "no sentence is split, so splitting is not tested"
        assert [len(one) for one in labels] == list(theirs["length"])
        of_tokens = flat(labels)
        first_token, places = 0, []
        for row in ours:
            places += [first_token + target for target in row["targets"]]
            first_token += len(row["input_ids"])
        assert [place for place, label in enumerate(of_tokens) if label != -100] == places
        labels = [of_tokens[place] for place in places]
    assert labels == flat(ours["gold"])


@with_script("ours")
def test_the_rows_that_are_timed_are_those_of_our_steps(script: ModuleType) -> None:
    data = data_of("xnli", load_tokenizer("mini"))
    assert data.steps_per_epoch == 5
    steps = data.training_steps()
    places = [(0, 3), (0, 4), (1, 0)]
    expected = [int(row) for place in places for batch in steps[place].micro_batches for row in batch.indices]
    assert sorted(script.drawn(data, num_rows=40, seed=1, steps=3)) == sorted(expected)


@with_script("peers")
def test_rows_are_padded_as_a_tokenizer_pads(script: ModuleType) -> None:
    tokenizer = load_tokenizer("mini")
    texts = ["We met.", "We met in the morning and again at night."]
    expected = tokenizer(texts, padding="max_length", max_length=128)
    ids = tokenizer(texts)["input_ids"]
    for labels in ([2, 0], [[7] * len(one) for one in ids]):
        rows = script.datasets.Dataset.from_dict({"input_ids": ids, "labels": labels, "length": [9, 9]})
        padded = script.to_max_length(rows, tokenizer=tokenizer)
        assert list(padded["input_ids"]) == expected["input_ids"]
        assert list(padded["attention_mask"]) == expected["attention_mask"]
    assert list(padded["labels"]) == [[7] * len(one) + [-100] * (128 - len(one)) for one in ids]


@with_script("speed_table")
def test_medians_ratios_and_shares(script: ModuleType) -> None:
    def turn(side: str, number: int, seconds: float, peak: int) -> dict[str, Any]:
        return {"side": side, "round": number, "seconds": seconds, "peak_bytes": peak}

    times = {"ours": [4.0, 5.0, 9.0], "dynamic": [12.0, 10.0, 14.0]}
    measured = {
        "setting": {"work": "xnli_training", "steps": 2, "sides": ["ours", "dynamic"]},
        "facts": {"examples": 64, "operations": 100},
        "matrix_rates": [
            {"square": 40.0, "linear": 20.0},
            {"square": 40.0, "linear": 80.0},
            {"square": 4, "linear": 30},
        ],
        "runs": [
            turn(side, number, seconds, {"ours": 3, "dynamic": 6}[side])
            for number in range(3)
            for side, seconds in ((side, values[number]) for side, values in times.items())
        ],
    }
    found = script.summary(measured)
    assert found["matrix_rate"] == 40
    ours, dynamic = found["sides"]["ours"], found["sides"]["dynamic"]
    assert (ours["seconds"], ours["spread"]) == (2.5, [2.0, 4.5])
    assert (ours["examples_per_second"], ours["share"]) == (64 / 5, 100 / 5 / 40)
    assert (dynamic["speedup"], dynamic["speedup_spread"]) == (12 / 5, [14 / 9, 3.0])
    assert dynamic["memory"] == {"peak_bytes": 0.5}
    measured["setting"]["work"] = "xnli_evaluation"
    assert script.summary(measured)["sides"]["ours"]["seconds"] == 5.0


@with_script("speed")
def test_other_rows_than_the_trainers_are_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setting = {"work": "xnli_training", "size": "base", "fields": {}, "batch_size": 32, "precision": "32-true"}
    setting |= {"device": "cpu", "compile": False, "sides": ["ours"]}
    facts = {"tokens": 640, "sequences": 32, "hidden": 8, "intermediate": 8, "checksum": 5}
    timed = {"seconds": 1.0, "peak_bytes": 1}
    for checksum in (5, 6):
        answers = {"prepare": facts, "matrix": {"square": 1.0}, "ours": timed | {"checksum": checksum}}
        monkeypatch.setattr(script, "child", lambda _, task, __, answers=answers: dict(answers[task["side"]]))
        if checksum == 5:
            assert script.run(setting, tmp_path, rounds=1)["runs"] == [{"side": "ours", "round": 1, **timed}]
        else:
            with pytest.raises(SystemExit, match="other rows"):
                script.run(setting, tmp_path, rounds=1)
