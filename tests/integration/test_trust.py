"""Folders that strangers made: nothing in them runs, nothing outside them is read or written, and it is said why.

Each attack would leave a file MARK, or change the file `outside/precious`.
"""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

RUN = Path("outputs/xnli-mini")
EVIL_MODULE = "from pathlib import Path\n\nPath('MARK').touch()\n\nclass Evil:\n    pass\n"

Command = Callable[..., Any]


class Bomb:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch MARK",)


def zipped(path: Path) -> None:
    torch.save({"state_dict": Bomb()}, path)


def legacy(path: Path) -> None:
    torch.save({"state_dict": Bomb()}, path, _use_new_zipfile_serialization=False)


def bare(path: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))


@pytest.fixture(autouse=True)
def unharmed(in_folder: Path) -> Any:
    """Check after every test that nothing ran, and that what lies outside of the run is as it was."""
    precious = Path("outside/precious")
    precious.parent.mkdir()
    precious.write_text("precious")
    yield
    assert not Path("MARK").exists()
    assert not list(Path("outputs").rglob("MARK"))
    assert [path.name for path in precious.parent.iterdir()] == ["precious"]
    assert precious.read_text() == "precious"


@pytest.fixture
def run(finished: Command) -> Path:
    """A finished run."""
    finished("data.languages=[en]")
    # A stranger's would name whatever files lie there.
    (RUN / "manifest.json").unlink()
    edit(RUN / "status.json", model={})
    return RUN


@pytest.fixture
def resume(run: Path, train: Command) -> Command:
    """Start the training command again, on the run as if it had been stopped before its export."""
    shutil.rmtree(run / "model")
    return lambda: train("data.languages=[en]")


def refused(outcome: Any, *parts: str) -> None:
    assert outcome.status == 2, outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    for part in parts:
        assert part in outcome.err, outcome.err


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# Weights


@pytest.mark.parametrize("written", [zipped, legacy, bare])
@pytest.mark.parametrize("selected", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused(
    run: Path, resume: Command, written: Callable[[Path], None], selected: bool
) -> None:
    file = run / "checkpoints" / json.loads((run / "status.json").read_text())["selected"]["file"]
    if not selected:
        (run / "status.json").unlink()
        file.unlink()
        file = run / "checkpoints" / "last.ckpt"
    written(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (run / "checkpoints" / "checksums.json").write_text(json.dumps({digest: 6}))
    refused(resume(), str(file), "refused")


@pytest.mark.parametrize("step", ["../../outside/precious", [1], None])
def test_a_checkpoint_does_not_choose_which_files_go(run: Path, resume: Command, step: Any) -> None:
    file = run / "checkpoints" / json.loads((run / "status.json").read_text())["selected"]["file"]
    state = torch.load(file, weights_only=True)
    entry = {"step": step, "score": 1.0, "file": "../../outside/precious"}
    state["callbacks"]["Checkpoints"]["rankings"] = {"source_dev": [entry]}
    (run / "status.json").unlink()
    file.unlink()
    torch.save(state, run / "checkpoints" / "last.ckpt")
    (run / "checkpoints" / "checksums.json").unlink()
    refused(resume(), "last.ckpt is not a babelfit checkpoint")


@pytest.mark.parametrize("written", [zipped, legacy, bare])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_that_would_run_code_are_refused(
    run: Path, command: Command, train: Command, written: Callable[[Path], None]
) -> None:
    (run / "model" / "model.safetensors").unlink()
    written(run / "model" / "pytorch_model.bin")
    further = ("encoder.overrides={}", "encoder.pretrained=true", "name=further", "data.languages=[en]")
    for outcome in (
        command("evaluate.py", f"run={run}", "split=validation"),
        command("evaluate.py", f"model={run}/model", "data=xnli_sample", "name=other"),
        command("train.py", *further, f"encoder.path={run}/model"),
    ):
        refused(outcome, "more than plain data", "safetensors")


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("where", ["beside", "absolute", "config"])
def test_shards_do_not_lie_elsewhere(
    run: Path, command: Command, tmp_path_factory: pytest.TempPathFactory, kind: str, where: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / kind
    weights = load_file(run / "model" / "model.safetensors")
    (run / "model" / "model.safetensors").unlink()
    if kind == "pytorch_model.bin":
        torch.save(weights, elsewhere)
    else:
        save_file(weights, elsewhere, metadata={"format": "pt"})
    shard = str(elsewhere) if where == "absolute" else os.path.relpath(elsewhere, run / "model")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}
    if where == "config":
        (run / "model" / "deep").mkdir()
        (run / "model" / "deep" / f"{kind}.index.json").write_text(json.dumps(index))
        edit(run / "model" / "config.json", transformers_weights=f"deep/{kind}.index.json")
    else:
        (run / "model" / f"{kind}.index.json").write_text(json.dumps(index))
    told = "no weights" if where == "config" else f"{kind}.index.json names"
    for arguments in all_ways(run)[:3]:
        refused(command(*arguments), told)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"x": 1}}', "[" * 100_000])
