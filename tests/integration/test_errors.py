"""A user's mistake ends with a clear message and status 2 (Hydra's own: 1), shows no traceback and loses nothing."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file, save_file

RUN = Path("outputs/xnli-mini")


def refused(outcome: Any, *parts: str) -> None:
    """Check that a command ended with an error that holds all these parts."""
    assert outcome.status in (1, 2), outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    for part in parts:
        assert part in outcome.err, outcome.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of XNLI in three languages that is right, for a test to damage."""
    rows = "".join(f"p{n}\th{n}\t{('entailment', 'neutral', 'contradiction')[n % 3]}\n" for n in range(12))
    (tmp_path / "data" / "xnli").mkdir(parents=True)
    for language in ("en", "de"):
        for split in ("train", "dev", "test"):
            (tmp_path / "data" / "xnli" / f"{split}-{language}.tsv").write_text(rows)
    return tmp_path / "data"


@pytest.fixture
def train_on(train: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    return lambda *arguments: train("data=xnli", f"data.folder={folder}", "data.languages=[en,de]", *arguments)


def test_the_undamaged_folder_trains(train_on: Callable[..., Any]) -> None:
    assert train_on().status == 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["optimization.batchsize=3"], ["optimization.batchsize", "batch_size"]),
        (["sed=3"], ["seed"]),
        (["optimization.batch_size=many"], ["optimization.batch_size", "many"]),
        (["encoder=xlmr_bas"], ["xlmr_bas", "mini", "xlmr_base"]),
        (["encoder.path=nowhere/at/all"], ["nowhere/at/all"]),
        (["encoder.overrides.num_layers=2"], ["num_layers", "num_hidden_layers"]),
        (["encoder.overrides.hidden_size=big"], ["hidden_size", "int"]),
        (["encoder.overrides.hidden_size=33"], ["hidden_size", "33", "attention heads"]),
        (["optimization.learning_rate=inf"], ["optimization.learning_rate=inf", "finite"]),
        (["optimization.clip=0"], ["optimization.clip=0"]),
        (["trainer.strategy=nonsense"], ["trainer.strategy=nonsense", "auto"]),
        (["encoder.pretrained=true"], ["encoder.overrides", "encoder.pretrained=false"]),
        (["data.languages=[en,xx]"], ["'xx'", "sw", "quoted"]),
        (["data.languages=[en,false]"], ["'False'", "unquoted no"]),
        (["data.train_languages=[]"], ["at least one"]),
        (["data.languages=[en,en]"], ["each one once"]),
        (["data.folder=null"], ["facebook/xnli", "HF_HUB_OFFLINE=1", "babelfit fetch"]),
        (["data.folder=not/there"], ["not/there"]),
        (["data.max_length=1000"], ["data.max_length=1000", "512"]),
        (["trainer.tokens_per_device=100"], ["trainer.tokens_per_device=100", "data.max_length=128"]),
        (["trainer.precision=16-mixed"], ["16-mixed", "bf16-mixed"]),
        (["trainer.precision=fp16"], ["fp16", "bf16-mixed"]),
        (["trainer.accelerator=gpu"], ["no GPU", "trainer.accelerator=cpu"]),
        (["trainer.devices=8"], ["trainer.devices=8", "0 visible GPUs", "trainer.accelerator=cpu"]),
        (["trainer.num_nodes=2"], ["trainer.num_nodes=2", "torchrun", "srun"]),
        (["trainer=fsdp", "trainer.precision=16-mixed"], ["fsdp", "16-mixed", "bf16-mixed"]),
        (["name=../elsewhere"], ["../elsewhere"]),
        (["selection=target_dev"], ["target_dev", "source_dev"]),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_allowed(
    train: Callable[..., Any], arguments: list[str], parts: list[str]
) -> None:
    refused(train(*arguments), *parts)
    assert not Path("outputs").exists(), "nothing is written before all is checked"


