"""Patches: rectangles of a spectrogram, the network's smallest pieces.

Time-major: all patches of the first frames, from low to high frequencies, then of the next.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def cut_patches(
    spectrogram: Float[Tensor, "B T M"], frames: int, bins: int
) -> Float[Tensor, "B L P"]:
    """Return the patches of a spectrogram, each flattened frame by frame.

    Args:
        spectrogram: T and M multiples of a patch's size.
        frames: frames of a patch.
        bins: bins of a patch.
    """
    cells = spectrogram.unflatten(2, (-1, bins)).unflatten(1, (-1, frames))
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # B t T f M -> B L P


def join_patches(
    patches: Float[Tensor, "B L P"], frames: int, num_bands: int
) -> Float[Tensor, "B T M"]:
    """Return the spectrogram that `cut_patches` cut.

    Args:
        patches: all bands of some time steps.
        frames: frames of a patch.
        num_bands: patches along the frequency axis.
    """
    cells = patches.unflatten(2, (frames, -1)).unflatten(1, (-1, num_bands))
    return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # B t f T M -> B T M