def test_a_damaged_index_of_shards_is_named(run: Path, command: Command, content: str) -> None:
    (run / "model" / "model.safetensors").unlink()
    (run / "model" / "model.safetensors.index.json").write_text(content)
    refused(command(*all_ways(run)[0]), "model.safetensors.index.json")


def test_sharded_weights_are_read(run: Path, command: Command) -> None:
    weights = load_file(run / "model" / "model.safetensors")
    (run / "model" / "model.safetensors").rename(run / "model" / "model-00001-of-00001.safetensors")
    shards = dict.fromkeys(weights, "model-00001-of-00001.safetensors")
    (run / "model" / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    assert command(*all_ways(run)[0]).status == 0


@pytest.mark.parametrize("share", [0, 0.001, 0.5])
def test_torn_weights_are_named(run: Path, command: Command, share: float) -> None:
    path = run / "model" / "model.safetensors"
    os.truncate(path, int(path.stat().st_size * share))
    for arguments in all_ways(run)[:3]:
        refused(command(*arguments), "the weights of", "damaged")


def test_safetensors_come_first(run: Path, command: Command) -> None:
    zipped(run / "model" / "pytorch_model.bin")
    assert command("evaluate.py", f"run={run}", "split=validation").status == 0


# Code beside a model


def plant(model: Path, **config: Any) -> None:
    (model / "evil.py").write_text(EVIL_MODULE)
    names = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"}
    edit(model / "config.json", auto_map=names, **config)
    edit(model / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})


def test_code_beside_a_model_is_not_run(run: Path, command: Command) -> None:
    # An attention kernel would be fetched from the Hub and run.
    plant(run / "model", attn_implementation="evil/kernel", _attn_implementation="evil/kernel")
    for arguments in all_ways(run):
        outcome = command(*arguments)
        assert outcome.status == 0, outcome.err
        assert "evil" not in outcome.err
    assert "auto_map" not in Path("outputs/further/model/config.json").read_text()


def test_a_tokenizer_of_its_own_class_is_read_as_tokenizer_json_says(run: Path, command: Command) -> None:
    plant(run / "model")
    edit(run / "model" / "tokenizer_config.json", tokenizer_class="Evil")
    for arguments in all_ways(run):
        outcome = command(*arguments)
        assert outcome.status == 0, outcome.err


def test_a_model_that_needs_its_own_code_is_refused(run: Path, command: Command) -> None:
    plant(run / "model", model_type="evil")
    for arguments in all_ways(run):
        refused(command(*arguments), f"{run}/model")


