"""How far the energies of two mels are apart, summed over small neighborhoods.

Where a line stands within a patch, codes often cannot tell. The mean error of single log energies
is then least for a mel that is low everywhere a line might be: tones and voices come back too
soft. Summed over a neighborhood the energy is known, whatever is known of the place.

    log mel ─→ energies ─→ means over 8 bins and 80 ms ─→ logarithms, compared where they are heard
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from semanticodec.audio.audibility import REACH, level_weights

NEIGHBORHOOD = (8, 8)
HOP = (4, 4)


def level_distance(
    mel: Float[Tensor, "B T M"], target: Float[Tensor, "B T M"]
) -> Float[Tensor, ""]:
    """Return the weighted mean absolute difference of the neighborhoods' log amplitudes.

    Args:
        mel: log amplitudes (natural logarithm), T and M at least 8.
        target: those of the recordings.
    """
    weights = F.avg_pool2d(level_weights(target, REACH), NEIGHBORHOOD, HOP)
    return (weights * (_levels(mel) - _levels(target)).abs()).mean() / weights.mean()


def _levels(mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T2 M2"]:
    """Return half the logarithm of every neighborhood's mean energy."""
    # Energies relative to the loudest cell, so that none leaves the range of float32.
    loudest = mel.detach().amax(dim=(1, 2), keepdim=True)
    means = F.avg_pool2d((2.0 * (mel - loudest)).exp(), NEIGHBORHOOD, HOP)
    return 0.5 * means.clamp_min(1e-12).log() + loudest
