"""From a model to predictions, one record per example per language, and from these to scores and report."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from babelfit import predictions, reporting, scoring
from babelfit import config as configuration
from babelfit.config import DataConfig, EvaluateConfig, TrainerConfig
from babelfit.data import DATA, MultilingualDataModule
from babelfit.data.batching import NO_LABEL
from babelfit.encoder import load_fine_tuned, load_tokenizer
from babelfit.errors import UserError
from babelfit.finetuner import Finetuner
from babelfit.heads import HEADS
from babelfit.labels import label_order
from babelfit.run import OUTPUTS, Run
from babelfit.trainer import build_trainer

log = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> None:
    """Score a run's model, or any Hugging Face folder or Hub id with a matching head."""
    if (config.run is None) == (config.model is None):
        raise UserError("give one of run=FOLDER and model=FOLDER_OR_HUB_ID")
    if config.run is not None:
        _evaluate_run(config, run=Run.existing(Path(config.run)))
    else:
        ...
