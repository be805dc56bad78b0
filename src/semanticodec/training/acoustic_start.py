"""Where an acoustic encoder that sees patches starts: at the best linear map, in closed form.

energies of the patches -> level and detail, weighted -> less what the semantic centroid tells
    -> principal axes
[features - centroids, patches] -> linear map -> those axes                (`residual`)

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
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import patchify, unpatchify
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.layers.stacking import stack_patches

# How much detail counts beside the level. At 1 it goes under, at 10 it takes the bits that words
# need (docs/log.md, "Codes that start anew").
DETAIL_GAIN = 2.0
NUM_AXES = 48
# Share of every input's variance that is added to it, so that rare inputs get no large weight.
RIDGE = 1e-4
CENTROID_RIDGE = 1e-3


class Positions(NamedTuple):
    """Positions of some windows.

    Attributes:
        features: stacked features.
        centroids: their semantic centroids.
        patches: stacked energies.
        energies: their level and detail, weighted; see `weighted_energies`.
        bands: number of the position's place on the frequency axis.
    """

    features: Float[Tensor, "N D"]
    centroids: Float[Tensor, "N D"]
    patches: Float[Tensor, "N P"]
    energies: Float[Tensor, "N E"]
    bands: Int[Tensor, " N"]


def weighted_energies(
    patches: Float[Tensor, "1 L P"], stack_factor: int, num_bands: int
) -> Float[Tensor, "1 L2 E"]:
    """Return level and detail of every position, detail with more weight.

    Args:
        patches: energies of single patches (K = 1), normalized.
        stack_factor: K of the positions.
        num_bands: patches along the frequency axis.
    """
    level, detail = (patchify(part) for part in split_detail(unpatchify(patches, num_bands)))
    return stack_patches(torch.cat([level, DETAIL_GAIN * detail], dim=-1), stack_factor, num_bands)


@torch.no_grad()
def start_from_patches(acoustic: AcousticEncoder, windows: Sequence[Positions]) -> None:
    """Start the residual map of an acoustic encoder, whose LSTM joins in from zero.

    Args:
        acoustic: an encoder that sees patches.
        windows: positions of many windows.
    Source: docs/log.md, "Detail of voices".
    """
    rows = Positions(*(torch.cat(parts) for parts in zip(*windows)))
    differences = rows.features - rows.centroids
    unknown = _untold(rows.energies, rows.centroids, rows.bands)
    count = min(NUM_AXES, acoustic.config.width)
    axes, _, _ = principal_axes(unknown, count)
    inputs = torch.cat([differences, rows.patches], dim=-1)
    weight = linear_map(inputs, unknown @ axes.T.to(unknown), RIDGE)
    # As large as the difference that the paper's form starts from.
    outputs = _centered(inputs) @ weight
    weight *= _centered(differences).norm() / outputs.norm().clamp_min(1e-12)
    assert acoustic.residual is not None
    acoustic.residual.weight.zero_()
    acoustic.residual.weight[:count] = weight.T


def _untold(
    energies: Float[Tensor, "N E"], told: Float[Tensor, "N D"], bands: Int[Tensor, " N"]
) -> Float[Tensor, "N E"]:
    """Return what a linear map of what is told leaves over, in every band by itself."""
    left = energies.clone()
    for band in bands.unique():
        here = bands == band
        left[here] -= _centered(told[here]) @ linear_map(told[here], left[here], CENTROID_RIDGE)
        left[here] -= left[here].mean(dim=0)
    return left


def _centered(values: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    return values - values.mean(dim=0)


def linear_map(
    inputs: Float[Tensor, "N D"], targets: Float[Tensor, "N E"], ridge: float
) -> Float[Tensor, "D E"]:
    """Return the ridge regression of centered targets on centered inputs, solved in float64."""
    centered = _centered(inputs)
    products = (centered.T @ centered).double()
    lift = (ridge * products.diagonal()).clamp_min(1e-12 * products.diagonal().max())
    crossed = (centered.T @ _centered(targets)).double()
    return torch.linalg.solve(products + lift.diag(), crossed).to(inputs)
