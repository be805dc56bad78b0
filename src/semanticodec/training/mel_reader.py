"""Reads a mel from a condition and the features of its transformer, patch by patch, in training.

    context   B L E ─→ linear map of each band, from the data ─┐
    features  B L D ─→ linear map of what is left ─────────────┴─→ patches ─→ mel B T M

The shortest way from codes to mel: what the acoustic encoder and the transformer learn here costs
a fraction of a step through T-UNet and VAE. The transformer adds to what a code means by itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.encoder.untold_energies import FRAMES_PER_PATCH
from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.patches import join_patches
from semanticodec.layers.residual import zero_init
from semanticodec.training.regression import RIDGE, fit_bands, linear_map, mean_row


class MelReader(nn.Module):
    """Linear maps from positions to their patches of the mel.

    Args:
        context_width: width of the condition.
        width: width of the features.
        num_bands: positions of a column.
        num_mel_bins: bins of the mel.
    """

    def __init__(self, context_width: int, width: int, num_bands: int, num_mel_bins: int) -> None:
        super().__init__()
        self.num_bands = num_bands
        size = FRAMES_PER_PATCH * num_mel_bins // num_bands
        # Not trained: steps that suit a transformer would shake it.
        self.alone = BandedLinear(num_bands, context_width, size).requires_grad_(False)
        self.read = zero_init(nn.Linear(width, size))

    def forward(
        self, context: Float[Tensor, "B L E"], features: Float[Tensor, "B L D"]
    ) -> Float[Tensor, "B T M"]:
        """Return the mel of whole columns of positions."""
        patches = self.alone(context) + self.read(features)
        return join_patches(patches, FRAMES_PER_PATCH, self.num_bands).float()

    @torch.no_grad()
    def start(
        self,
        context: Float[Tensor, "N E"],
        features: Float[Tensor, "N D"] | None,
        patches: Float[Tensor, "N P"],
        weights: Float[Tensor, " N"],
    ) -> None:
        """Start the maps at regressions: of patches on the condition, of the rest on features.

        Args:
            context: rows of the condition of many windows, whole columns of each.
            features: rows of a transformer that has learned; None leaves them out at first.
            patches: the patches of the recordings' mels there.
            weights: how much every row counts.
        """
        bands = torch.arange(len(context), device=context.device) % self.num_bands
        fit_bands(self.alone, context, patches, bands, weights)
        if features is None:
            return
        rest = patches - self.alone(context.unsqueeze(0))[0]
        weight = linear_map(features, rest, RIDGE, weights)
        self.read.weight.copy_(weight.T)
        self.read.bias.copy_(mean_row(rest, weights) - mean_row(features, weights) @ weight)
