"""Ridge regression: the best linear map from one set of rows to another, in closed form."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.layers.banded_linear import BandedLinear

# Share of every input's variance that is added to it, so that rare inputs get no large weight.
RIDGE = 1e-4


def centered(values: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
    """Return rows less their mean."""
    return values - values.mean(dim=0)


def linear_map(
    inputs: Float[Tensor, "N D"], targets: Float[Tensor, "N E"], ridge: float
) -> Float[Tensor, "D E"]:
    """Return the ridge regression of centered targets on centered inputs, solved in float64."""
    rows, wanted = centered(inputs).double(), centered(targets).double()
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
) -> None:
    """Set a map with constants to the regression of each band's rows.

    Args:
        layer: map to set.
        inputs: rows to map.
        targets: what they shall become.
        bands: number of each row's band.
    """
    assert layer.bias is not None
    for band in range(layer.num_bands):
        here = bands == band
        weight = linear_map(inputs[here], targets[here], RIDGE)
        layer.weight[band] = weight
        layer.bias[band] = targets[here].mean(dim=0) - inputs[here].mean(dim=0) @ weight