@pytest.mark.parametrize(
    ("damage", "parts"),
    [
        (lambda file: file.unlink(), ["dev-de.tsv", "Looked for"]),
        (lambda file: file.write_text(""), ["dev-de.tsv", "no rows"]),
        (lambda file: file.write_text("p\th\tneutral\np\th\n"), ["dev-de.tsv, line 2", "3"]),
        (lambda file: file.write_text("p\th\tmaybe\n"), ["dev-de.tsv, line 1", "'maybe'", "entailment"]),
        (lambda file: file.write_bytes(b"p\th\tneutral\np\xff\th\tneutral\n"), ["dev-de.tsv, line 2", "UTF-8"]),
        (lambda file: file.write_text("p\t\tneutral\n"), ["dev-de.tsv, line 1", "empty hypothesis"]),
    ],
    ids=["missing", "empty", "malformed", "unknown label", "undecodable", "empty text"],
)
def test_damaged_data_are_named_with_file_and_line(
    train_on: Callable[..., Any], folder: Path, damage: Callable[[Path], None], parts: list[str]
) -> None:
    for name in ("test-de.tsv", "test-en.tsv"):
        (folder / "xnli" / name).unlink()
    damage(folder / "xnli" / "dev-de.tsv")
    refused(train_on(), *parts)
    assert not Path("outputs").exists()


def test_a_training_row_without_label_is_refused(train_on: Callable[..., Any], folder: Path) -> None:
    (folder / "xnli" / "train-en.tsv").write_text("p\th\tneutral\np\th\t-\n")
    refused(train_on(), "train en", "1 rows have no label")


def test_a_validation_split_without_gold_can_choose_no_checkpoint(train_on: Callable[..., Any], folder: Path) -> None:
    for content in ("p\th\n", "p\th\t-\n"):
        (folder / "xnli" / "dev-en.tsv").write_text(content)
        refused(train_on(), "dev-en.tsv", "no gold labels to choose a checkpoint by, in xnli validation en")
        assert not Path("outputs").exists()


def test_a_partial_copy_is_warned_about_once(train_on: Callable[..., Any], folder: Path) -> None:
    outcome = train_on()
    warnings = [line for line in outcome.err.splitlines() if "train-en.tsv" in line]
    assert len(warnings) == 1
    assert "12 rows" in warnings[0]
    assert "392,702" in warnings[0]


def test_another_run_under_the_same_name_is_refused_with_the_difference(
    train: Callable[..., Any], finished: Callable[..., Any]
) -> None:
    finished("data.languages=[en]")
    before = {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()}
    refused(
        train("optimization.learning_rate=0.5", "data.languages=[en]"),
        "optimization.learning_rate: 0.001 -> 0.5",
        "name=",
    )
    assert {path: path.read_bytes() for path in RUN.rglob("*") if path.is_file()} == before


def test_resume_never_refuses_an_existing_folder(train: Callable[..., Any], finished: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    refused(train("data.languages=[en]", "resume=never"), "resume=never", "name=")


def test_no_run_is_made_inside_another(
    train: Callable[..., Any], finished: Callable[..., Any], command: Callable[..., Any]
) -> None:
    finished("data.languages=[en]")
    (RUN / "model").rename("model")
    before = {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file()}
    for name in ("xnli-mini/model", "xnli-mini/a/b"):
        refused(train(f"name={name}"), f"outputs/{name} lies inside outputs/xnli-mini", "name=")
        evaluate = ("model=./model", "data=xnli_sample", "languages=[en]")
        refused(command("evaluate.py", *evaluate, f"name={name}"), f"outputs/{name} lies inside outputs/xnli-mini")
    assert {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file()} == before
    assert command("evaluate.py", *evaluate, "name=other").status == 0
    refused(command("evaluate.py", *evaluate, "name=other/again"), "lies inside outputs/other")


def test_a_folder_that_is_no_run_is_left_alone(train: Callable[..., Any], command: Callable[..., Any]) -> None:
    RUN.mkdir(parents=True)
    (RUN / "thesis.txt").write_text("ten years of work")
    refused(train(), "is not a run", "config.yaml")
    refused(command("evaluate.py", f"run={RUN}"), "is not a run", "config.yaml")
    refused(command("evaluate.py", "run=outputs/nothing"), "outputs/nothing", "is not a run")
    assert [path.name for path in RUN.iterdir()] == ["thesis.txt"]


def test_a_run_without_model_cannot_be_evaluated(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    status = json.loads((RUN / "status.json").read_text())
    del status["selected"]
    (RUN / "status.json").write_text(json.dumps(status | {"state": "failed"}))
    refused(command("evaluate.py", f"run={RUN}"), "no model yet", "failed")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["run=", "model="]),
        (["run=a", "model=b"], ["run=", "model="]),
        (["model=outputs/xnli-mini/model"], ["data="]),
        (["run=outputs/xnli-mini", "split=dev"], ["split=dev", "validation"]),
        (["run=outputs/xnli-mini", "languages=[xx]"], ["'xx'"]),
    ],
)
def test_evaluate_says_what_it_needs(
    finished: Callable[..., Any], command: Callable[..., Any], arguments: list[str], parts: list[str]
) -> None:
    finished("data.languages=[en]")
    refused(command("evaluate.py", *arguments), *parts)


