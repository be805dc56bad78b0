"""A transformer over the condition: every position sees the codes of its surroundings.

    context  B L E ─→ width ─→ blocks (attention within a few columns, feed-forward) ─→ B L D

The T-UNet works on a map of 256 x 16 cells, where width is dear. Here a window is 512 positions,
so that the same time buys many times the weights. An addition of this project: not in the paper,
not in the release.

Shapes: B batch · L positions · E width of the context · D width of the transformer · H heads ·
A width of a head.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import ConfigError
from semanticodec.layers.residual import zero_init

# Columns that attend together: fewer see less that is out of reach, more make larger products.
COLUMNS_AT_ONCE = 8


class _Surroundings(NamedTuple):
    """What some columns see.

    Attributes:
        queries: their positions.
        keys: positions within reach of any of them.
        bias: what is added to the attention's logits, minus infinity out of reach.
    """

    queries: slice
    keys: slice
    bias: Float[Tensor, "1 H L L2"]


class ContextTransformer(nn.Module):
    """Turns a condition into features of the same positions that know their neighbors.

    Args:
        config: sizes.
        context_width: width E of the condition.
    Raises:
        ConfigError: the heads do not divide the width.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Size of the transformer.

        Attributes:
            width: width D of its features, a multiple of `head_width`.
            num_layers: number of blocks.
            head_width: width A of an attention head.
            num_bands: positions of a column, from low to high frequencies.
            reach: columns (0.16 s) that a position sees to either side.
        """

        width: int = 256
        num_layers: int = 6
        head_width: int = 32
        num_bands: int = 8
        reach: int = 15

    def __init__(self, config: Config, context_width: int) -> None:
        super().__init__()
        self.config = config
        if config.width % config.head_width:
            raise ConfigError(
                f"A context transformer {config.width} wide cannot have heads of "
                f"{config.head_width}: choose head_width so that it divides the width."
            )
        self.input = nn.Linear(context_width, config.width)
        self.bands = nn.Parameter(0.02 * torch.randn(config.num_bands, config.width))
        num_heads = config.width // config.head_width
        # One bias per head, distance in time and distance in frequency.
        distances = (2 * config.reach + 1, 2 * config.num_bands - 1)
        self.nearness = nn.Parameter(torch.zeros(num_heads, *distances))
        self.blocks = nn.ModuleList(
            _Block(config.width, num_heads) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, context: Float[Tensor, "B L E"]) -> Float[Tensor, "B L D"]:
        """Return the features of all positions.

        Args:
            context: condition of whole columns, time-major.
        """
        num_columns = context.shape[1] // self.config.num_bands
        features = self.input(context) + self.bands.repeat(num_columns, 1)
        surroundings = list(self._surroundings(num_columns))
        for block in self.blocks:
            features = block(features, surroundings)
        return self.norm(features)

    def _surroundings(self, num_columns: int) -> Iterator[_Surroundings]:
        """Yield what each group of columns sees, from the first to the last."""
        reach, bands = self.config.reach, self.config.num_bands
        bias = self._bias(min(COLUMNS_AT_ONCE, num_columns))
        for start in range(0, num_columns, COLUMNS_AT_ONCE):
            end = min(start + COLUMNS_AT_ONCE, num_columns)
            first, last = max(start - reach, 0), min(end + reach, num_columns)
            seen = slice((first - start + reach) * bands, (last - start + reach) * bands)
            yield _Surroundings(
                queries=slice(start * bands, end * bands),
                keys=slice(first * bands, last * bands),
                # With an axis for the batch: without it, torch attends step by step on CPUs.
                bias=bias[None, :, : (end - start) * bands, seen],
            )

    def _bias(self, num_columns: int) -> Float[Tensor, "H L L2"]:
        """Return the bias of columns against all from `reach` before to `reach` after them."""
        reach, num_bands = self.config.reach, self.config.num_bands
        column, band, place = (
            torch.arange(size, device=self.nearness.device)
            for size in (num_columns, num_bands, num_columns + 2 * reach)
        )
        # Blocks of all pairs of bands, by distance in time; the last block is out of reach.
        blocks = self.nearness[:, :, band[:, None] - band + num_bands - 1]
        blocks = torch.cat([blocks, torch.full_like(blocks[:, :1], -torch.inf)], dim=1)
        time = column[:, None] - place + 2 * reach
        time = torch.where((time < 0) | (time > 2 * reach), 2 * reach + 1, time)
        return blocks[:, time].transpose(2, 3).flatten(3).flatten(1, 2)


class _Block(nn.Module):
    """Pre-norm attention within reach, and a feed-forward; nothing at first."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = zero_init(nn.Linear(width, width))
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), zero_init(nn.Linear(4 * width, width))
        )

    def forward(
        self, features: Float[Tensor, "B L D"], surroundings: list[_Surroundings]
    ) -> Float[Tensor, "B L D"]:
        qkv = self.qkv(self.norm_attention(features)).unflatten(2, (3, self.num_heads, -1))
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4)  # B L 3 H A -> 3 B H L A
        attended = torch.cat(
            [
                F.scaled_dot_product_attention(
                    queries[:, :, seen.queries],
                    keys[:, :, seen.keys],
                    values[:, :, seen.keys],
                    attn_mask=seen.bias.to(queries.dtype),
                )
                for seen in surroundings
            ],
            dim=2,
        )
        features = features + self.project(attended.transpose(1, 2).flatten(2))
        return features + self.feed_forward(self.norm_feed_forward(features))
