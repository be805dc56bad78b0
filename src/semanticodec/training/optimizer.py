"""AdamW and its learning rate, for one group of a stage's parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import Parameter


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW and its learning-rate schedule for one group of parameters.

    Attributes:
        lr: learning rate after the warm-up.
        betas: decay of AdamW's averages of the gradient and its square.
        weight_decay: weight decay of matrices and kernels; biases, gains and tokens have none.
        warmup_steps: length of the linear warm-up from 0 to `lr`.
        schedule: learning rate after the warm-up: constant, or a half cosine to lr * final_ratio.
        final_ratio: last learning rate of the cosine, as a share of `lr`.
        clip_norm: largest gradient norm of the group.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    warmup_steps: int = 1000
    schedule: Literal["constant", "cosine"] = "cosine"
    final_ratio: float = 0.02
    clip_norm: float = 1.0


def learning_rate(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Return the rate of the 0-based `step`: warm-up, then constant or half a cosine."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    progress = (step - config.warmup_steps) / max(total_steps - config.warmup_steps, 1)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    return config.lr * (config.final_ratio + (1.0 - config.final_ratio) * cosine)


def make_optimizer(parameters: list[Parameter], config: OptimizerConfig) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and kernels only."""
    decayed = [p for p in parameters if p.squeeze().ndim >= 2]
    others = [p for p in parameters if p.squeeze().ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    used = [group for group in groups if group["params"]]
    return torch.optim.AdamW(used, lr=config.lr, betas=config.betas, fused=True)
