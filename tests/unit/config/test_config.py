"""A configuration is checked once, whole and at the door; a mistake is told with its full key."""

from dataclasses import asdict, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from babelfit.commands.compose import introduce_to_hydra
from babelfit.config.config_files import VERSION, differences, load, save
from babelfit.config.schema import EvaluateConfig, FewShot, TextConfig, TrainConfig, checked
from babelfit.errors import UserError

CONF = Path(__file__).resolve().parents[3] / "conf"


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The values of a plain `python train.py`."""
    introduce_to_hydra()
    with initialize_config_dir(config_dir=str(CONF)):
        values: Any = OmegaConf.to_container(compose("train"), resolve=True)
    return values


def parsed(values: dict[str, Any], *changes: str) -> TrainConfig:
    return checked(OmegaConf.create(values | changed(values, *changes)), TrainConfig)


def changed(values: dict[str, Any], *changes: str) -> dict[str, Any]:
    merged: Any = OmegaConf.to_container(OmegaConf.merge(values, OmegaConf.from_dotlist(list(changes))))
    return merged


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {
        name: without(value, rest) if name == first and rest else value
        for name, value in values.items()
        if name != first or rest
    }


def refusal(values: dict[str, Any], *changes: str) -> str:
    with pytest.raises(UserError) as caught:
        parsed(values, *changes)
    return str(caught.value)


def test_values_arrive_in_plain_typed_objects(composed: dict[str, Any]) -> None:
    config = parsed(composed, "optimization.learning_rate=3e-5", "data.limit.train=7")

    assert type(config) is TrainConfig
    assert config.optimization.learning_rate == 3e-5
    assert config.data.limit.train == 7
    assert config.data.limit.test is None
    assert type(config.data.train_languages) is list


@pytest.mark.parametrize(
    ("change", "key", "right"),
    [
        ("sed=1", "sed", "seed"),
        ("optimization.batchsize=3", "optimization.batchsize", "batch_size"),
        ("data.limit.trian=3", "data.limit.trian", "train"),
        ("trainer.presicion=32-true", "trainer.presicion", "precision"),
    ],
)
def test_an_unknown_key_is_named_in_full_with_the_nearest_right_one(
    composed: dict[str, Any], change: str, key: str, right: str
) -> None:
    message = refusal(composed, change)

    assert message.startswith(f"{key}: ")
    assert f"Did you mean: '{right}'?" in message


@pytest.mark.parametrize("key", ["seed", "optimization.clip", "data.limit.test", "trainer.devices"])
def test_a_missing_key_is_named_in_full(composed: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=f"^no value for {key}: .*{key}=VALUE$"):
        checked(OmegaConf.create(without(composed, key)), TrainConfig)


def test_all_missing_keys_are_named_at_once(composed: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^no value for data\.name, seed: "):
        checked(OmegaConf.create(without(without(composed, "seed"), "data.name")), TrainConfig)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("seed=one", "one"),
        ("seed=1.5", "1.5"),
        ("seed=null", ""),
        ("optimization.learning_rate=fast", "fast"),
        ("optimization.batch_size=many", "many"),
        ("encoder.pretrained=perhaps", "perhaps"),
        ("data.train_languages=en", "list"),
        ("data.limit=5", "5"),
        ("logger.tensorboard=3.5", "3.5"),
    ],
)
def test_a_value_of_a_wrong_type_is_named_with_its_full_key(composed: dict[str, Any], change: str, told: str) -> None:
    message = refusal(composed, change)

    assert message.startswith(change.partition("=")[0] + ": ")
    assert told in message


@pytest.mark.parametrize(
    ("key", "least"),
    [
        ("seed", 0),
        ("data.max_length", 8),
        ("data.limit.train", 1),
        ("data.limit.validation", 1),
        ("data.limit.test", 1),
        ("optimization.batch_size", 1),
        ("optimization.epochs", 1),
        ("optimization.max_steps", 1),
        ("validation.patience", 1),
        ("checkpoint.every", 1),
        ("checkpoint.keep", 1),
        ("encoder.freeze_layers", 0),
        ("trainer.devices", 1),
        ("trainer.num_nodes", 1),
        ("trainer.tokens_per_device", 1),
        ("logger.every", 1),
    ],
)
def test_a_count_below_its_least_is_refused_and_the_least_is_taken(
    composed: dict[str, Any], key: str, least: int
) -> None:
    assert refusal(composed, f"{key}={least - 1}") == f"{key}={least - 1}: must be at least {least}"
    parsed(composed, f"{key}={least}")


@pytest.mark.parametrize("key", ["learning_rate", "warmup", "weight_decay"])
@pytest.mark.parametrize("value", ["-0.5", ".nan"])
def test_a_rate_below_zero_or_none_at_all_is_refused(composed: dict[str, Any], key: str, value: str) -> None:
    assert "must be at least 0" in refusal(composed, f"optimization.{key}={value}")
    parsed(composed, f"optimization.{key}=0")


@pytest.mark.parametrize("value", ["-0.5", ".nan", "0", ".inf"])
def test_clipping_to_nothing_or_to_no_norm_is_refused(composed: dict[str, Any], value: str) -> None:
    assert "optimization.clip=" in refusal(composed, f"optimization.clip={value}")


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("resume", ["auto", "never"]),
        ("selection", ["source_dev"]),
        ("objective", ["source_dev", "mean_dev", "worst_dev", "target_dev"]),
        ("optimization.schedule", ["linear", "constant"]),
        ("trainer.precision", ["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"]),
    ],
)
def test_a_choice_takes_each_of_its_values_and_no_other(composed: dict[str, Any], key: str, allowed: list[str]) -> None:
    for value in allowed:
        parsed(composed, f"{key}={value}")
    assert refusal(composed, f"{key}=other") == f"{key}=other: must be one of {', '.join(allowed)}"


def test_only_an_evaluation_leaves_the_precision_open(composed: dict[str, Any]) -> None:
    assert refusal(composed, "trainer.precision=null").startswith("trainer.precision=null: must be one of 32-true")
    with initialize_config_dir(config_dir=str(CONF)):
        assert checked(compose("evaluate"), EvaluateConfig).trainer.precision is None


@pytest.mark.parametrize("every", ["epoch", "1", "250"])
def test_validation_comes_every_epoch_or_every_so_many_steps(composed: dict[str, Any], every: str) -> None:
    assert parsed(composed, f"validation.every={every}").validation.every == every


@pytest.mark.parametrize("every", ["0", "-1", "0.5", "epochs", "''", "1e3", "²"])
def test_validation_comes_at_no_other_time(composed: dict[str, Any], every: str) -> None:
    assert "must be 'epoch' or a number of optimizer steps" in refusal(composed, f"validation.every={every}")


@pytest.mark.parametrize("name", ["a", "xnli-mini", "sweep/1", "a.b_c=d,e+f/1", "0"])
def test_a_name_may_be_a_path_below_outputs(composed: dict[str, Any], name: str) -> None:
    assert parsed(composed | {"name": name}).name == name


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../x", "..", "/tmp/x", "", ".", "./x", "a//b", "a/", "~/x", "a b", "a\n", "a\\b", "C:\\x", "-a", "ä"],
)
def test_a_name_that_leads_elsewhere_is_refused(composed: dict[str, Any], name: str) -> None:
    assert refusal(composed | {"name": name}).startswith(f"name={name!r}: must be a path below outputs/")


@pytest.mark.parametrize(
    ("value", "told"), [("0", "at least"), ("-0.5", "at least"), (".nan", "at least"), ("1.1", "at most 1")]
)
def test_layer_decay_is_a_share_of_the_rate_above(composed: dict[str, Any], value: str, told: str) -> None:
    assert f"must be {told}" in refusal(composed, f"optimization.layer_decay={value}")
    assert parsed(composed, "optimization.layer_decay=0.8").optimization.layer_decay == 0.8
    parsed(composed, "optimization.layer_decay=1.0")


@pytest.mark.parametrize(("value", "told"), [("-0.1", "at least 0"), ("0.95", "at most 0.9"), ("nan", "at least 0")])
def test_dropout_of_embeddings_is_a_share_that_leaves_some(composed: dict[str, Any], value: str, told: str) -> None:
    assert f"must be {told}" in refusal(composed, f"encoder.embedding_dropout={value}")
    assert parsed(composed, "encoder.embedding_dropout=null").encoder.embedding_dropout is None
    parsed(composed, "encoder.embedding_dropout=0.9")


OTHER_RUN = {
    "seed": "2",
    "name": "other",
    "objective": "mean_dev",
    "objective_languages": "[de]",
    "data.folder": "elsewhere",
    "data.train_languages": "[de]",
    "data.max_length": "64",
    "data.limit.train": "5",
    "encoder.path": "elsewhere",
    "encoder.overrides.num_hidden_layers": "2",
    "encoder.gradient_checkpointing": "true",
    "encoder.freeze_embeddings": "false",
    "encoder.freeze_layers": "1",
    "encoder.embedding_dropout": "0.1",
    "optimization.layer_decay": "0.9",
    "optimization.learning_rate": "0.5",
    "optimization.batch_size": "8",
    "validation.every": "7",
    "checkpoint.keep": "2",
    "trainer.precision": "bf16-mixed",
}
SAME_RUN = {
    "resume": "never",
    "data.languages": "[en, sw]",
    "trainer.accelerator": "cpu",
    "trainer.devices": "2",
    "trainer.num_nodes": "2",
    "trainer.strategy": "ddp",
    "trainer.tokens_per_device": "77",
    "logger.every": "3",
    "logger.tensorboard": "false",
}


@pytest.mark.parametrize(("key", "value"), OTHER_RUN.items())
def test_what_changes_the_numbers_makes_another_run(composed: dict[str, Any], key: str, value: str) -> None:
    told = differences(composed, changed(composed, f"{key}={value}"))

    assert len(told) == 1
    assert told[0].startswith(f"{key}: ")
    assert " -> " in told[0]


@pytest.mark.parametrize(("key", "value"), SAME_RUN.items())
def test_devices_logging_and_evaluated_languages_leave_the_run_the_same(
    composed: dict[str, Any], key: str, value: str
) -> None:
    other = changed(composed, f"{key}={value}")

    assert other != composed
    assert differences(composed, other) == []


def test_differences_tell_old_and_new_in_order_of_keys(composed: dict[str, Any]) -> None:
    assert differences(composed, changed(composed, "seed=9", "data.max_length=64")) == [
        "data.max_length: 128 -> 64",
        "seed: 1 -> 9",
    ]
    assert differences(composed, without(composed, "seed")) == ["seed: 1 -> absent"]


def test_what_is_saved_is_loaded_again(composed: dict[str, Any], tmp_path: Path) -> None:
    config = parsed(composed, "data.folder=dätä", "encoder.overrides.hidden_size=8", "optimization.clip=null")
    save(config, tmp_path / "config.yaml")

    assert load(tmp_path / "config.yaml", TrainConfig) == config
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))["version"] == VERSION


ADDED_IN_VERSION_2 = {
    "objective": None,
    "objective_languages": None,
    "data.train_split": "train",
    "data.revision": None,
    "data.regime": "zero_shot",
    "data.few_shot": FewShot(k=10, languages=None),
    "data.sampling_exponent": None,
    "encoder.revision": None,
    "encoder.vocabulary": "full",
    "encoder.gradient_checkpointing": False,
    "encoder.freeze_embeddings": False,
    "encoder.freeze_layers": 0,
    "encoder.embedding_dropout": None,
    "optimization.layer_decay": 1.0,
    "validation.chance_patience": None,
    "validation.at_chance": "warn",
    "checkpoint.compare": False,
    "checkpoint.average": None,
    "trainer.attention": "auto",
    "trainer.compile": False,
    "trainer.workers": None,
}


def test_a_configuration_of_an_older_version_stays_readable() -> None:
    """The file is one that version 1 wrote."""
    upgraded = load(Path(__file__).with_name("configs") / "version-1.yaml", TrainConfig)

    assert (upgraded.name, upgraded.data.languages, upgraded.optimization.epochs) == ("xnli-xlmr_base", ["en", "sw"], 5)
    for key, meaning in ADDED_IN_VERSION_2.items():
        assert attrgetter(key)(upgraded) == meaning


def test_text_of_an_older_version_is_the_same_run_without_the_keys_of_labelled_data(tmp_path: Path) -> None:
    """The file is one that version 2 wrote."""
    older = Path(__file__).with_name("configs") / "version-2-text.yaml"
    upgraded = load(older, TrainConfig)
    options = ("folder=sample", "train_languages=[de,en-de]", "languages=[de,en-de]", "max_length=48", "held_out=100",
               "reset_positions=true", "limit.validation=24")  # fmt: skip
    with initialize_config_dir(config_dir=str(CONF)):
        today = checked(compose("train", ["data=text", *(f"data.{option}" for option in options)]), TrainConfig)

    assert "regime: zero_shot" in older.read_text(), "or the test shows nothing"
    assert isinstance(upgraded.data, TextConfig)
    assert differences(asdict(upgraded), asdict(replace(upgraded, data=today.data))) == []
    save(upgraded, tmp_path / "config.yaml")
    assert load(tmp_path / "config.yaml", TrainConfig) == upgraded
    # From version 3 on they are as unknown there as any other key.
    (tmp_path / "config.yaml").write_text(older.read_text().replace("version: 2", f"version: {VERSION}"))
    with pytest.raises(UserError, match=r"data\.revision: .*TextConfig"):
        load(tmp_path / "config.yaml", TrainConfig)


def test_an_evaluation_of_an_older_version_gets_no_keys_of_a_run(tmp_path: Path) -> None:
    with initialize_config_dir(config_dir=str(CONF)):
        config = checked(compose("evaluate", ["model=x", "data=xnli"]), EvaluateConfig)
    save(config, tmp_path / "evaluation.yaml")
    older = (tmp_path / "evaluation.yaml").read_text().replace(f"version: {VERSION}", "version: 1")
    (tmp_path / "evaluation.yaml").write_text(older)

    assert load(tmp_path / "evaluation.yaml", EvaluateConfig).model == "x"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version: 99\nname: x\n", "version 99; this babelfit reads versions 1 to 3"),
        (b"name: x\n", "has no version"),
        (b"", "has no version"),
        (b"- 1\n", "has no version"),
        (b"a: [\n", "is not readable as YAML"),
        (b"\xff\xfe\x00", "is not readable as YAML"),
        (b"a: !!python/object/apply:os.getcwd []\n", "is not readable as YAML"),
        (b"version: 1\nname: x\n", "no value for "),
        (b"version: 1\nnames: x\n", "names: "),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)

    with pytest.raises(UserError) as caught:
        load(path, TrainConfig)
    assert told in str(caught.value)


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.yaml"):
        load(tmp_path / "gone.yaml", TrainConfig)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": "one"}, "seed: Value 'one'"),
        ({"data": None}, "data: "),
        ({"data": {"name": ["xnli"]}}, ""),
        ({"optimization": {"batch_size": -1}}, "no value for"),
        ({"resume": "perhaps"}, "resume=perhaps: must be one of auto, never"),
        ({"trainer": {"precision": {"a": [1]}}}, "trainer"),
        ({"encoder": [1]}, "list is not a subclass of EncoderConfig"),
    ],
)
def test_a_runs_configuration_that_no_run_writes_is_named(
    composed: dict[str, Any], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    path = tmp_path / "config.yaml"
    save(parsed(composed), path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))

    with pytest.raises(UserError, match=r"is not as a run writes it .* put back what stood there") as error:
        load(path, TrainConfig)
    assert str(error.value).startswith(f"{path} ")
    assert told in str(error.value)


@pytest.mark.parametrize("line", ["a: 2024-01-15", "a: !!set {x}", "null: 1", "1: 2", "a: {b: {null: 1}}"])
def test_a_runs_configuration_is_words_and_numbers(composed: dict[str, Any], tmp_path: Path, line: str) -> None:
    path = tmp_path / "config.yaml"
    save(parsed(composed), path)
    with path.open("a") as file:
        file.write(f"{line}\n")

    with pytest.raises(UserError, match=r"config\.yaml holds .* put it in quotes"):
        load(path, TrainConfig)


@pytest.mark.parametrize("key", ["data.languages", "data.train_languages", "data.few_shot.languages"])
@pytest.mark.parametrize("language", ["../en", "ca@valencia", "\x1b[2J", "a b", "<b>"])
def test_a_language_that_could_name_no_file_is_refused(composed: dict[str, Any], key: str, language: str) -> None:
    values = changed(composed)
    place = values["data"]["few_shot"] if "few_shot" in key else values["data"]
    place[key.rpartition(".")[2]] = ["zh-TW", "eng_Latn", language]

    with pytest.raises(UserError, match="is not a language code; expected letters, digits, '-' and '_'") as error:
        checked(OmegaConf.create(values), TrainConfig)
    assert str(error.value).startswith(f"{key}: {language!r}")
