"""Stacking: joins neighboring AudioMAE patches into one position.

Stack factor (the paper's K)
1: every patch is a position
2: two bands of one time step, in the order t0f0, t0f1
4: two bands of two time steps, in the order t0f0, t0f1, t1f0, t1f1

Positions stay time-major: all bands of the first time step, then of the second, ...
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from semanticodec.errors import ConfigError
from semanticodec.token_format import NUM_BANDS, TokenGrid

# Features of positions after the end of the audio, the value that the release trained on.
PADDING_VALUE = -1.0


def _block(stack_factor: int, num_bands: int) -> tuple[int, int]:
    """Return how many (time steps, bands) one position joins, after checking that they fit."""
    times, bands = TokenGrid.from_stack_factor(stack_factor).block
    if num_bands % bands:
        raise ConfigError(
            f"{num_bands} frequency bands cannot be joined {bands} by {bands}; "
            "use a number of mel bins that is a multiple of 32, or a stack factor of 1"
        )
    return times, bands


def stack_patches(
    features: Float[Tensor, "B L D"], stack_factor: int, num_bands: int = NUM_BANDS
) -> Float[Tensor, "B L//{stack_factor} {stack_factor}*D"]:
    """Join neighboring patches along the width.

    Args:
        features: one row per patch, time-major, L a multiple of `num_bands`.
        stack_factor: patches to join, 1, 2 or 4; with 4 the number of time steps must be even.
        num_bands: patches along the frequency axis, num_mel_bins / 16.
    Returns:
        One row per position, time-major.
    Raises:
        ConfigError: no such stack factor, or it does not divide the patches.
    Source: paper Sec. III-B; which neighbors are joined follows the release.
    """
    times, bands = _block(stack_factor, num_bands)
    batch, num_patches, width = features.shape
    num_times = num_patches // num_bands
    if num_patches % num_bands or num_times % times:
        raise ConfigError(
            f"{num_patches} patches in {num_bands} bands do not fill blocks of {times} x {bands} "
            f"(time x frequency); give a multiple of {times * num_bands} patches"
        )
    blocks = features.reshape(
        batch, num_times // times, times, num_bands // bands, bands, width
    )  # B T/t t F/f f D
    return blocks.transpose(2, 3).reshape(batch, num_patches // stack_factor, stack_factor * width)


def unstack_patches(
    stacked: Float[Tensor, "B L D"], stack_factor: int, num_bands: int = NUM_BANDS
) -> Float[Tensor, "B L*{stack_factor} D//{stack_factor}"]:
    """Take positions apart into patches again, the inverse of `stack_patches`.

    Args:
        stacked: one row per position, time-major, in whole columns.
        stack_factor: patches per position, 1, 2 or 4.
        num_bands: patches along the frequency axis.
    Returns:
        One row per patch, time-major.
    Raises:
        ConfigError: no such stack factor, or rows and widths that it cannot have made.
    """
    times, bands = _block(stack_factor, num_bands)
    batch, length, width = stacked.shape
    rows = num_bands // bands
    if length % rows or width % stack_factor:
        raise ConfigError(
            f"{length} positions of width {width} are not {rows} bands of {stack_factor} stacked "
            "patches; give whole columns of stacked features"
        )
    blocks = stacked.reshape(batch, length // rows, rows, times, bands, width // stack_factor)
    # B T/t F/f t f D -> B T/t t F/f f D
    return blocks.transpose(2, 3).reshape(batch, stack_factor * length, width // stack_factor)
