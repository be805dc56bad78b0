"""Reads a mel from the features of a context transformer, patch by patch, in training only.

The shortest way from codes to mel: what the acoustic encoder and the transformer learn here costs
a fraction of a step through T-UNet and VAE.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.mel import HOP_LENGTH
from semanticodec.token_format import PATCH_SAMPLES

# About mean and deviation of the log mels of recordings.
MEL_MEAN = -6.0
MEL_DEVIATION = 2.0


class MelReader(nn.Module):
    """One linear map for all patches.

    Args:
        width: width of the features.
        num_bands: positions of a column.
        num_mel_bins: bins of the mel.
    """

    def __init__(self, width: int, num_bands: int, num_mel_bins: int) -> None:
        super().__init__()
        self.num_bands = num_bands
        self.shape = (PATCH_SAMPLES // HOP_LENGTH, num_mel_bins // num_bands)
        self.read = nn.Linear(width, self.shape[0] * self.shape[1])

    def forward(self, features: Float[Tensor, "B L D"]) -> Float[Tensor, "B T M"]:
        """Return the mel of whole columns of positions."""
        patches = self.read(features).unflatten(2, self.shape).unflatten(1, (-1, self.num_bands))
        # B columns bands frames bins -> B T M
        mel = patches.transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return mel.float() * MEL_DEVIATION + MEL_MEAN
