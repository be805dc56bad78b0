"""A linear map that differs between the bands of a column; zero at first.

What a code means for the spectrogram, and what a patch holds, differs from band to band.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BandedLinear(nn.Module):
    """One linear map for every band of a column of positions.

    Args:
        num_bands: positions of a column, from low to high frequencies.
        in_width: width of a position.
        out_width: width of the result.
        has_bias: whether a constant of each band is added.
    """

    def __init__(
        self, num_bands: int, in_width: int, out_width: int, *, has_bias: bool = True
    ) -> None:
        super().__init__()
        self.num_bands = num_bands
        self.weight = nn.Parameter(torch.zeros(num_bands, in_width, out_width))
        self.bias = nn.Parameter(torch.zeros(num_bands, out_width)) if has_bias else None

    def forward(self, rows: Float[Tensor, "B L D"]) -> Float[Tensor, "B L P"]:
        """Return the mapped positions.

        Args:
            rows: positions of whole columns, time-major.
        """
        columns = rows.unflatten(1, (-1, self.num_bands))
        mapped = torch.einsum("bcnd,ndp->bcnp", columns, self.weight)
        return (mapped if self.bias is None else mapped + self.bias).flatten(1, 2)
