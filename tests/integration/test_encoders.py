"""Every kind of encoder trains from a command, exports what it trained and leaves alone what is frozen."""

import csv
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import RANDOM, model, write_folder
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from babelfit import mini
from babelfit.changes.checkpointing import Checkpointing
from babelfit.encoder.loading import MINI, load_config
from babelfit.errors import UserError
from babelfit.heads import HEADS
from babelfit.heads.loading import load_model

OPTIONS = (
    "data.limit={train: 64, validation: 24, test: 24}",
    "data.languages=[en,de]",
    "optimization.epochs=2",
    "optimization.learning_rate=1e-3",
    *RANDOM,
)
NAMED = {"bert": "mbert", "deberta-v2": "mdeberta"}


@pytest.fixture
def train_on(command: Callable[..., Any]) -> Callable[..., Any]:
    """Run `python train.py` with an encoder's folder, on a small part of the sample."""
    return lambda folder, *arguments: command("train.py", f"encoder.path={folder}", *OPTIONS, *arguments)


def records(run: Path, language: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "predictions/test" / f"{language}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("kind", "told"), [("bert", "bert runs without padding"), ("deberta-v2", "runs with padding")])
def test_a_folder_of_another_kind_trains_and_predicts_as_transformers_does(
    kind: str, told: str, train_on: Callable[..., Any], tmp_path: Path, cache: Path
) -> None:
    folder = write_folder(kind, tmp_path / kind)
    outcome = train_on(folder, f"encoder={NAMED[kind]}", "encoder.pretrained=false")

    assert outcome.status == 0, outcome.err
    assert told in outcome.err
    run = Path(f"outputs/xnli-{NAMED[kind]}")
    exported = AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    (sample,) = (cache / "sample").glob("xnli-*")
    lines = (sample / "xnli" / "test-de.tsv").read_text().splitlines()[:24]
    for row, line in zip(records(run, "de"), lines, strict=True):
        premise, hypothesis, _ = line.split("\t")
        inputs = tokenizer(premise, hypothesis, truncation="longest_first", max_length=128, return_tensors="pt")
        assert set(inputs["token_type_ids"].flatten().tolist()) == {0, 1}
        with torch.no_grad():
            probabilities = exported(**inputs).logits[0].softmax(-1).tolist()
        expected = dict(zip(exported.config.id2label.values(), probabilities, strict=True))
        assert row["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_what_is_frozen_is_exported_bit_for_bit(train_on: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder("bert", tmp_path / "bert", head="sequence_classification")
    options = ("encoder.pretrained=true", "encoder.freeze_embeddings=true", "encoder.freeze_layers=1")
    outcome = train_on(folder, *options, "optimization.layer_decay=0.8")

    assert outcome.status == 0, outcome.err
    before = load_file(folder / "model.safetensors")
    after = load_file(Path("outputs/xnli-mini/model/model.safetensors"))
    assert any(name.startswith("embeddings.") for name in before)
    for name, value in before.items():
        is_frozen = name.startswith(("embeddings.", "encoder.layer.0."))
        assert torch.equal(after[f"bert.{name}"], value) == is_frozen, name


def test_frozen_random_embeddings_are_warned_about(train_on: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder("bert", tmp_path / "bert")
    outcome = train_on(folder, "encoder.freeze_embeddings=true")

    assert outcome.status == 0, outcome.err
    assert "embeddings are random and stay so" in outcome.err


def test_a_run_drops_so_much_of_its_embeddings(
    train_on: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for rate in ("0.0", "0.6"):
        folder = write_folder("bert", tmp_path / f"bert-{rate}")
        outcome = train_on(folder, f"encoder.embedding_dropout={rate}", "logger.every=1", f"name=run-{rate}")
        assert outcome.status == 0, outcome.err
        with Path(f"outputs/run-{rate}/metrics.csv").open(newline="") as file:
            losses.append(next(row["value"] for row in csv.DictReader(file) if row["metric"] == "train/loss"))
    # Of the same weights and rows.
    assert losses[0] != losses[1]


def test_more_frozen_layers_than_there_are_is_an_error(train_on: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder("bert", tmp_path / "bert")
    outcome = train_on(folder, "encoder.freeze_layers=3")

    assert outcome.status == 2
    assert "encoder.freeze_layers=3: bert has 2 layers" in outcome.err
    assert not Path("outputs").exists()


def test_activations_that_run_again_change_no_result(
    train_on: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder("xlm-roberta", tmp_path / "encoder", head="sequence_classification")
    asked: list[str] = []
    apply = Checkpointing.apply

    def asking(self: Checkpointing, model: PreTrainedModel) -> None:
        asked.append(model.config.model_type)
        apply(self, model)

    monkeypatch.setattr(Checkpointing, "apply", asking)
    for name, again in (("plain", "false"), ("again", "true")):
        options = ("encoder.pretrained=true", f"encoder.gradient_checkpointing={again}")
        outcome = train_on(folder, f"name={name}", *options)
        assert outcome.status == 0, outcome.err
        assert len(asked) == (again == "true")

    plain, again = (load_file(Path("outputs") / name / "model/model.safetensors") for name in ("plain", "again"))
    for key, value in plain.items():
        torch.testing.assert_close(again[key], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("arguments", [["encoder=mdeberta"], []])
def test_deberta_refuses_16_mixed_before_the_device_is_asked_for(
    arguments: list[str], train_on: Callable[..., Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    folder = write_folder("deberta-v2", tmp_path / "encoder")
    trained = train_on(folder, *arguments, "trainer.precision=16-mixed")
    evaluated = command("evaluate.py", f"model={folder}", "data=xnli_sample", "trainer.precision=16-mixed")

    for outcome in (trained, evaluated):
        assert outcome.status == 2
        for part in ("trainer.precision=16-mixed", "type deberta-v2", "overflow fp16", "DeBERTa#77", "bf16-mixed"):
            assert part in outcome.err
        assert "GPU" not in outcome.err
    assert not Path("outputs").exists()


def test_deberta_takes_bf16_mixed(train_on: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder("deberta-v2", tmp_path / "encoder")
    outcome = train_on(folder, "trainer.precision=bf16-mixed")

    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
def test_a_sequence_longer_than_the_positions_is_refused(
    kind: str, train_on: Callable[..., Any], tmp_path: Path
) -> None:
    folder = write_folder(kind, tmp_path / "encoder", max_position_embeddings=100)
    outcome = train_on(folder)

    assert outcome.status == 2
    assert "data.max_length=128" in outcome.err
    assert "at most 100 tokens" in outcome.err


def test_an_encoder_of_a_kind_that_cannot_be_followed_is_refused(train_on: Callable[..., Any], tmp_path: Path) -> None:
    folder = write_folder("modernbert", tmp_path / "encoder", classifier_pooling="mean")
    outcome = train_on(folder)

    assert outcome.status == 2
    assert "encoder.path: modernbert" in outcome.err
    assert "logits differ" in outcome.err
    assert not Path("outputs").exists()


def loaded(folder: Path) -> Any:
    return load_model(
        HEADS["sequence_classification"],
        str(folder),
        pretrained=True,
        overrides={},
        label_names=("a", "b", "c"),
        max_length=32,
    )


@pytest.mark.parametrize("kind", ["xlm-roberta", "deberta-v2"])
def test_dropout_is_on_in_a_pretrained_model_that_is_to_be_trained(kind: str, tmp_path: Path) -> None:
    folder = write_folder(kind, tmp_path, head="sequence_classification")

    assert all(module.training for module in loaded(folder).modules())


def test_an_encoder_without_pooler_gets_a_new_one_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_folder("bert", tmp_path, head="token_classification")
    with caplog.at_level(logging.WARNING):
        loaded(folder)

    assert [f"{folder} has no weights for its pooler" in message for message in caplog.messages] == [True]


def test_an_encoder_without_a_layers_weights_is_refused(tmp_path: Path) -> None:
    folder = write_folder("bert", tmp_path, head="token_classification", num_hidden_layers=1)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))

    with pytest.raises(UserError, match=r"no weights for 18 tensors of the encoder, such as bert\.encoder\.layer\.1"):
        loaded(folder)


TAGS = ("O", "B-X", "I-X", "B-Y")


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta"])
@pytest.mark.parametrize(
    ("head", "label_names"),
    [
        ("sequence_classification", ("a", "b", "c")),
        ("sequence_classification", ("a", "b")),
        ("token_classification", TAGS),
    ],
    ids=["as many", "fewer", "tags"],
)
def test_a_head_of_another_task_is_dropped_and_this_is_said(
    kind: str, head: str, label_names: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_folder(kind, tmp_path)
    names = dict(enumerate(("entailment", "neutral", "contradiction")))
    before = model(kind, vocab_size=200, num_hidden_layers=2, max_position_embeddings=130)
    before.config.id2label, before.config.label2id = names, {name: number for number, name in names.items()}
    before.save_pretrained(folder)
    with caplog.at_level(logging.WARNING):
        after = load_model(
            HEADS[head], str(folder), pretrained=True, overrides={}, label_names=label_names, max_length=32
        )

    assert f"{folder} was fine-tuned on other labels (entailment, neutral, contradiction)" in caplog.text
    assert after.config.id2label == dict(enumerate(label_names))
    old, new = before.state_dict(), after.state_dict()
    encoder = [name for name in new if name.startswith(f"{after.base_model_prefix}.")]
    assert all(torch.equal(old[name], new[name]) for name in encoder)
    assert all(torch.equal(new[name], after.base_model.state_dict()[name.partition(".")[2]]) for name in encoder)
    weights = [name for name in new if name not in encoder and name.endswith("weight")]
    assert weights
    assert not any(name in old and torch.equal(old[name], new[name]) for name in weights)
    assert all(module.training for module in after.modules())


def test_a_head_goes_on_whose_labels_are_the_datas_by_another_name(tmp_path: Path) -> None:
    folder = write_folder("bert", tmp_path)
    before = model("bert", vocab_size=200, num_hidden_layers=2, max_position_embeddings=130)
    before.config.id2label, before.config.label2id = {0: "A", 1: "bee", 2: "c"}, {"A": 0, "bee": 1, "c": 2}
    before.save_pretrained(folder)

    def again(*label_names: str) -> torch.Tensor:
        loaded = load_model(
            HEADS["sequence_classification"],
            str(folder),
            pretrained=True,
            overrides={},
            label_names=label_names,
            label_aliases={"bee": "b"},
            max_length=32,
        )
        return loaded.classifier.weight.detach()

    assert torch.equal(again("a", "b", "c"), before.classifier.weight.detach())
    with pytest.raises(UserError, match="reorder the model's outputs"):
        again("b", "a", "c")


def test_an_encoder_tuned_on_sentences_learns_to_tag(train: Callable[..., Any], command: Callable[..., Any]) -> None:
    assert train("data.languages=[en]", "optimization.epochs=1").status == 0
    outcome = command(
        "train.py",
        "data=wikiann",
        "data.folder=sample",
        "encoder.path=outputs/xnli-mini/model",
        "encoder.pretrained=true",
        "name=tagger",
        "data.languages=[en]",
        *OPTIONS[:1],
        "optimization.epochs=1",
    )

    assert outcome.status == 0, outcome.err
    assert "was fine-tuned on other labels (entailment, neutral, contradiction): its head is dropped" in outcome.err


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("num_hidden_layers", True, "must be a int"),
        ("num_hidden_layers", 1.0, "must be a int"),
        ("hidden_dropout_prob", True, "must be a float"),
        ("hidden_dropout_prob", "0", "must be a float"),
        ("classifier_dropout", "much", "classifier_dropout"),
    ],
)
def test_an_override_of_another_type_is_refused(field: str, value: object, told: str) -> None:
    with pytest.raises(UserError) as refused:
        load_config(MINI, overrides={field: value})
    assert str(refused.value).startswith(f"encoder.overrides.{field}={value!r}: ")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_whole_number_is_a_fine_float() -> None:
    config = load_config(MINI, overrides={"hidden_dropout_prob": 0, "classifier_dropout": 0.5})
    assert isinstance(config.hidden_dropout_prob, float)
    assert (config.hidden_dropout_prob, config.classifier_dropout) == (0.0, 0.5)


def test_old_checkpoints_in_pytorch_model_bin_are_read(tmp_path: Path) -> None:
    folder = write_folder("deberta-v2", tmp_path, head="sequence_classification")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    expected = model("deberta-v2", vocab_size=loaded(folder).config.vocab_size, num_hidden_layers=2)

    assert torch.equal(next(loaded(folder).base_model.parameters()), next(expected.base_model.parameters()))


def test_layer_decay_reaches_the_weights(train_on: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copytree(Path(mini.__file__).parent, tmp_path / "copy")
    for layer_decay in ("1.0", "0.01"):
        train_on(tmp_path / "copy", f"name=decay{layer_decay}", f"optimization.layer_decay={layer_decay}")
    evenly, slower = (load_file(Path(f"outputs/decay{name}/model/model.safetensors")) for name in ("1.0", "0.01"))

    # From the same random weights; a norm of the lowest layer starts at one.
    name = "roberta.encoder.layer.0.output.LayerNorm.weight"
    assert float((slower[name] - 1).abs().max()) < float((evenly[name] - 1).abs().max()) / 10
