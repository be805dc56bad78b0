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

from semanticodec.audio.audibility import level_weights
from semanticodec.audio.detail import split_detail

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
        range_db: dB below the loudest cell at which a weight would be zero, see `level_weights`.
    """
    weights = level_weights(target, range_db * NEPERS_PER_DB)
    weights = weights / weights.mean()
    detail = split_detail(mel).detail - split_detail(target).detail
    return MelDistance(
        frame=(weights * (mel - target)).abs().mean(), detail=(weights * detail).abs().mean()
    )