def all_ways(run: Path) -> list[list[str]]:
    """Every command that loads a run's model."""
    small = ["data.limit={train: 64, validation: 48, test: 48}", "data.languages=[en]", "optimization.max_steps=1"]
    encoder = f"encoder.path={run}/model"
    return [
        ["evaluate.py", f"run={run}", "split=validation", "languages=[en]"],
        ["evaluate.py", f"model={run}/model", "data=xnli_sample", "languages=[en]", "name=other"],
        ["train.py", encoder, *small, "encoder.pretrained=true", "name=further"],
        ["train.py", encoder, *small, "name=anew"],
    ]


# The configuration of a run


@pytest.mark.parametrize(
    ("damage", "shown"),
    [
        ({"encoder": {"overrides": {"_target_": "os.system", "command": "touch MARK"}}}, "'_target_'"),
        ({"data": {"limit": {"_target_": "os.system", "command": "touch MARK"}}}, "'_target_'"),
        ({"encoder": {"name": "${oc.env:SECRET}"}}, "'${oc.env:SECRET}'"),
        ({"data": {"train_languages": ["${oc.env:SECRET}"]}}, "'${oc.env:SECRET}'"),
        ({"encoder": {"overrides": {"${oc.env:SECRET}": 1}}}, "'${oc.env:SECRET}'"),
        ({"seed": "???"}, "'???'"),
    ],
)
def test_a_runs_configuration_is_data(
    run: Path, command: Command, train: Command, monkeypatch: pytest.MonkeyPatch, damage: dict[str, Any], shown: str
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    config = yaml.safe_load((run / "config.yaml").read_text())
    for key, value in damage.items():
        config[key] = config[key] | value if isinstance(value, dict) else value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    for outcome in (command("evaluate.py", f"run={run}"), train("data.languages=[en]")):
        refused(outcome, "config.yaml holds", shown)
        assert "hunter2" not in outcome.err + outcome.out


def test_yaml_makes_no_python_objects(run: Path, command: Command) -> None:
    with (run / "config.yaml").open("a") as file:
        file.write("extra: !!python/object/apply:os.system ['touch MARK']\n")
    refused(command("evaluate.py", f"run={run}"), "config.yaml is not readable as YAML")


BOMB = "extra: &a0 [1, 1]\n" + "".join(f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (BOMB, "a reference (*NAME)"),
        ("extra: &all [*all]\n", "a reference (*NAME)"),
        ("extra: " + "[" * 100_000, "recursion"),
        ("extra: 2001-99-99\n", "month"),
    ],
    ids=["bomb", "itself", "deep", "no date"],
)
def test_a_configuration_that_is_no_plain_tree_is_refused(run: Path, command: Command, extra: str, told: str) -> None:
    with (run / "config.yaml").open("a") as file:
        file.write(extra)
    refused(command("evaluate.py", f"run={run}"), "config.yaml is not readable as YAML", told)


