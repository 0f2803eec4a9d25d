"""Steps of micro-batches under mixed precision equal a plain loop, clipping and gradient scaling included."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.plugins import MixedPrecision
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, PreTrainedModel, XLMRobertaConfig

from babelfit.batches.ragged import RaggedBatch, StepBatch
from babelfit.encoder import attention
from babelfit.encoder.encoder import encode
from babelfit.finetuning.finetuner import Finetuner
from babelfit.finetuning.recipe import Recipe
from babelfit.heads import HEADS
from babelfit.heads.classification import summed_loss
from babelfit.tasks import of_head

STEPS = 4
RECIPE = Recipe(
    seed=0, total_steps=STEPS, learning_rate=1e-3, warmup=0, weight_decay=0.1, schedule="constant", clip=0.1
)


def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        type_vocab_size=1,
        num_labels=3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    made = AutoModelForSequenceClassification.from_config(config)
    made.set_attn_implementation(attention.name("auto"))
    return made


def batch(lengths: list[int], seed: int) -> RaggedBatch:
    generator = np.random.default_rng(seed)
    borders = np.cumsum([0, *lengths])
    return RaggedBatch(
        input_ids=generator.integers(5, 50, borders[-1]),
        token_type_ids=np.zeros(borders[-1], dtype=np.int64),
        position_ids=np.concatenate([np.arange(length) for length in lengths]),
        cu_seqlens=borders,
        targets=borders[:-1],
        gold=generator.integers(0, 3, len(lengths)),
        indices=np.arange(len(lengths)),
        languages=np.zeros(len(lengths), dtype=np.int64),
        lengths=np.array(lengths),
    )


def steps() -> list[StepBatch]:
    return [
        StepBatch(micro_batches=(batch([9, 4], seed), batch([3], seed + 50), batch([2, 2, 1], seed + 99)), weight=6)
        for seed in range(STEPS)
    ]


def plain_loop(trained: PreTrainedModel, dtype: torch.dtype, scaler: torch.amp.GradScaler | None) -> list[float]:
    trained.train()
    groups = [
        {"params": [p for p in trained.parameters() if p.ndim >= 2], "weight_decay": RECIPE.weight_decay},
        {"params": [p for p in trained.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RECIPE.learning_rate)
    norms = []
    for step in steps():
        optimizer.zero_grad()
        for micro_batch in step.to("cpu").micro_batches:
            with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                states = encode(trained, micro_batch)[micro_batch.targets]
                logits = HEADS["sequence_classification"].logits(trained, states)
                loss = summed_loss(logits, micro_batch.gold) / step.weight
            (loss if scaler is None else scaler.scale(loss)).backward()
        if scaler is not None:
            scaler.unscale_(optimizer)
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained.parameters(), RECIPE.clip or 0)))
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
    return norms


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16)],
)
def test_mixed_precision_equals_a_plain_loop(precision: str, dtype: torch.dtype) -> None:
    ours, theirs = model(), model()
    start = copy.deepcopy(ours.state_dict())
    scaled = precision == "16-mixed"
    options: dict[str, Any] = {"precision": precision}
    if scaled:
        # Lightning takes bf16 for fp16 on a CPU; its plugin, given by hand, does what it would do on a GPU.
        options = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))]}
    trainer = Trainer(
        accelerator="cpu",
        max_steps=STEPS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    finetuner = Finetuner(
        ours,
        task=of_head("sequence_classification"),
        languages=["en"],
        source_languages=[],
        tokens_per_device=50,
        recipe=RECIPE,
    )
    trainer.fit(finetuner, DataLoader(steps(), batch_size=None, collate_fn=lambda step: step))

    norms = plain_loop(theirs, dtype, torch.amp.GradScaler("cpu") if scaled else None)

    assert min(norms) > (RECIPE.clip or 0), "clipping must bite, or nothing is compared"
    expected = theirs.state_dict()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=0)
    assert any(not torch.equal(value, start[name]) for name, value in ours.state_dict().items())
