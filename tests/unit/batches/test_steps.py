"""Steps of one's own text: languages by their share, masked, pairs counted from 0 again, the same after a resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from babelfit.commands.compose import introduce_to_hydra
from babelfit.config.config_files import load, save
from babelfit.config.schema import TextConfig, TrainConfig, checked
from babelfit.data import Text
from babelfit.datasets.building import build_data
from babelfit.encoder.loading import MINI, load_tokenizer
from babelfit.errors import UserError

CONF = Path(__file__).resolve().parents[3] / "conf"
NAMES = ["Amina", "Boris", "Chen", "Dalia", "Emre", "Fatima", "Goran", "Hana"]
PLACES = ["market", "river", "house", "school", "garden"]
ENGLISH = [f"{name} walks to the {place}" for name in NAMES for place in PLACES]
SWAHILI = [f"{name} anaenda {place}" for name in NAMES for place in PLACES]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty sentences of English, eight of Swahili and twenty pairs."""
    (tmp_path / "en.txt").write_text("\n".join(ENGLISH))
    (tmp_path / "sw.txt").write_text("\n".join(SWAHILI[:8]))
    (tmp_path / "en-sw.tsv").write_text("".join(f"{ENGLISH[row]}\t{SWAHILI[row]}\n" for row in range(20)))
    return tmp_path


def composed(*overrides: str) -> TrainConfig:
    introduce_to_hydra()
    with initialize_config_dir(config_dir=str(CONF)):
        return checked(compose("train", ["data=text", *overrides]), TrainConfig)


def text(folder: Path, *overrides: str, **options: str) -> Any:
    config = composed(f"data.folder='{folder}'", "data.max_length=24", *overrides)
    return build_data(
        config.data,
        head=config.head.name,
        languages=config.data.languages,
        tokenizer=load_tokenizer(MINI),
        tokens_per_device=64,
        batch_size=8,
        seed=1,
        **options,
    )


def test_a_configuration_of_text_is_written_and_read_back(folder: Path) -> None:
    config = composed(f"data.folder='{folder}'", "data.files='{language}.txt'", "data.held_out=0.2")
    save(config, folder / "config.yaml")

    assert config.head.name == "masked_language_modeling"
    assert isinstance(config.data, TextConfig)
    assert load(folder / "config.yaml", TrainConfig) == config


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.held_out=0", r"data.held_out=0.0: must be at least"),
        ("data.mask_share=0", r"data.mask_share=0.0: must be at least"),
        ("data.mask_share=1.5", r"data.mask_share=1.5: must be at most 1"),
        ("data.undecodable=ignore", r"data.undecodable=ignore: must be one of refuse, skip"),
        ("+data.file=x", r"data.file: .*"),
        ("data.columns.text=null", r"data.columns.text: .*"),
    ],
)
def test_a_wrong_setting_is_told_by_its_full_key(override: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        composed(override)


def test_keys_of_text_are_none_of_other_data() -> None:
    introduce_to_hydra()
    with initialize_config_dir(config_dir=str(CONF)), pytest.raises(UserError, match=r"data.held_out"):
        checked(compose("train", ["+data.held_out=3"]), TrainConfig)


@pytest.mark.parametrize("key", ["revision", "train_split", "regime", "few_shot"])
def test_keys_of_labelled_data_are_none_of_text(key: str) -> None:
    assert not hasattr(composed().data, key)
    with pytest.raises(UserError, match=f"^data.{key}: "):
        composed(f"+data.{key}=null")


def test_an_epoch_takes_languages_and_pairs_by_their_share(folder: Path) -> None:
    data = text(folder)
    sizes = data.trained_sizes
    steps = data.training_steps()
    borders = np.cumsum(list(sizes.values()))
    order = np.concatenate([steps._order(epoch) for epoch in range(10)])
    taken = np.bincount(np.searchsorted(borders, order, side="right"), minlength=3) / 10
    shares = np.array(list(sizes.values())) ** 0.3

    assert list(sizes) == ["en", "sw", "en-sw"]
    assert np.allclose(taken, sum(sizes.values()) * shares / shares.sum(), atol=1)


def test_a_step_follows_from_seed_epoch_and_number_alone(folder: Path) -> None:
    before, after = text(folder).training_steps()[1, 2], text(folder).training_steps()[1, 2]

    assert before.weight == after.weight > 0
    for one, other in zip(before.micro_batches, after.micro_batches, strict=True):
        assert np.array_equal(one.input_ids, other.input_ids)
        assert np.array_equal(one.targets, other.targets)


@pytest.mark.parametrize("is_reset", [True, False])
def test_the_second_sentence_of_a_pair_may_be_counted_from_0(folder: Path, is_reset: bool) -> None:
    data: Text = text(folder, f"data.reset_positions={is_reset}", "data.train_languages=[en-sw]")
    example = data.open("train", "en-sw")[0]
    positions = list(data._examples("train", ["en-sw"]).ragged([0]).position_ids)
    length, second = len(example["input_ids"]), example["second"]

    assert positions == ([*range(second), *range(length - second)] if is_reset else [*range(length)])


def test_tokens_are_replaced_by_what_is_read_where_the_vocabulary_is_active(folder: Path) -> None:
    options = ("data.train_languages=[en]", "data.languages=[en,sw]")
    tokenizer = load_tokenizer(MINI)
    own, special = set(tokenizer.get_vocab().values()), set(tokenizer.all_special_ids)
    data = text(folder, *options, vocabulary="active")
    rows = [*data.open("train", "en")["input_ids"], *data.open("validation", "en")["input_ids"]]
    read = {number for row in rows for number in row}

    assert set(data.masking.others.tolist()) == read - special < own - special
    assert set(text(folder, *options).masking.others.tolist()) == own - special
    # Complete when it is built: what comes after changes nothing.
    before = data.masking.others
    data.token_ids()
    assert data.masking.others is before


def test_a_tokenizer_without_a_mask_token_is_refused_before_anything_is_read(folder: Path) -> None:
    config = composed(f"data.folder='{folder}'")
    tokenizer = load_tokenizer(MINI)
    tokenizer.mask_token = None
    with pytest.raises(UserError, match="has no mask token"):
        build_data(config.data, head=config.head.name, languages=None, tokenizer=tokenizer, tokens_per_device=256)


def test_a_step_says_of_which_files_it_is(folder: Path) -> None:
    data = text(folder)
    told = " ".join(data.rows_of_step(step + 1) for step in range(data.steps_per_epoch))

    assert str(folder / "en.txt") in told
    assert str(folder / "en-sw.tsv") in told
