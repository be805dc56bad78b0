"""The light decoder of AudioMAE's masked pre-training; thrown away once the encoder is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.audiomae import LAYER_NORM_EPS, Block
from semanticodec.layers.embeddings import grid_positions


class AudioMAEDecoder(nn.Module):
    """Predicts the pixels of every patch from the features of the visible ones."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes; the defaults are those of the official masked autoencoder.

        Attributes:
            width: width of a feature inside the decoder.
            depth: transformer blocks.
            num_heads: heads of every attention.
            encoder_width: width of the encoder's features.
            patch_size: frames and bins of a patch.
            num_patches: patches of a whole window.
            num_bands: patches along the frequency axis.
        """

        width: int = 512
        depth: int = 8
        num_heads: int = 16
        encoder_width: int = 768
        patch_size: int = 16
        num_patches: int = 512
        num_bands: int = 8

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Linear(config.encoder_width, config.width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.width))
        nn.init.normal_(self.mask_token, std=0.02)
        grid = grid_positions(
            config.num_patches // config.num_bands, config.num_bands, config.width
        )
        self.positions = nn.Parameter(F.pad(grid, (0, 0, 1, 0)), requires_grad=False)
        self.blocks = nn.ModuleList(
            [Block(config.width, config.num_heads) for _ in range(config.depth)]
        )
        self.norm = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.prediction = nn.Linear(config.width, config.patch_size**2)

    def forward(
        self, visible: Float[Tensor, "B U2 D"], keep: Int[Tensor, "B U"], num_patches: int
    ) -> Float[Tensor, "B L P"]:
        """Return predicted pixels for all patches.

        Args:
            visible: encoder output, CLS token first.
            keep: patch index of every visible row.
            num_patches: L, patches of the unmasked input.
        """
        embedded = self.embedding(visible)
        index = keep.unsqueeze(-1).expand(-1, -1, self.config.width)
        masked = self.mask_token.expand(embedded.shape[0], num_patches, -1).to(embedded.dtype)
        patches = masked.scatter(1, index, embedded[:, 1:])
        features = (
            torch.cat([embedded[:, :1], patches], dim=1) + self.positions[:, : num_patches + 1]
        )
        for block in self.blocks:
            features = block(features)
        return self.prediction(self.norm(features))[:, 1:]
