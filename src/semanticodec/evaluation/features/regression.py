"""Linear maps from features to the patches that they describe, fitted from sums.

fit:   per band of positions, sums of [x, 1]^T [x, 1] and of [x, 1]^T y over all clips -> ridge
test:  squared errors and variances per band of patches -> R^2

Nothing but sums is kept, so that the number of clips does not matter.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

# Share of a feature's mean square that is added to it: less than any feature that matters.
RIDGE = 1e-4


class LinearMaps:
    """One linear map per band, by least squares with a small ridge.

    Args:
        num_bands: bands of positions; every one has a map of its own.
    """

    def __init__(self, num_bands: int) -> None:
        self.num_bands = num_bands
        self._sums: Tensor | None = None  # bands, D + 1, D + 1 + targets
        self._maps: Tensor | None = None

    def add(
        self,
        features: Float[Tensor, "N D"],
        targets: Float[Tensor, "N targets"],
        bands: Int[Tensor, " N"],
    ) -> None:
        """Count positions in."""
        self._maps = None
        rows = F.pad(features, (0, 1), value=1.0)
        both = torch.cat([rows, targets], dim=1)
        # In float32 within a window, which is some ten times as fast, and float64 beyond.
        sums = torch.stack(
            [rows[bands == band].T @ both[bands == band] for band in range(self.num_bands)]
        ).double()
        self._sums = sums if self._sums is None else self._sums.add_(sums)

    def predict(
        self, features: Float[Tensor, "N D"], bands: Int[Tensor, " N"]
    ) -> Float[Tensor, "N targets"]:
        """Return what the maps find again of the targets."""
        if self._maps is None:
            self._maps = self._solve().float()
        rows = F.pad(features, (0, 1), value=1.0)
        found = rows.new_zeros(len(rows), self._maps.shape[2])
        for band, solution in enumerate(self._maps):
            found[bands == band] = rows[bands == band] @ solution
        return found

    def _solve(self) -> Float[Tensor, "bands D2 targets"]:
        assert self._sums is not None, "no position was counted in"
        width = self._sums.shape[1]
        squares, products = self._sums[:, :, :width], self._sums[:, :, width:]
        penalty = RIDGE * squares.diagonal(dim1=1, dim2=2)
        # Constant features, and bands without a position, would otherwise make the sums singular.
        penalty = penalty.clamp_min(1e-12 * float(penalty.max()))
        penalty[:, -1] = 1e-9
        return torch.linalg.solve(squares + penalty.diag_embed(), products)


class ExplainedVariance:
    """R^2 per band: 1 - squared error / variance, both summed over what a patch holds."""

    def __init__(self, num_bands: int) -> None:
        self.num_bands = num_bands
        self._errors = torch.zeros(num_bands, dtype=torch.float64)
        self._counts = torch.zeros(num_bands, dtype=torch.float64)
        self._sums: Tensor | None = None
        self._squares: Tensor | None = None

    def add(
        self,
        found: Float[Tensor, "N P"],
        targets: Float[Tensor, "N P"],
        bands: Int[Tensor, " N"],
    ) -> None:
        """Count patches in."""
        if self._sums is None or self._squares is None:
            self._sums = torch.zeros(self.num_bands, targets.shape[1], dtype=torch.float64)
            self._squares = self._sums.clone()
        targets = targets.double()
        self._errors.index_add_(0, bands, (found.double() - targets).square().sum(dim=1))
        self._counts.index_add_(0, bands, torch.ones(len(bands), dtype=torch.float64))
        self._sums.index_add_(0, bands, targets)
        self._squares.index_add_(0, bands, targets.square())

    def per_band(self) -> list[float]:
        """Return R^2 of every band; 1 is all, 0 no more than the mean."""
        return (1 - self._errors / self._variances()).tolist()

    def overall(self) -> float:
        """Return R^2 over all bands together."""
        return float(1 - self._errors.sum() / self._variances().sum())

    def _variances(self) -> Float[Tensor, " bands"]:
        assert self._sums is not None and self._squares is not None, "no patch was counted in"
        means = self._sums.square() / self._counts.clamp_min(1).unsqueeze(1)
        return (self._squares - means).sum(dim=1)
