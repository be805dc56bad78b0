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
from torch import Tensor, nn

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import patchify, unpatchify
from semanticodec.encoder.quantizer import principal_axes
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.layers.stacking import stack_patches

# Standard deviations of normalized log energies, smoothed over five bins and less that.
LEVEL_STD, DETAIL_STD = 0.5, 0.1
# How much detail counts in each eighth of the bins. Voices have their harmonics in the lower
# four; higher up detail is mostly the chance of noise, and bits for it would be lost.
DETAIL_WEIGHTS = (2.0, 2.5, 2.2, 2.0, 1.0, 0.7, 0.7, 0.7)
NUM_AXES = 32
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
    """Return level and detail of every position, each at variance 1 times its weight.

    Args:
        patches: energies of single patches (K = 1), normalized.
        stack_factor: K of the positions.
        num_bands: patches along the frequency axis.
    """
    band = torch.arange(patches.shape[1], device=patches.device) % num_bands
    weights = torch.tensor(DETAIL_WEIGHTS, device=patches.device)
    weight = weights[band * len(DETAIL_WEIGHTS) // num_bands].view(1, -1, 1)
    level, detail = (patchify(part) for part in split_detail(unpatchify(patches, num_bands)))
    parts = torch.cat([level / LEVEL_STD, weight * detail / DETAIL_STD], dim=-1)
    return stack_patches(parts, stack_factor, num_bands)


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
    unknown = rows.energies.clone()
    for band in rows.bands.unique():
        here = rows.bands == band
        told = _linear_map(rows.centroids[here], unknown[here], CENTROID_RIDGE)
        unknown[here] -= _centered(rows.centroids[here]) @ told
        unknown[here] -= unknown[here].mean(dim=0)
    count = min(NUM_AXES, acoustic.config.width)
    axes, _, _ = principal_axes(unknown, count)
    inputs = torch.cat([differences, rows.patches], dim=-1)
    weight = _linear_map(inputs, unknown @ axes.T.to(unknown), RIDGE)
    # As large as the difference that the paper's form starts from.
    outputs = _centered(inputs) @ weight
    weight *= _centered(differences).norm() / outputs.norm().clamp_min(1e-12)
    assert acoustic.residual is not None
    acoustic.residual.weight.zero_()
    acoustic.residual.weight[:count] = weight.T


@torch.no_grad()
def read_as(
    quantizer: VectorQuantizer,
    codes: Float[Tensor, "N W"],
    earlier: Float[Tensor, "N D"],
) -> None:
    """Let new codes mean to a trained decoder what the earlier ones meant that they replace.

    `project_out` becomes the best linear map from code vectors to the earlier acoustic features.
    These fill a few dimensions: what the new codes have beyond them goes to others, at half their
    size, for the decoder to discover.

    Args:
        quantizer: the new quantizer, with projections and codes of any length.
        codes: code vectors of the new codes of many positions.
        earlier: acoustic features that the earlier quantizer gave for the same positions.
    """
    project_out = quantizer.project_out
    assert isinstance(project_out, nn.Linear)
    weight = _linear_map(codes, earlier, RIDGE).T  # W D -> D W
    directions, strengths, _ = torch.linalg.svd(_centered(earlier).T @ _centered(earlier))
    width = weight.shape[1]
    num_free = int((strengths < 1e-6 * strengths[0]).sum())
    free = directions[:, len(directions) - min(num_free, width) :]
    if free.shape[1] == width:
        size = _centered(earlier).norm() / _centered(codes).norm().clamp_min(1e-12)
        weight = weight + 0.5 * size * free
    project_out.weight.copy_(weight)
    project_out.bias.copy_(earlier.mean(dim=0) - weight @ codes.mean(dim=0))


def _centered(values: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    return values - values.mean(dim=0)


def _linear_map(
    inputs: Float[Tensor, "N D"], targets: Float[Tensor, "N E"], ridge: float
) -> Float[Tensor, "D E"]:
    """Return the ridge regression of centered targets on centered inputs, solved in float64."""
    centered = _centered(inputs)
    products = (centered.T @ centered).double()
    lift = (ridge * products.diagonal()).clamp_min(1e-12 * products.diagonal().max())
    crossed = (centered.T @ _centered(targets)).double()
    return torch.linalg.solve(products + lift.diag(), crossed).to(inputs)
