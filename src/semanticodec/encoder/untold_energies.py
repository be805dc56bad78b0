"""What the semantic codes around a position leave untold of its energies, where it is heard.

                       features - centroid, centroid, centroids beside it ─┐
    patches ─→ filter bank ─→ surroundings of the position ────────────────┤
                   │                                         linear map of each band
                   │                                                       │
                   └─→ weights: 1 where loud, 0.1 where masked ─→ × ←─ energies untold
                                                                  └─→ linear map ─→ vector

An acoustic code of 13 bits cannot tell all of that. The weights keep it from telling noise that
nobody hears; the neighbors' centroids from telling what the decoder knows from them. An addition
of this project: not in the paper, not in the release.

Shapes: B batch · L positions · D width of a position · P energies of a position's patches ·
C cells, energies at half the filter bank's resolution in frequency · A width of the vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.audibility import level_weights
from semanticodec.audio.fbank import FBANK_STD
from semanticodec.encoder.audiomae import unpatchify
from semanticodec.layers.banded_linear import BandedLinear
from semanticodec.layers.stacking import stack_patches, unstack_patches
from semanticodec.token_format import TokenGrid

# Frames and bins around a position that it sees: the mel that is decoded has longer frames than
# the filter bank, and other bins.
MARGIN_FRAMES = 4
MARGIN_BINS = 2
# Bins of the filter bank that make a cell.
BINS_PER_CELL = 2
NUM_NEIGHBORS = 4
# 70 dB on the scale of the normalized filter bank, natural logarithms of energies.
REACH = 70.0 * math.log(10) / 10 / (2 * FBANK_STD)


class UntoldEnergies(nn.Module):
    """Energies of a position less what semantic codes tell, weighted, in a few numbers.

    Untrained it gives zeros; training starts it in closed form.

    Args:
        config: sizes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            width: width of features and centroids.
            patch_width: energies of a position, those of K square patches.
            stack_factor: K, 1, 2 or 4.
            num_bands: positions of a column.
            out_width: width of the vector.
            centroid_width: what is seen of each neighbor's centroid.
            inner_width: most that the map to the cells goes through.
        """

        width: int
        patch_width: int
        stack_factor: int
        num_bands: int
        out_width: int
        centroid_width: int
        inner_width: int = 128

        @property
        def patch_size(self) -> int:
            """Frames, and bins, of a patch."""
            return math.isqrt(self.patch_width // self.stack_factor)

        @property
        def num_cells(self) -> int:
            """C, cells of a position."""
            return self.patch_width // BINS_PER_CELL

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.times, self.bands = TokenGrid.from_stack_factor(config.stack_factor).block
        seen = (self.times * config.patch_size + 2 * MARGIN_FRAMES) * (
            self.bands * config.patch_size + 2 * MARGIN_BINS
        )
        in_width = 2 * config.width + NUM_NEIGHBORS * config.centroid_width + seen
        inner_width = min(config.inner_width, config.num_cells)
        self.centroid_axes = nn.Linear(config.width, config.centroid_width, bias=False)
        self.reduce = BandedLinear(config.num_bands, in_width, inner_width, has_bias=False)
        self.cells = BandedLinear(config.num_bands, inner_width, config.num_cells)
        self.axes = nn.Linear(config.num_cells, config.out_width, bias=False)
        nn.init.zeros_(self.axes.weight)

    def forward(
        self,
        features: Float[Tensor, "B L D"],
        centroids: Float[Tensor, "B L D"],
        patches: Float[Tensor, "B L P"],
    ) -> Float[Tensor, "B L A"]:
        """Return the vector of every position.

        Args:
            features: stacked features of whole columns, time-major.
            centroids: their semantic centroids.
            patches: energies of the positions' patches, on the normalized filter bank's scale.
        """
        fbank = self.fbank(patches)
        untold = self.cells(self.reduce(self.inputs(features, centroids, fbank)))
        return self.axes(untold * self.weights(fbank))

    def fbank(self, patches: Float[Tensor, "B L P"]) -> Float[Tensor, "B T M"]:
        """Return the filter bank that stacked patches were cut from."""
        num_bands = self.config.num_bands * self.bands
        single = unstack_patches(patches, self.config.stack_factor, num_bands)
        return unpatchify(single, num_bands)

    def inputs(
        self,
        features: Float[Tensor, "B L D"],
        centroids: Float[Tensor, "B L D"],
        fbank: Float[Tensor, "B T M"],
    ) -> Float[Tensor, "B L N"]:
        """Return what the untold energies are a linear map of; what is told comes first."""
        told = self.told(centroids)
        return torch.cat([told, features - centroids, self._surroundings(fbank)], dim=-1)

    def told(self, centroids: Float[Tensor, "B L D"]) -> Float[Tensor, "B L E"]:
        """Return what semantic codes tell: a position's centroid, and in few axes those beside it.

        Beyond the edges of the window a position is its own neighbor.
        """
        columns = self.centroid_axes(centroids).unflatten(1, (-1, self.config.num_bands))
        beside = [
            torch.cat([columns[:, :1], columns[:, :-1]], dim=1),
            torch.cat([columns[:, 1:], columns[:, -1:]], dim=1),
            torch.cat([columns[:, :, :1], columns[:, :, :-1]], dim=2),
            torch.cat([columns[:, :, 1:], columns[:, :, -1:]], dim=2),
        ]
        return torch.cat([centroids, *(rows.flatten(1, 2) for rows in beside)], dim=-1)

    def _surroundings(self, fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B L S"]:
        frames, bins = self.times * self.config.patch_size, self.bands * self.config.patch_size
        margins = (MARGIN_BINS, MARGIN_BINS, MARGIN_FRAMES, MARGIN_FRAMES)
        padded = F.pad(fbank, margins, mode="replicate")
        pieces = padded.unfold(1, frames + 2 * MARGIN_FRAMES, frames)
        pieces = pieces.unfold(2, bins + 2 * MARGIN_BINS, bins)  # B T/t M/m frames bins
        return pieces.flatten(3, 4).flatten(1, 2)

    def weights(self, fbank: Float[Tensor, "B T M"]) -> Float[Tensor, "B L C"]:
        """Return how much the cells of every position count."""
        cells = F.max_pool1d(fbank, BINS_PER_CELL)
        return self.positions(level_weights(cells, REACH))

    def positions(self, cells: Float[Tensor, "B T M"]) -> Float[Tensor, "B L C"]:
        """Cut a spectrogram of half the filter bank's bins into the positions' cells."""
        num_bands = self.config.num_bands * self.bands
        columns = cells.unflatten(2, (num_bands, -1)).unflatten(1, (-1, self.config.patch_size))
        patches = columns.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # B t n F m -> B L C
        return stack_patches(patches, self.config.stack_factor, num_bands)
