"""Fifty steps on real WikiANN rows, some in windows, give the losses and weights of a plain loop on padded batches."""

import copy
from pathlib import Path

import pytest
import torch
from stepping import losses_of
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    get_linear_schedule_with_warmup,
)

from babelfit.batches.steps import epoch_order
from babelfit.datasets import WikiANN
from babelfit.encoder.loading import load_tokenizer
from babelfit.finetuning.recipe import Recipe

STEPS = 50
BATCH_SIZE = 16  # sentences
MAX_LENGTH = 24
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
SEED = 3
RECIPE = Recipe(
    seed=SEED, total_steps=STEPS, learning_rate=1e-4, warmup=10, weight_decay=0.1, schedule="linear", clip=0.1
)

Labelled = tuple[list[int], list[int]]
"""A window's ids and its labels."""


@pytest.fixture(scope="module")
def data(shared: Path) -> WikiANN:
    return WikiANN(
        folder=str(shared / "xtreme"),
        revision=None,
        train_languages=["en"],
        languages=["en"],
        max_length=MAX_LENGTH,
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
        num_labels=len(data.task.labels),
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(SEED)
    return AutoModelForTokenClassification.from_config(config)


def sentences(path: Path) -> list[tuple[list[str], list[int]]]:
    """Read as many sentences as are trained on: words, and the numbers of their tags."""
    blocks = path.read_text(encoding="utf-8").split("\n\n")[: STEPS * BATCH_SIZE]
    pairs = [[line.split("\t") for line in block.splitlines()] for block in blocks]
    return [([word for word, _ in one], [TAGS.index(tag) for _, tag in one]) for one in pairs]


def windows(words: list[str], tags: list[int], *, tokenizer: PreTrainedTokenizerFast) -> list[Labelled]:
    """Cut a sentence where the next word would not fit; the label stands at a word's first subword, else -100."""
    encoding = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    room = MAX_LENGTH - 2
    cut: list[Labelled] = [([], [])]
    for number, tag in enumerate(tags):
        subwords = [one for one, word in zip(encoding["input_ids"], encoding.word_ids(), strict=True) if word == number]
        subwords = subwords[:room] or [tokenizer.unk_token_id]
        if len(cut[-1][0]) + len(subwords) > room:
            cut.append(([], []))
        cut[-1][0].extend(subwords)
        cut[-1][1].extend([tag, *[-100] * (len(subwords) - 1)])
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    return [([begin, *ids, end], [-100, *labels, -100]) for ids, labels in cut]


def padded(step: list[Labelled], *, padding: int) -> dict[str, torch.Tensor]:
    """Lay out each window as a row of its own."""
    input_ids = pad_sequence([torch.tensor(ids) for ids, _ in step], batch_first=True, padding_value=padding)
    labels = pad_sequence([torch.tensor(labels) for _, labels in step], batch_first=True, padding_value=-100)
    return {"input_ids": input_ids, "attention_mask": (input_ids != padding).long(), "labels": labels}


def plain_loop(
    model: PreTrainedModel, examples: list[list[Labelled]], *, padding: int
) -> tuple[list[float], list[float]]:
    """Train; return each step's loss and gradient norm before clipping."""
    model.train()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": RECIPE.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE.learning_rate)
    schedule = get_linear_schedule_with_warmup(optimizer, int(RECIPE.warmup), STEPS)
    order = epoch_order(len(examples), seed=SEED, epoch=0)
    losses, norms = [], []
    for step in range(STEPS):
        chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        batch = padded([window for number in chosen for window in examples[number]], padding=padding)
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


def test_the_same_losses_and_the_same_weights(model: PreTrainedModel, data: WikiANN, shared: Path) -> None:
    # Nothing of this comes from the DataModule.
    tokenizer = AutoTokenizer.from_pretrained(shared / "xlmr_base")
    read = sentences(shared / "xtreme" / "panx" / "train-en.tsv")
    examples = [windows(words, tags, tokenizer=tokenizer) for words, tags in read]
    other = copy.deepcopy(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    our_losses = losses_of(model, data, head="token_classification", recipe=RECIPE)
    their_losses, norms = plain_loop(other, examples, padding=tokenizer.pad_token_id)

    assert len(our_losses) == STEPS
    assert our_losses == pytest.approx(their_losses, abs=1e-5)
    expected = other.state_dict()
    largest = max(float((value - expected[name]).abs().max()) for name, value in model.state_dict().items())
    assert largest < 1e-5
    assert len(examples) == STEPS * BATCH_SIZE
    assert max(map(len, examples)) > 1, "some sentences must be split, or that is not compared"
    assert min(norms) > (RECIPE.clip or 0), "clipping must bite, or it is not compared"
    moved = max(float((value - start[name]).abs().max()) for name, value in model.state_dict().items())
    assert moved > 1e-3, "the comparison is empty where nothing was learned"
