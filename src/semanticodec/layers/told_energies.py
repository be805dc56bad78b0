"""What semantic codes tell of a mel: a linear map of the centroids around a patch, band by band.

    centroids of positions ─→ patches ─→ own, and in few values those of four neighbors
        ─→ linear map of the band ─→ cells of the patch ─→ positions again

Patches mean the same at every token rate, so one map serves all. The acoustic encoder subtracts
what is told, the decoder is given it. An addition of this project: not in the paper, not in the
release.

Shapes: B batch · L positions · D width of a position · P patches · C cells of a position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.stacking import stack_patches, unstack_patches

NUM_NEIGHBORS = 4


class ToldEnergies(nn.Module):
    """Cells of the mel, as far as semantic centroids tell them; zeros when untrained.

    Args:
        config: sizes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            width: D, width of centroids.
            stack_factor: K, how many patches a position joins: 1, 2 or 4.
            patch_bands: patches of a column.
            patch_cells: cells of a patch.
            neighbor_width: what is seen of each neighbor's centroid.
        """

        width: int
        stack_factor: int = 1
        patch_bands: int = 8
        patch_cells: int = 128
        neighbor_width: int = 64

        @property
        def num_cells(self) -> int:
            """C, cells of a position."""
            return self.stack_factor * self.patch_cells

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width // config.stack_factor
        self.neighbor_axes = nn.Linear(width, config.neighbor_width, bias=False)
        self.cells = BandedLinear(
            config.patch_bands, width + NUM_NEIGHBORS * config.neighbor_width, config.patch_cells
        )

    def forward(self, centroids: Float[Tensor, "B L D"]) -> Float[Tensor, "B L C"]:
        """Return the told cells of every position.

        Args:
            centroids: semantic centroids of whole columns, time-major.
        """
        cells = self.cells(self.surroundings(self.patches(centroids)))
        return stack_patches(cells, self.config.stack_factor, self.config.patch_bands)

    def patches(self, centroids: Float[Tensor, "B L D"]) -> Float[Tensor, "B P D2"]:
        """Return the parts of centroids that belong to single patches."""
        return unstack_patches(centroids, self.config.stack_factor, self.config.patch_bands)

    def surroundings(self, patches: Float[Tensor, "B P D2"]) -> Float[Tensor, "B P E"]:
        """Return what is known around every patch: its centroid, in few values those beside it.

        Beyond the edges of the window a patch is its own neighbor.
        """
        columns = self.neighbor_axes(patches).unflatten(1, (-1, self.config.patch_bands))
        beside = [
            torch.cat([columns[:, :1], columns[:, :-1]], dim=1),
            torch.cat([columns[:, 1:], columns[:, -1:]], dim=1),
            torch.cat([columns[:, :, :1], columns[:, :, :-1]], dim=2),
            torch.cat([columns[:, :, 1:], columns[:, :, -1:]], dim=2),
        ]
        return torch.cat([patches, *(rows.flatten(1, 2) for rows in beside)], dim=-1)
