"""Flattened: time step by time step, the semantic codes of all bands, then the acoustic ones.

begin s0 ... s7 a0 ... a7 s8 ... s15 a8 ... a15 ... end     at 100 tokens per second
"""

from __future__ import annotations

from dataclasses import dataclass

from semanticodec.lm.row_layout import RowLayout


@dataclass(frozen=True)
class Flattened(RowLayout):
    """All semantic codes of a column, low band to high, then its acoustic codes."""

    name = "flattened"

    @property
    def pattern(self) -> tuple[int, ...]:
        """As many semantic codes as a column has bands, then as many acoustic ones."""
        bands = self.format.positions_per_column
        return (0,) * bands + (1,) * bands
