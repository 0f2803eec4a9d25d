"""From the configuration of data to the DataModule that it names, and which split of it is scored. Reads no rows."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from transformers import PreTrainedTokenizerFast

from babelfit.config.schema import DataConfig
from babelfit.data import MultilingualDataModule
from babelfit.datasets import DATASETS
from babelfit.errors import UserError

log = logging.getLogger(__name__)


def build_data(
    chosen: DataConfig,
    *,
    head: str,
    languages: Sequence[str] | None,
    tokenizer: PreTrainedTokenizerFast,
    tokens_per_device: int,
    batch_size: int = 1,
    seed: int = 0,
    num_workers: int = 0,
    pin_memory: bool = False,
    vocabulary: str = "full",
) -> MultilingualDataModule:
    """Build the DataModule that a configuration names; raise UserError for an unknown one or another head."""
    settings = asdict(chosen) | {"languages": languages}
    name = settings.pop("name")
    if name not in DATASETS:
        raise UserError(f"data.name={name}: must be one of {', '.join(DATASETS)}")
    own = DATASETS[name].dataset.task.head
    if head != own:
        raise UserError(f"head={head}: {name} needs head={own}, which data={name} chooses by itself")
    return DATASETS[name](
        **settings,
        tokenizer=tokenizer,
        tokens_per_device=tokens_per_device,
        batch_size=batch_size,
        seed=seed,
        num_workers=num_workers,
        pin_memory=pin_memory,
        vocabulary=vocabulary,
    )


def chosen_split(data: MultilingualDataModule) -> str:
    """Return test where every evaluated language has it with labels, else validation, with a line in the log."""
    if data.has("test"):
        return "test"
    log.info("scoring validation: not every language has a test split with labels")
    return "validation"
