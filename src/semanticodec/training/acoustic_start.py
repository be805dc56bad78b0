"""Where an acoustic encoder that sees patches starts: at the best linear map, in closed form.

energies, of the mel or of the patches -> level and detail, weighted
    -> less what the semantic centroid tells -> principal axes
[features - centroids, patches around] -> linear map of each band -> those axes     (`residual`)

The codes of this map carry detail from the first step. An encoder that starts elsewhere learns
to carry it late or never: a squared error spends all bits on the level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.audio.detail import split_detail
from semanticodec.audio.mel import HOP_LENGTH
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.stacking import stack_patches
from semanticodec.token_format import PATCH_SAMPLES
from semanticodec.training.regression import centered, linear_map

# How much detail counts beside the level. At 1 it goes under, at 10 it takes the bits that words
# need (docs/log.md, "Codes that start anew").
DETAIL_GAIN = 2.0
NUM_AXES = 48
FRAMES_PER_PATCH = PATCH_SAMPLES // HOP_LENGTH
CENTROID_RIDGE = 1e-3
# Neighbors are much alike, and stacked positions have thousands of inputs.
MAP_RIDGE = 1e-2


class Positions(NamedTuple):
    """Positions of some windows.

    Attributes:
        inputs: what the residual map is given, see `AcousticEncoder.residual_inputs`.
        centroids: the semantic centroids.
        energies: level and detail, weighted; see `weighted_energies`.
        bands: number of the position's place on the frequency axis.
    """

    inputs: Float[Tensor, "N D3"]
    centroids: Float[Tensor, "N D"]
    energies: Float[Tensor, "N E"]
    bands: Int[Tensor, " N"]


def weighted_energies(
    spectrogram: Float[Tensor, "1 T M"], stack_factor: int, num_bands: int
) -> Float[Tensor, "1 L E"]:
    """Return level and detail of every position, detail with more weight.

    Args:
        spectrogram: log energies of whole columns of positions.
        stack_factor: K of the positions.
        num_bands: patches along the frequency axis.
    """
    level, detail = (spectrogram_patches(part, num_bands) for part in split_detail(spectrogram))
    return stack_patches(torch.cat([level, DETAIL_GAIN * detail], dim=-1), stack_factor, num_bands)


def spectrogram_patches(
    spectrogram: Float[Tensor, "B T M"], num_bands: int
) -> Float[Tensor, "B L P"]:
    """Return patches of 0.16 s and a band in the order of positions (K = 1)."""
    columns = spectrogram.unflatten(2, (num_bands, -1)).unflatten(1, (-1, FRAMES_PER_PATCH))
    return columns.transpose(2, 3).flatten(3, 4).flatten(1, 2)


@torch.no_grad()
def start_from_patches(acoustic: AcousticEncoder, windows: Sequence[Positions]) -> None:
    """Start the residual map of an acoustic encoder, whose LSTM joins in from zero.

    Args:
        acoustic: an encoder that sees patches.
        windows: positions of many windows.
    Source: docs/log.md, "Detail of voices".
    """
    rows = Positions(*(torch.cat(parts) for parts in zip(*windows)))
    unknown = _untold(rows.energies, rows.centroids, rows.bands)
    residual = acoustic.residual
    assert isinstance(residual, BandedLinear)
    count = residual.weight.shape[2]
    axes, _, _ = principal_axes(unknown, count)
    wanted = unknown @ axes.T.to(unknown)
    residual.weight.zero_()
    size = torch.zeros((), dtype=wanted.dtype, device=wanted.device)
    for band in range(residual.num_bands):
        here = rows.bands == band
        weight = linear_map(rows.inputs[here], wanted[here], MAP_RIDGE)
        residual.weight[band, :, : weight.shape[1]] = weight
        size += (centered(rows.inputs[here]) @ weight).square().sum()
    # As large as the difference that the paper's form starts from.
    difference = rows.inputs[:, : acoustic.config.width]
    residual.weight.mul_(centered(difference).norm() / size.sqrt().clamp_min(1e-12))


def _untold(
    energies: Float[Tensor, "N E"], told: Float[Tensor, "N D"], bands: Int[Tensor, " N"]
) -> Float[Tensor, "N E"]:
    """Return what a linear map of what is told leaves over, in every band by itself."""
    left = energies.clone()
    for band in bands.unique():
        here = bands == band
        left[here] -= centered(told[here]) @ linear_map(told[here], left[here], CENTROID_RIDGE)
        left[here] -= left[here].mean(dim=0)
    return left