def test_an_evaluations_configuration_is_data(run: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    arguments = (f"model={run}/model", "data=xnli_sample", "languages=[en]", "name=other")
    assert command("evaluate.py", *arguments).status == 0
    path = Path("outputs/other/evaluation.yaml")
    path.write_text(path.read_text().replace("name: other", "name: ${oc.env:SECRET}"))
    refused(command("evaluate.py", *arguments), "evaluation.yaml holds '${oc.env:SECRET}'")


@pytest.mark.parametrize("key", ["hydra.sweeper._target_", "hydra.launcher._target_"])
def test_hydra_calls_nothing_that_a_configuration_names(train: Command, key: str) -> None:
    outcome = train("-m", f"{key}=os.system", f"+{key.replace('_target_', 'command')}='touch MARK'")
    assert outcome.status == 2
    assert "os.system" in outcome.err
    assert not Path("MARK").exists()


@pytest.mark.parametrize("state", ["new", "killed", "\x1b[2J", 1, None, ["running"]])
def test_a_status_is_one_that_a_run_writes(run: Path, resume: Command, command: Command, state: Any) -> None:
    edit(run / "status.json", state=state)
    for outcome in (resume(), command("evaluate.py", f"run={run}")):
        refused(outcome, "status.json is damaged", "is not one of running, complete")
        assert "\x1b[2J" not in outcome.err


def test_what_a_log_quotes_does_not_steer_the_terminal(run: Path, train: Command) -> None:
    edit(run / "status.json", state="running", host="\x1b]0;owned\x07\x1b[2J")
    outcome = train("data.languages=[en]")
    assert outcome.status == 0
    assert "\\x1b]0;owned\\x07\\x1b[2J is gone without a word" in outcome.err
    assert "\x1b" not in outcome.err.replace("\x1b[0m", "").split("gone without a word")[0]


# Paths


@pytest.mark.parametrize(
    "name",
    [
        "metrics.csv",
        "report.md.tmp",
        "lock",
        "status.json",
        "checkpoints/last.ckpt",
        "model/config.json",
        "scores/x.json",
    ],
)
def test_a_link_out_of_a_run_is_refused(run: Path, command: Command, train: Command, name: str) -> None:
    path = run / name
    path.unlink(missing_ok=True)
    path.symlink_to(Path("outside/precious").resolve())
    for outcome in (command("evaluate.py", f"run={run}", "split=validation"), train("data.languages=[en]")):
        refused(outcome, f"{path} is a link that leads out of {run}")


@pytest.mark.parametrize("name", ["predictions", "predictions/validation", "model", "checkpoints", "tensorboard"])
def test_a_folder_that_lies_elsewhere_is_refused(run: Path, command: Command, train: Command, name: str) -> None:
    path = run / name
    shutil.rmtree(path, ignore_errors=True)
    path.symlink_to(os.path.relpath("outside", path.parent))
    for outcome in (command("evaluate.py", f"run={run}", "split=validation"), train("data.languages=[en,de]")):
        refused(outcome, f"{path} is a link that leads out of {run}")


def test_a_link_inside_a_run_and_to_a_run_is_none_of_our_business(run: Path, command: Command) -> None:
    run.rename("elsewhere")
    run.symlink_to(Path("elsewhere").resolve())
    (run / "best").symlink_to("model")
    assert command("evaluate.py", f"run={run}", "split=validation", "languages=[en]").status == 0


def test_a_link_in_a_circle_is_refused(run: Path, command: Command) -> None:
    (run / "circle").symlink_to("circle")
    refused(command("evaluate.py", f"run={run}"), "circle is a link")


def test_a_pipe_in_a_run_is_refused_instead_of_waited_for(run: Path, command: Command) -> None:
    (run / "config.yaml").unlink()
    os.mkfifo(run / "config.yaml")
    refused(command("evaluate.py", f"run={run}"), "config.yaml is neither a file nor a folder")


@pytest.mark.parametrize("file", ["../../../outside/precious", "/etc/passwd", "step-6.ckpt/../../x", "last.ckpt", 6])
def test_a_status_does_not_choose_what_is_read(run: Path, resume: Command, command: Command, file: Any) -> None:
    selected = json.loads((run / "status.json").read_text())["selected"]
    edit(run / "status.json", selected=selected | {"file": file})
    for outcome in (resume(), command("evaluate.py", f"run={run}")):
        refused(outcome, "status.json is damaged")


@pytest.mark.parametrize("name", ["..jsonl", "\x1b[2Jde.jsonl", "d e.jsonl", "..en.jsonl"])
def test_a_file_name_is_no_language(run: Path, command: Command, name: str) -> None:
    (run / "predictions" / "test" / name).write_text("")
    outcome = command("evaluate.py", f"run={run}")
    refused(outcome, "is not a language code")
    assert "\x1b[2J" not in outcome.err


def test_the_exported_weights_are_safetensors(run: Path) -> None:
    assert load_file(run / "model" / "model.safetensors")
    assert not list((run / "model").glob("*.bin"))
