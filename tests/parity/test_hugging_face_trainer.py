"""Fifty steps on real XNLI rows give the losses and the weights that the Hugging Face Trainer gives."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from stepping import losses_of
from torch.utils.data import SequentialSampler
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    TrainingArguments,
)
from transformers import Trainer as HuggingFaceTrainer

from babelfit.batches.steps import epoch_order
from babelfit.datasets import XNLI
from babelfit.encoder.loading import load_tokenizer
from babelfit.finetuning.recipe import Recipe

STEPS = 50
BATCH_SIZE = 32
SEED = 3
RECIPE = Recipe(
    seed=SEED, total_steps=STEPS, learning_rate=1e-4, warmup=10, weight_decay=0.1, schedule="linear", clip=0.01
)


@pytest.fixture(scope="module")
def data(shared: Path) -> XNLI:
    return XNLI(
        revision=None,
        folder=str(shared / "xtreme"),
        train_languages=["en"],
        languages=["en"],
        max_length=128,
        train_split="train",
        limit={"train": STEPS * BATCH_SIZE, "validation": None, "test": None},
        tokenizer=load_tokenizer(str(shared / "xlmr_base")),
        batch_size=BATCH_SIZE,
        tokens_per_device=2048,
        seed=SEED,
    )


@pytest.fixture
def model(shared: Path) -> PreTrainedModel:
    """XLM-R with its whole vocabulary, else small, without dropout."""
    config = AutoConfig.from_pretrained(
        shared / "xlmr_base",
        num_labels=3,
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(SEED)
    return AutoModelForSequenceClassification.from_config(config)


def theirs(model: PreTrainedModel, data: XNLI, folder: Path) -> tuple[list[float], list[float]]:
    """Train with the Trainer; return each step's loss and gradient norm before clipping."""
    losses: list[float] = []
    norms: list[float] = []

    class InOrder(HuggingFaceTrainer):
        def _get_train_sampler(self, *_: Any) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

        def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
            loss = super().training_step(*arguments, **options)
            losses.append(loss.item())
            gradients = [value.grad for value in model.parameters() if value.grad is not None]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))
            return loss

    dataset = data.open("train", "en")
    rows = dataset.select(epoch_order(len(dataset), seed=SEED, epoch=0)).select_columns(["input_ids", "gold"])
    rows = rows.map(lambda row: {"labels": row["gold"][0]}, remove_columns="gold")
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH_SIZE,
        max_steps=STEPS,
        learning_rate=RECIPE.learning_rate,
        warmup_steps=RECIPE.warmup,
        weight_decay=RECIPE.weight_decay,
        lr_scheduler_type="linear",
        max_grad_norm=RECIPE.clip,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    collator = DataCollatorWithPadding(data.tokenizer)
    InOrder(model=model, args=arguments, train_dataset=rows, data_collator=collator).train()
    return losses, norms


def test_the_same_losses_and_the_same_weights(model: PreTrainedModel, data: XNLI, tmp_path: Path) -> None:
    other = copy.deepcopy(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    our_losses = losses_of(model, data, head="sequence_classification", recipe=RECIPE)
    their_losses, norms = theirs(other, data, tmp_path)

    assert len(our_losses) == STEPS
    assert our_losses == pytest.approx(their_losses, abs=1e-5)
    expected = other.state_dict()
    largest = max(float((value - expected[name]).abs().max()) for name, value in model.state_dict().items())
    assert largest < 1e-5
    moved = max(float((value - start[name]).abs().max()) for name, value in model.state_dict().items())
    assert min(norms) > (RECIPE.clip or 0), "clipping must bite, or it is not compared"
    assert moved > 1e-3, "the comparison is empty where nothing was learned"
