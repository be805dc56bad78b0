"""AudioMAE's vision transformer: normalized fbank -> one feature vector per 16 x 16 patch.

fbank [B, T, M] -> patches, time-major [B, L, D], L = T/16 * M/16 -> + positions, CLS token
    -> blocks -> mean of the normalized outputs of the last three blocks -> features [B, L, D]
    (-> less what features at that position have on average)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.layers.attention import SelfAttention
from semanticodec.layers.embeddings import grid_positions
from semanticodec.layers.patches import cut_patches, join_patches

LAYER_NORM_EPS = 1e-6


def patchify(fbank: Float[Tensor, "B T M"], patch_size: int = 16) -> Float[Tensor, "B L P"]:
    """Return the pixels of every patch, time-major, P = patch_size squared."""
    return cut_patches(fbank, patch_size, patch_size)


def unpatchify(patches: Float[Tensor, "B L P"], num_bands: int = 8) -> Float[Tensor, "B T M"]:
    """Return the filter bank that `patchify` cut, from all bands of some time steps."""
    return join_patches(patches, math.isqrt(patches.shape[-1]), num_bands)


class Block(nn.Module):
    """Pre-norm transformer block with a GELU feed-forward of four times the width."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = SelfAttention(width, num_heads)
        self.mlp_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, features: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        attended = self.attention(self.attention_norm(features)).add_(features)
        return self.mlp(self.mlp_norm(attended)).add_(attended)


class AudioMAE(nn.Module):
    """The encoder of the audio masked autoencoder (paper Sec. III-B)."""

    position_means: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes; the defaults are the official ones.

        Attributes:
            num_frames: frames of a whole window.
            num_mel_bins: mel bins of the filter bank.
            patch_size: frames and bins of a patch.
            width: width of a feature.
            depth: transformer blocks.
            num_heads: heads of every attention.
            num_averaged_blocks: last blocks whose outputs are averaged into the features.
            centers_positions: subtract each position's mean from its features (not official):
                codes then need not tell where in the window they stand. `train audiomae --recipe
                centered` measures the means of a trained network.
        """

        num_frames: int = 1024
        num_mel_bins: int = 128
        patch_size: int = 16
        width: int = 768
        depth: int = 12
        num_heads: int = 12
        num_averaged_blocks: int = 3
        centers_positions: bool = False

        @property
        def num_bands(self) -> int:
            """Patches along the frequency axis."""
            return self.num_mel_bins // self.patch_size

        @property
        def num_patches(self) -> int:
            """Patches of a whole window."""
            return self.num_frames // self.patch_size * self.num_bands

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.patch_embedding = nn.Conv2d(1, width, config.patch_size, stride=config.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.normal_(self.class_token, std=0.02)
        grid = grid_positions(config.num_patches // config.num_bands, config.num_bands, width)
        # Row 0 belongs to the CLS token. Official weights bring their own table.
        self.positions = nn.Parameter(F.pad(grid, (0, 0, 1, 0)), requires_grad=False)
        self.blocks = nn.ModuleList([Block(width, config.num_heads) for _ in range(config.depth)])
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        if config.centers_positions:
            self.register_buffer("position_means", torch.zeros(config.num_patches, width))

    def embed(self, fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B L D"]:
        """Return patch embeddings with their positions, without the CLS token.

        Args:
            fbank: normalized filter bank, T a multiple of the patch size up to a whole window.
        """
        patches = self.patch_embedding(fbank.unsqueeze(1))  # B T M -> B D T/16 M/16
        patches = patches.flatten(2).transpose(1, 2)  # time-major rows
        return patches + self.positions[:, 1 : 1 + patches.shape[1]]

    def _with_cls(self, patches: Float[Tensor, "B L D"]) -> Float[Tensor, "B L+1 D"]:
        first = (self.class_token + self.positions[:, :1]).expand(patches.shape[0], -1, -1)
        return torch.cat([first, patches], dim=1)

    def encode_visible(
        self, patches: Float[Tensor, "B L D"], keep: Int[Tensor, "B U"]
    ) -> Float[Tensor, "B U+1 D"]:
        """Return the last block's output for the kept patches only, CLS token first (training)."""
        index = keep.unsqueeze(-1).expand(-1, -1, patches.shape[-1])
        features = self._with_cls(patches.gather(1, index))
        for block in self.blocks:
            features = block(features)
        return self.norm(features)

    def forward(self, fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B L D"]:
        """Return the averaged features of every patch, time-major, the CLS token dropped.

        Args:
            fbank: normalized filter bank, T a multiple of the patch size up to a whole window.
        Source: paper Sec. III-B; the release averages the last three blocks.
        """
        features = self._with_cls(self.embed(fbank))
        first_averaged = len(self.blocks) - self.config.num_averaged_blocks
        outputs = []
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index >= first_averaged:
                outputs.append(self.norm(features))
        averaged = torch.stack(outputs).mean(dim=0)[:, 1:]
        if not self.config.centers_positions:
            return averaged
        return averaged - self.position_means[: averaged.shape[1]]
