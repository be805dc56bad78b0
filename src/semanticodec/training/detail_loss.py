"""What a feature keeps of its own patch: a loss on the level and on the detail of the energies.

features -> linear map -> level and detail of the patch, each at variance 1 -> squared errors

The detail of a filter bank (its bins minus their smoothing over five: the harmonics of voices)
has a twenty-fifth of the variance of its level, so a squared error of energies hardly pays for
it. Apart, each on its own scale, both count. Detail of noise is chance, as large as that of
voices, and a decoder can invent it: `loudness_power` lets the loss look where it is loud.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.detail import split_detail
from semanticodec.audio.fbank import FBANK_STD
from semanticodec.encoder.audiomae import patchify


def loudness_weights(level: Float[Tensor, "B L P"], power: float) -> Float[Tensor, "B L P"]:
    """Return energy to a power, with mean 1 over every item.

    Args:
        level: normalized log energies.
        power: 0 weighs all alike; 0.23 is the growth of specific loudness with energy.
    Source: Zwicker and Fastl, Psychoacoustics, Sec. 8.7 (exponent of loudness).
    """
    weights = (power * 2 * FBANK_STD * (level - level.mean(dim=(1, 2), keepdim=True))).exp()
    return weights / weights.mean(dim=(1, 2), keepdim=True)


class DetailLoss(nn.Module):
    """A linear map from features to level and detail, and its weighted squared errors."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """How much the loss pays for what.

        Attributes:
            level_weight: of the squared error of the level at variance 1.
            detail_weight: of the squared error of the detail at variance 1.
            level_std: of normalized energies smoothed over five bins.
            detail_std: of normalized energies minus their smoothing.
            loudness_power: of `loudness_weights`.
        """

        level_weight: float = 1.0
        detail_weight: float = 1.0
        level_std: float = 0.5
        detail_std: float = 0.1
        loudness_power: float = 0.0

    def __init__(self, config: Config, width: int, patch_size: int) -> None:
        super().__init__()
        self.config = config
        self.patch_size = patch_size
        self.head = nn.Linear(width, 2 * patch_size**2)

    def forward(
        self, features: Float[Tensor, "B L D"], fbank: Float[Tensor, "B T M"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Return the squared errors by name, not weighted by `level_weight` and `detail_weight`.

        Args:
            features: of every patch.
            fbank: normalized filter bank that they describe.
        """
        config = self.config
        with torch.autocast(fbank.device.type, enabled=False):
            levels, details = (patchify(x, self.patch_size) for x in split_detail(fbank))
            weights = loudness_weights(levels, config.loudness_power)
            level, detail = self.head(features.float()).chunk(2, dim=-1)
            level_errors = (level - levels / config.level_std).square()
            detail_errors = (detail - details / config.detail_std).square()
            return {
                "level": (weights * level_errors).mean(),
                "detail": (weights * detail_errors).mean(),
            }

    def total(self, errors: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        """Return the weighted sum of the errors."""
        config = self.config
        return config.level_weight * errors["level"] + config.detail_weight * errors["detail"]
