"""How the weights change: AdamW (Loshchilov & Hutter 2019) with a schedule over all steps of the run."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    get_constant_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from babelfit.encoder.encoder import depths


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides each step besides model and data; `seed` is that of dropout."""

    seed: int
    total_steps: int
    learning_rate: float
    warmup: float  # optimizer steps, or below 1 a share of all steps
    weight_decay: float
    schedule: str
    clip: float | None
    layer_decay: float = 1.0  # each layer learns at this multiple of the rate of the one above it

    def build(self, model: PreTrainedModel) -> tuple[torch.optim.Optimizer, Any]:
        """Build AdamW, with weight decay on all but biases and norms, and the learning-rate schedule.

        The head has the full rate; with layer decay, each layer has less than the one above it (Howard & Ruder 2018;
        Clark et al. 2020).
        """
        trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        below_head = dict.fromkeys((name for name, _ in trained), 0)
        if self.layer_decay < 1:
            depth_of = depths(model)
            below_head = {name: max(depth_of.values()) - depth_of[name] for name, _ in trained}
        groups = [
            {
                "params": [p for name, p in trained if below_head[name] == steps and (p.ndim >= 2) == decays],
                "lr": self.learning_rate * self.layer_decay**steps,
                "weight_decay": self.weight_decay if decays else 0.0,
            }
            for steps in sorted(set(below_head.values()))
            for decays in (True, False)
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, fused=True)
        warmup_steps = round(self.warmup if self.warmup >= 1 else self.warmup * self.total_steps)
        if self.schedule == "linear":
            return optimizer, get_linear_schedule_with_warmup(optimizer, warmup_steps, self.total_steps)
        return optimizer, get_constant_schedule_with_warmup(optimizer, warmup_steps)
