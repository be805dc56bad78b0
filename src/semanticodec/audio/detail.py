"""The detail of a filter bank: its bins minus their smoothing over five, the harmonics of voices.

fbank -> level (five bins smoothed: envelopes) + detail (what is left)
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SMOOTHED_BINS = 5


class LevelAndDetail(NamedTuple):
    """Two parts of log energies that add up to them.

    Attributes:
        level: smoothed over five bins.
        detail: energies minus level.
    """

    level: Float[Tensor, "B T M"]
    detail: Float[Tensor, "B T M"]


def split_detail(fbank: Float[Tensor, "B T M"]) -> LevelAndDetail:
    """Return level and detail of log energies, on the scale that they come on."""
    margin = SMOOTHED_BINS // 2
    padded = F.pad(fbank, (margin, margin), mode="replicate")
    level = F.avg_pool1d(padded, SMOOTHED_BINS, stride=1)
    return LevelAndDetail(level, fbank - level)
