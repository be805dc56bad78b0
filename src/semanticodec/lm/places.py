"""Where the ids of a layout lie in time and frequency."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.token_format import TokenGrid

NO_PLACE = -1


@dataclass(frozen=True, eq=False)
class Places:
    """Stream, band and time step of every id, -1 for special tokens; shapes are those of the ids.

    Attributes:
        stream: 0 for semantic, 1 for acoustic codes.
        band: frequency band, 0 is the lowest.
        column: time step from the start of the recording.
        grid: token rate that the bands and time steps belong to.
    """

    stream: Int[Tensor, "B ..."]
    band: Int[Tensor, "B ..."]
    column: Int[Tensor, "B ..."]
    grid: TokenGrid

    @property
    def start_s(self) -> Float[Tensor, "B ..."]:
        """Seconds from the start of the recording to that of the time step; -1 likewise."""
        seconds = self.column / self.grid.columns_per_second
        return torch.where(self.column == NO_PLACE, float(NO_PLACE), seconds)
