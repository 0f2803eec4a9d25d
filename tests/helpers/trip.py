"""A training of a tiny dataset, from configuration to report, in the current folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import RANDOM

from babelfit import training
from babelfit.commands.compose import compose_config
from babelfit.config.schema import TrainConfig, checked
from babelfit.predictions import prediction_files
from babelfit.run.run import Run
from babelfit.run.run_facts import task_of
from babelfit.tasks import Task

ENCODER = "num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64"
NO_DROPOUT = "hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0, classifier_dropout: 0.0"
SETTINGS = (
    *RANDOM,
    f"encoder.overrides={{{ENCODER}}}",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.tokens_per_device=512",
    "data.train_languages=[en]",
    "data.languages=[en,de]",
    "data.max_length=32",
    "optimization.batch_size=8",
    "optimization.learning_rate=3e-3",
    "optimization.epochs=8",
    "validation.every=4",
    "validation.chance_patience=null",
    "logger.every=1",
    "logger.tensorboard=false",
)
EXACT = (f"encoder.overrides={{{ENCODER}, {NO_DROPOUT}}}",)


@dataclass(frozen=True)
class Trip:
    """One task's data in a folder, and the run that most tests look at."""

    name: str
    overrides: tuple[str, ...]
    folder: Path

    def config(self, *overrides: str) -> TrainConfig:
        return checked(compose_config("train", [*self.overrides, *SETTINGS, *overrides]), TrainConfig)

    def train(self, name: str, *overrides: str) -> Path:
        training.fit(self.config(f"name={name}", *overrides))
        return Path("outputs", name)

    @property
    def run(self) -> Path:
        return Path("outputs", "whole")

    @property
    def task(self) -> Task:
        return task_of(Run(self.run))

    def records(self, run: Path, language: str) -> list[Any]:
        return prediction_files.read(prediction_files.path(run, split="test", language=language), task_of(Run(run)))
