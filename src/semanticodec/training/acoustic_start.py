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
from torch.nn import functional as F

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
# Energies of a patch of 16 x 16.
PATCH_ENERGIES = 256
# Variance of the detail in the code space as a share of what is there before.
DETAIL_SHARE = 0.5
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
    unknown = _untold(rows.energies, rows.centroids, rows.bands)
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
def extend_with_detail(
    acoustic: AcousticEncoder,
    quantizer: VectorQuantizer,
    earlier: VectorQuantizer,
    windows: Sequence[Positions],
    vectors: Float[Tensor, "N D"],
) -> None:
    """Add the detail of the patches to what trained codes carry, for a decoder that knows these.

    The earlier code space fills a few dimensions of the acoustic features. The detail that
    centroid and earlier vector do not tell goes to dimensions beside them, by a linear map of
    [features - centroids, patches]; the code space gets as many more. So the decoder goes on
    reading the old part as it learned to, and finds the new one beside it.

    Args:
        acoustic: the trained acoustic encoder, whose map of the patches is still zero.
        quantizer: quantizer with wider codes; its codebook is left to `start_codebook`.
        earlier: the quantizer that the decoder was trained with.
        windows: positions of many windows.
        vectors: the acoustic encoder's output for them.
    """
    rows = Positions(*(torch.cat(parts) for parts in zip(*windows)))
    old_in, old_out = _projections(earlier)
    new_in, new_out = _projections(quantizer)
    known = F.linear(vectors, old_in.weight, old_in.bias)
    count = new_in.out_features - old_in.out_features
    level_and_detail = rows.energies.unflatten(1, (-1, 2, PATCH_ENERGIES))
    told = torch.cat([rows.centroids, known], dim=-1)
    unknown = _untold(level_and_detail[:, :, 1].flatten(1), told, rows.bands)
    axes, _, _ = principal_axes(unknown, count)
    inputs = torch.cat([rows.features - rows.centroids, rows.patches], dim=-1)
    weight = _linear_map(inputs, unknown @ axes.T.to(unknown), RIDGE)
    outputs = inputs @ weight
    share = DETAIL_SHARE * _centered(known).square().sum() / _centered(outputs).square().sum()
    weight *= share.sqrt()
    directions = torch.linalg.svd(old_in.weight, full_matrices=True).Vh[-count:]
    assert acoustic.residual is not None
    for part in (acoustic.project, acoustic.residual):
        # What the earlier code space left out makes room.
        part.weight -= directions.T @ (directions @ part.weight)
    acoustic.residual.weight += directions.T @ weight.T
    middle = (inputs @ weight).mean(dim=0)
    new_in.weight.copy_(torch.cat([old_in.weight, directions]))
    new_in.bias.copy_(torch.cat([old_in.bias, -middle]))
    new_out.weight.copy_(torch.cat([old_out.weight, directions.T], dim=1))
    new_out.bias.copy_(old_out.bias)


def _untold(
    energies: Float[Tensor, "N E"], told: Float[Tensor, "N D"], bands: Int[Tensor, " N"]
) -> Float[Tensor, "N E"]:
    """Return what a linear map of what is told leaves over, in every band by itself."""
    left = energies.clone()
    for band in bands.unique():
        here = bands == band
        left[here] -= _centered(told[here]) @ _linear_map(told[here], left[here], CENTROID_RIDGE)
        left[here] -= left[here].mean(dim=0)
    return left


def _projections(quantizer: VectorQuantizer) -> tuple[nn.Linear, nn.Linear]:
    project_in, project_out = quantizer.project_in, quantizer.project_out
    assert isinstance(project_in, nn.Linear) and isinstance(project_out, nn.Linear)
    return project_in, project_out


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
