"""ConvNeXt's block in one dimension, the building block of networks at the frame rate."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

LAYER_NORM_EPS = 1e-6


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, then a two-layer feed-forward with a learned residual scale."""

    def __init__(self, width: int, hidden: int, kernel_size: int, initial_scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            width, width, kernel_size, padding=kernel_size // 2, groups=width
        )
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), initial_scale))

    def forward(self, features: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        hidden = self.norm(self.depthwise(features).transpose(1, 2))  # B D T -> B T D
        hidden = self.scale * self.contract(F.gelu(self.expand(hidden)))
        return features + hidden.transpose(1, 2)
