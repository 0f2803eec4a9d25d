"""Fifty steps on real WikiANN rows, some in windows, give the losses and weights of a plain loop on padded batches."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedModel, get_linear_schedule_with_warmup

from babelfit.data import WikiANN
from babelfit.data.steps import epoch_order
from babelfit.finetuner import Recipe
from babelfit.loading import load_tokenizer
from stepping import losses_of

STEPS = 50
BATCH_SIZE = 16  # sentences
SEED = 3
RECIPE = Recipe(
    seed=SEED, total_steps=STEPS, learning_rate=1e-4, warmup=10, weight_decay=0.1, schedule="linear", clip=0.1
)


@pytest.fixture(scope="module")
def data(shared: Path) -> WikiANN:
    return WikiANN(
        folder=str(shared / "xtreme"),
        revision=None,
        train_languages=["en"],
        languages=["en"],
        max_length=24,
        train_split="train",
        limit={"train": STEPS * BATCH_SIZE, "validation": None, "test": None},
        tokenizer=load_tokenizer(str(shared / "xlmr_base")),
        batch_size=BATCH_SIZE,
        tokens_per_device=400,
        seed=SEED,
    )


@pytest.fixture
def model(shared: Path, data: WikiANN) -> PreTrainedModel:
    """XLM-R with its whole vocabulary, else small, without dropout."""
    config = AutoConfig.from_pretrained(
        shared / "xlmr_base",
        num_labels=len(data.label_names),
        num_hidden_layers=2,
        hidden_size=64,
        num_attention_heads=4,
        intermediate_size=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(SEED)
    return AutoModelForTokenClassification.from_config(config)


def padded(rows: list[dict[str, Any]], *, padding: int) -> dict[str, torch.Tensor]:
    """Lay out each window as a row of its own; labels stand at the words' first subwords, -100 elsewhere."""
    ids, labels = [], []
    for row in rows:
        of_tokens = torch.full((len(row["input_ids"]),), -100)
        of_tokens[row["targets"]] = torch.tensor(row["labels"])
        ids += torch.tensor(row["input_ids"]).split(row["windows"])
        labels += of_tokens.split(row["windows"])
    input_ids = pad_sequence(ids, batch_first=True, padding_value=padding)
    return {
        "input_ids": input_ids,
        "attention_mask": (input_ids != padding).long(),
        "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
    }


def plain_loop(model: PreTrainedModel, data: WikiANN) -> tuple[list[float], list[float]]:
    """Train; return each step's loss and gradient norm before clipping."""
    model.train()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": RECIPE.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, int(RECIPE.warmup), STEPS)
    dataset = data.open("train", "en")
    rows = dataset.select(epoch_order(len(dataset), seed=SEED, epoch=0)).to_list()
    losses, norms = [], []
    for step in range(STEPS):
        batch = padded(rows[step * BATCH_SIZE : (step + 1) * BATCH_SIZE], padding=data.tokenizer.pad_token_id)
        labels = batch.pop("labels")
        # The mean over all labelled words of the step.
        loss = cross_entropy(model(**batch).logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(clip_grad_norm_(model.parameters(), RECIPE.clip or 0)))
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, norms


def test_the_same_losses_and_the_same_weights(model: PreTrainedModel, data: WikiANN) -> None:
    other = copy.deepcopy(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    our_losses = losses_of(model, data, head="token_classification", recipe=RECIPE)
    their_losses, norms = plain_loop(other, data)

    assert len(our_losses) == STEPS
    assert our_losses == pytest.approx(their_losses, abs=1e-5)
    expected = other.state_dict()
    largest = max(float((value - expected[name]).abs().max()) for name, value in model.state_dict().items())
    assert largest < 1e-5
    windows = [len(row) for row in data.open("train", "en")["windows"]]
    assert max(windows) > 1, "some sentences must be split, or that is not compared"
    assert min(norms) > (RECIPE.clip or 0), "clipping must bite, or it is not compared"
    moved = max(float((value - start[name]).abs().max()) for name, value in model.state_dict().items())
    assert moved > 1e-3, "the comparison is empty where nothing was learned"
