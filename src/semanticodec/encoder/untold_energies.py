"""What the semantic codes around a position leave untold of its mel, where it is heard.

    centroids ─→ `ToldEnergies` ─────────────────────────────────────┐
    mel ─→ cells of the position ───────────────────────────────→ − ←─┘
     │                                                            │
     └─→ weights: 1 where loud, 0.1 where masked ───────────→ × ←─┘
                                                              └─→ linear map ─→ values on axes
    values ─→ linear map ─→ cells again, each patch of a position in its own part of the width

An acoustic code of 13 bits cannot tell all that is left. The weights keep it from telling noise
that nobody hears; the neighbors' centroids from telling what the decoder knows from them. As
cells they mean the same at every token rate, so that one decoder can read them all. An addition
of this project: not in the paper, not in the release.

Shapes: B batch · L positions · D width of a position · T frames of 10 ms, M bins of the mel ·
C cells of a position · A axes.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.audibility import REACH, level_weights
from semanticodec.audio.mel import HOP_LENGTH
from semanticodec.layers.patches import cut_patches
from semanticodec.layers.stacking import stack_patches
from semanticodec.layers.told_energies import ToldEnergies
from semanticodec.token_format import PATCH_SAMPLES, TokenGrid

FRAMES_PER_PATCH = PATCH_SAMPLES // HOP_LENGTH


class UntoldEnergies(nn.Module):
    """A position's mel less what semantic codes tell, weighted, in a few values.

    Untrained it gives zeros; training starts it in closed form.

    Args:
        config: sizes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            width: width of centroids.
            num_mel_bins: M.
            stack_factor: K, how many patches a position joins: 1, 2 or 4.
            num_bands: positions of a column.
            num_axes: A.
            neighbor_width: see `ToldEnergies`.
        """

        width: int
        num_mel_bins: int
        stack_factor: int
        num_bands: int
        num_axes: int
        neighbor_width: int

        @property
        def patch_bands(self) -> int:
            """Patches along the frequency axis."""
            return self.num_bands * TokenGrid.from_stack_factor(self.stack_factor).block[1]

        @property
        def bins_per_patch(self) -> int:
            """Bins of the mel that a patch has."""
            return self.num_mel_bins // self.patch_bands

        @property
        def told(self) -> ToldEnergies.Config:
            """Sizes of what semantic codes tell."""
            return ToldEnergies.Config(
                width=self.width,
                stack_factor=self.stack_factor,
                patch_bands=self.patch_bands,
                patch_cells=FRAMES_PER_PATCH * self.bins_per_patch,
                neighbor_width=self.neighbor_width,
            )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.told = ToldEnergies(config.told)
        self.axes = nn.Linear(config.told.num_cells, config.num_axes, bias=False)
        self.spread = nn.Linear(config.num_axes, config.told.num_cells, bias=False)
        nn.init.zeros_(self.axes.weight)

    def forward(
        self, centroids: Float[Tensor, "B L D"], mel: Float[Tensor, "B T M"]
    ) -> Float[Tensor, "B L A"]:
        """Return the values of every position on the axes.

        Args:
            centroids: semantic centroids of whole columns, time-major.
            mel: log amplitudes of the positions' frames.
        """
        return self.axes(self.untold(centroids, mel))

    def untold(
        self, centroids: Float[Tensor, "B L D"], mel: Float[Tensor, "B T M"]
    ) -> Float[Tensor, "B L C"]:
        """Return the cells of every position less what is told, weighted."""
        return (self.positions(mel) - self.told(centroids)) * self.weights(mel)

    def as_cells(self, values: Float[Tensor, "B L A"]) -> Float[Tensor, "B L D"]:
        """Return values as cells, as wide as centroids; a narrow width holds the first ones."""
        factor = self.config.stack_factor
        patches = self.spread(values).unflatten(2, (factor, -1))
        part = self.config.width // factor
        return F.pad(patches, (0, part - patches.shape[3])).flatten(2, 3)

    def weights(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B L C"]:
        """Return how much the cells of every position count."""
        return self.positions(level_weights(mel, REACH))

    def positions(self, spectrogram: Float[Tensor, "B T M"]) -> Float[Tensor, "B L C"]:
        """Cut a spectrogram into the cells of its positions."""
        config = self.config
        patches = cut_patches(spectrogram, FRAMES_PER_PATCH, config.bins_per_patch)
        return stack_patches(patches, config.stack_factor, config.patch_bands)
