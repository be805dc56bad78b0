"""Ridge regression: the best linear map from one set of rows to another, in closed form."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.audio.audibility import REACH, level_weights
from semanticodec.encoder.untold_energies import FRAMES_PER_PATCH
from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.patches import cut_patches

# Share of every input's variance that is added to it, so that rare inputs get no large weight.
RIDGE = 1e-4


def mean_row(values: Float[Tensor, "N D"], weights: Float[Tensor, " N"]) -> Float[Tensor, " D"]:
    """Return the weighted mean of rows."""
    return weights @ values / weights.sum()


def linear_map(
    inputs: Float[Tensor, "N D"],
    targets: Float[Tensor, "N E"],
    ridge: float,
    weights: Float[Tensor, " N"],
) -> Float[Tensor, "D E"]:
    """Return the ridge regression of centered targets on centered inputs, solved in float64.

    Args:
        inputs: rows to map.
        targets: what they shall become.
        ridge: share of every input's variance that is added to it.
        weights: how much the square error of every row counts.
    """
    size = weights.double().sqrt().unsqueeze(1)
    rows, wanted = (
        size * (values - mean_row(values, weights)).double() for values in (inputs, targets)
    )
    energies = rows.square().sum(dim=0)
    lift = (ridge * energies).clamp_min(1e-12 * energies.max())
    if len(rows) >= rows.shape[1]:
        return torch.linalg.solve(rows.T @ rows + lift.diag(), rows.T @ wanted).to(inputs)
    # The same from the rows' products, of which there are fewer.
    lifted = rows / lift
    products = lifted @ rows.T + torch.eye(len(rows), dtype=rows.dtype, device=rows.device)
    return (lifted.T @ torch.linalg.solve(products, wanted)).to(inputs)


@torch.no_grad()
def fit_bands(
    layer: BandedLinear,
    inputs: Float[Tensor, "N D"],
    targets: Float[Tensor, "N E"],
    bands: Int[Tensor, " N"],
    weights: Float[Tensor, " N"],
) -> None:
    """Set a map with constants to the regression of each band's rows.

    Args:
        layer: map to set.
        inputs: rows to map.
        targets: what they shall become.
        bands: number of each row's band.
        weights: how much the square error of every row counts.
    """
    assert layer.bias is not None
    for band in range(layer.num_bands):
        here = bands == band
        given = inputs[here], targets[here]
        weight = linear_map(*given, RIDGE, weights[here])
        mean_input, mean_target = (mean_row(values, weights[here]) for values in given)
        layer.weight[band] = weight
        layer.bias[band] = mean_target - mean_input @ weight


def heard(mel: Float[Tensor, "1 T M"], num_bands: int) -> Float[Tensor, " L"]:
    """Return how much the patches of a window count: the square of their cells' mean weight.

    What codes say of masked cells has another size, see `UntoldEnergies`.

    Args:
        mel: log-mel spectrogram.
        num_bands: patches along the frequency axis.
    """
    patches = cut_patches(level_weights(mel, REACH), FRAMES_PER_PATCH, mel.shape[2] // num_bands)
    return patches[0].mean(dim=1).square()