@pytest.mark.parametrize(
    "names",
    [["LABEL_0", "LABEL_1", "LABEL_2"], ["entailment", "neutral", "neutral"], ["yes", "no", "maybe"]],
)
def test_unknown_label_names_are_refused_with_both_sets(
    finished: Callable[..., Any], command: Callable[..., Any], names: list[str]
) -> None:
    finished("data.languages=[en]")
    path = RUN / "model" / "config.json"
    config = json.loads(path.read_text())
    config["id2label"] = dict(enumerate(names))
    config["label2id"] = {name: number for number, name in enumerate(names)}
    path.write_text(json.dumps(config))
    outcome = command("evaluate.py", f"model={RUN / 'model'}", "data=xnli_sample", "name=other")
    refused(outcome, *names, "entailment", "neutral", "contradiction")


def test_an_encoder_without_trained_head_is_refused(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(RUN / "model").save_pretrained("bare")
    AutoTokenizer.from_pretrained(RUN / "model").save_pretrained("bare")
    refused(command("evaluate.py", "model=./bare", "data=xnli_sample"), "no trained head", "classifier")


def test_a_model_that_diverged_is_not_scored(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    path = RUN / "model" / "model.safetensors"
    weights = load_file(path)
    weights["classifier.out_proj.bias"][0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    refused(command("evaluate.py", f"model={RUN}/model", "data=xnli_sample", "name=other"), "NaN", "diverged")
    assert not Path("outputs/other/predictions").exists()


def test_a_head_in_another_order_is_not_trained_on(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    path = RUN / "model" / "config.json"
    config = json.loads(path.read_text())
    config["id2label"] = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config["label2id"] = {"contradiction": 0, "neutral": 1, "entailment": 2}
    path.write_text(json.dumps(config))
    outcome = command("train.py", f"encoder.path={RUN / 'model'}", "encoder.pretrained=true", "name=further")
    refused(outcome, "['contradiction', 'neutral', 'entailment']", "['entailment', 'neutral', 'contradiction']")


def test_a_damaged_status_is_named(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    (RUN / "status.json").write_text("{")
    refused(command("evaluate.py", f"run={RUN}"), "status.json is damaged")


def test_a_damaged_run_configuration_is_named(finished: Callable[..., Any], command: Callable[..., Any]) -> None:
    finished("data.languages=[en]")
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    (RUN / "config.yaml").write_text(yaml.safe_dump(config | {"version": 99}))
    refused(command("evaluate.py", f"run={RUN}"), "version 99")


def test_a_full_disk_keeps_the_earlier_checkpoint(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    save = torch.save

    def full(checkpoint: dict[str, Any], stream: Any) -> None:
        if checkpoint["global_step"] >= 8:
            stream.write(b"half of it")
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
        save(checkpoint, stream)

    monkeypatch.setattr(torch, "save", full)
    refused(train("validation.every=4", "data.languages=[en]"), "step 8", "kept", "start the same command again")
    assert {path.name for path in (RUN / "checkpoints").iterdir()} >= {"last.ckpt"}
    assert not list(RUN.rglob("*.tmp"))
    status = json.loads((RUN / "status.json").read_text())
    assert status["state"] == "failed"
    assert "step 8" in status["why"]
    monkeypatch.setattr(torch, "save", save)
    assert train("validation.every=4", "data.languages=[en]").status == 0


def test_memory_that_does_not_suffice_for_a_checkpoint_is_told(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: Any) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(torch, "save", full)
    refused(train("validation.every=4", "data.languages=[en]"), "step 4", "could not be written (no memory")


def test_a_disk_that_cannot_be_written_is_named(train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by file permissions: the tests may run as root, whom they do not stop.
    mkdir = Path.mkdir

    def read_only(self: Path, *arguments: Any, **options: Any) -> None:
        if "outputs" in self.parts:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        mkdir(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", read_only)
    refused(train("data.languages=[en]"), "Read-only file system", "outputs")


def test_a_full_disk_while_tokenizing_leaves_no_half_cache(
    train_on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BABELFIT_CACHE", str(tmp_path / "cache"))
    import pyarrow as pa

    class Full:
        def __init__(self, *_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "RecordBatchStreamWriter", Full)
    monkeypatch.setattr(pa.ipc, "new_stream", Full)
    refused(train_on(), "No space left on device")
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    assert not list((tmp_path / "cache").rglob("*.arrow"))
