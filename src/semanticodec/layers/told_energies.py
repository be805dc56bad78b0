"""What codes tell of a mel: a linear map of the vectors around a patch, band by band.

    vectors of positions ─→ patches ─→ own, and in few values those of four neighbors
        ─→ linear map of the band ─→ cells of the patch ─→ positions again

Patches mean the same at every token rate. The acoustic encoder subtracts what semantic codes
tell, by one map for all rates; the decoder is given what both streams tell, by one for each. An
addition of this project: not in the paper, not in the release.

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
    """Cells of the mel, as far as codes tell them; zeros when untrained.

    Args:
        config: sizes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            width: D, width of vectors.
            num_streams: 1 for centroids, 2 for acoustic vectors and centroids.
            stack_factor: K, how many patches a position joins: 1, 2 or 4.
            patch_bands: patches of a column.
            patch_cells: cells of a patch.
            neighbor_width: what is seen of each neighbor.
        """

        width: int
        num_streams: int = 1
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
        width = config.num_streams * config.width // config.stack_factor
        self.neighbor_axes = nn.Linear(width, config.neighbor_width, bias=False)
        self.cells = BandedLinear(
            config.patch_bands, width + NUM_NEIGHBORS * config.neighbor_width, config.patch_cells
        )

    def forward(self, *streams: Float[Tensor, "B L D"]) -> Float[Tensor, "B L C"]:
        """Return the told cells of every position.

        Args:
            streams: quantized vectors of whole columns, time-major.
        """
        cells = self.cells(self.surroundings(self.patches(*streams)))
        return stack_patches(cells, self.config.stack_factor, self.config.patch_bands)

    def patches(self, *streams: Float[Tensor, "B L D"]) -> Float[Tensor, "B P D2"]:
        """Return the parts of vectors that belong to single patches, stream beside stream."""
        factor, bands = self.config.stack_factor, self.config.patch_bands
        return torch.cat([unstack_patches(stream, factor, bands) for stream in streams], dim=2)

    def surroundings(self, patches: Float[Tensor, "B P D2"]) -> Float[Tensor, "B P E"]:
        """Return what is known around every patch: its vectors, in few values those beside it.

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
