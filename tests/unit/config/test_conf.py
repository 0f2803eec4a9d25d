"""Every shipped YAML choice composes and passes the check."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException

from babelfit.commands.compose import introduce_to_hydra
from babelfit.config.schema import EvaluateConfig, LabelledConfig, TextConfig, TrainConfig, checked

CONF = Path(__file__).resolve().parents[3] / "conf"
CHOICES = sorted(
    (path.parent.name, path.stem) for path in CONF.glob("*/*.yaml") if path.parent.name not in ("hydra", "head")
)


@pytest.fixture(autouse=True)
def _conf() -> Iterator[None]:
    introduce_to_hydra()
    with initialize_config_dir(config_dir=str(CONF)):
        yield


def train(*arguments: str) -> TrainConfig:
    return checked(compose("train", list(arguments)), TrainConfig)


def test_every_group_is_there() -> None:
    assert {group for group, _ in CHOICES} >= {"data", "encoder", "optimization", "trainer", "logger", "experiment"}


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_every_choice_composes_and_passes_the_check(group: str, choice: str) -> None:
    config = train(f"{group}={choice}")

    if group == "encoder":
        assert config.encoder.name == choice


@pytest.mark.parametrize("choice", [choice for group, choice in CHOICES if group == "data"])
def test_every_dataset_composes_for_an_evaluation(choice: str) -> None:
    config = checked(compose("evaluate", [f"data={choice}", "model=x"]), EvaluateConfig)

    assert config.data is not None
    assert config.data.train_languages == ([] if choice == "text" else ["en"])


def test_what_labelled_datasets_share_is_in_each_of_them_and_no_choice_of_its_own() -> None:
    choices = GlobalHydra.instance().config_loader().get_group_options("data")

    assert choices == ["pawsx", "text", "wikiann", "xnli", "xnli_sample"], "what --help offers"
    for choice in choices:
        config = train(f"data={choice}").data
        assert type(config) is (TextConfig if choice == "text" else LabelledConfig)
        assert choice == "text" or (config.max_length, config.train_languages) == (128, ["en"])
    with pytest.raises(MissingConfigException, match="Could not find 'data/_labelled'"):
        train("data=_labelled")


@pytest.mark.parametrize("choice", [choice for group, choice in CHOICES if group == "trainer"])
def test_every_trainer_composes_for_an_evaluation(choice: str) -> None:
    config = checked(compose("evaluate", [f"trainer={choice}", "run=x"]), EvaluateConfig)

    assert config.trainer.precision is None
    assert config.trainer.devices == (2 if choice in ("ddp", "fsdp") else 1)


def test_slurm_says_how_many_devices_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    config = train("trainer=slurm")

    assert (config.trainer.devices, config.trainer.num_nodes, config.trainer.strategy) == (4, 2, "ddp")


def test_an_evaluation_of_a_run_composes() -> None:
    config = checked(compose("evaluate", ["run=outputs/x", "split=test", "languages=[de,sw]"]), EvaluateConfig)

    assert config.data is None
    assert config.languages == ["de", "sw"]


def test_the_default_is_the_sample_on_the_small_encoder() -> None:
    config = train()

    assert (config.name, config.data.folder, config.encoder.name) == ("xnli-mini", "sample", "mini")


@pytest.mark.parametrize(
    ("encoder", "learning_rate", "warmup"),
    [
        ("mini", 1e-3, 0.1),
        ("mini_random", 1e-3, 0.1),
        *((encoder, 2e-5, 0) for encoder in ("xlmr_base", "xlmr_large", "xlmr_xl", "xlmr_xxl", "mbert", "mdeberta")),
    ],
)
def test_an_encoder_picks_its_optimization_by_itself(encoder: str, learning_rate: float, warmup: float) -> None:
    config = train(f"encoder={encoder}")

    assert config.optimization.learning_rate == learning_rate
    assert config.optimization.warmup == warmup
    assert config.encoder.pretrained == (encoder != "mini_random")
    assert config.name == f"xnli-{encoder}"


def test_random_weights_take_the_bundled_architecture_and_all_of_it_learns() -> None:
    config = train("encoder=mini_random").encoder

    assert (config.path, config.freeze_embeddings, config.embedding_dropout) == ("mini", False, None)


@pytest.mark.parametrize("encoder", ["xlmr_xl", "xlmr_xxl"])
def test_the_largest_encoders_save_memory(encoder: str) -> None:
    config = train(f"encoder={encoder}").encoder

    assert (config.gradient_checkpointing, config.freeze_embeddings, config.freeze_layers) == (True, True, 0)
    assert not train("encoder=xlmr_large").encoder.freeze_embeddings


def test_a_value_on_the_command_line_wins_over_the_encoders_optimization() -> None:
    config = train("encoder=xlmr_base", "optimization.learning_rate=1e-5")

    assert config.optimization.learning_rate == 1e-5


def test_the_experiment_is_the_recipe_its_header_names() -> None:
    config = train("experiment=xnli_zero_shot")

    assert (config.data.folder, config.data.train_languages, config.encoder.name) == (None, ["en"], "xlmr_base")
    assert (config.optimization.learning_rate, config.optimization.epochs) == (2e-5, 5)
    assert config.trainer.precision == "bf16-mixed"


@pytest.mark.parametrize("encoder", ["mini", "xlmr_base"])
@pytest.mark.parametrize(
    "override",
    ["encoder.overrides.num_hidden_layers=2", "encoder.overrides={num_hidden_layers: 2}"],
)
def test_overrides_take_fields_of_the_encoders_config_in_both_spellings(encoder: str, override: str) -> None:
    assert train(f"encoder={encoder}", override).encoder.overrides == {"num_hidden_layers": 2}


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_what_comes_from_the_hub_has_a_pinned_commit(group: str, choice: str) -> None:
    config = train(f"{group}={choice}")

    if config.data.folder is None:
        assert re.fullmatch("[0-9a-f]{40}", str(config.data.revision))
    # The commit of XLM-R XXL could not be looked up yet; the bundled encoder has none.
    if config.encoder.path != "mini" and choice != "xlmr_xxl":
        assert re.fullmatch("[0-9a-f]{40}", str(config.encoder.revision))


def test_no_file_names_an_object_to_build() -> None:
    for path in CONF.rglob("*.yaml"):
        assert "_target_" not in path.read_text(encoding="utf-8"), path
