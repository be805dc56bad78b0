"""How much the cells of a spectrogram count for the ear: sounds that are far softer are masked."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# 70 dB, of log amplitudes (natural logarithm): where noise that nobody hears begins.
REACH = 70.0 * math.log(10) / 20
# Frames of 10 ms on either side whose loudest cell a cell is compared with.
NEIGHBORS = 40
LEAST_WEIGHT = 0.1


def level_weights(spectrogram: Float[Tensor, "B T M"], reach: float) -> Float[Tensor, "B T M"]:
    """Return 1 for the loudest cells within 0.4 s, falling to a tenth with their level.

    Args:
        spectrogram: log energies or amplitudes, 100 frames per second.
        reach: how far below the loudest cell, on its scale, a weight would be zero.
    """
    loudest = F.max_pool1d(
        spectrogram.amax(dim=2).unsqueeze(1), 2 * NEIGHBORS + 1, stride=1, padding=NEIGHBORS
    )
    below = loudest.transpose(1, 2) - spectrogram
    return (1.0 - below / reach).clamp(LEAST_WEIGHT, 1.0)
