"""How far a mel is from its target, where it is heard: level and detail.

Log energies of a quiet background are as wide as those of a voice, and random: a plain mean would
spend a codec's bits on them. Cells far below the loudest sound around them are masked, so they
count for less.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.detail import split_detail

# Frames of 10 ms on either side whose loudest cell a cell is compared with.
NEIGHBORS = 40
LEAST_WEIGHT = 0.1
NEPERS_PER_DB = math.log(10) / 20


class MelDistance(NamedTuple):
    """Weighted mean absolute differences.

    Attributes:
        frame: of log energies.
        detail: of what smoothing over five bins leaves of them.
    """

    frame: Float[Tensor, ""]
    detail: Float[Tensor, ""]


def mel_distance(
    mel: Float[Tensor, "B T M"], target: Float[Tensor, "B T M"], range_db: float
) -> MelDistance:
    """Return how far log mels are from their targets.

    Args:
        mel: log amplitudes (natural logarithm).
        target: those of the recordings.
        range_db: see `level_weights`.
    """
    weights = level_weights(target, range_db)
    weights = weights / weights.mean()
    detail = split_detail(mel).detail - split_detail(target).detail
    return MelDistance(
        frame=(weights * (mel - target)).abs().mean(), detail=(weights * detail).abs().mean()
    )


def level_weights(target: Float[Tensor, "B T M"], range_db: float) -> Float[Tensor, "B T M"]:
    """Return 1 for the loudest cells within 0.4 s, falling to a tenth with their level in dB.

    Args:
        target: log amplitudes (natural logarithm).
        range_db: at this many dB below the loudest cell a weight would be zero.
    """
    loudest = F.max_pool1d(
        target.amax(dim=2).unsqueeze(1), 2 * NEIGHBORS + 1, stride=1, padding=NEIGHBORS
    )
    below = loudest.transpose(1, 2) - target
    return (1.0 - below / (range_db * NEPERS_PER_DB)).clamp(LEAST_WEIGHT, 1.0)
