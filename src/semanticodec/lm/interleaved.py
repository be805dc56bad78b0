"""Interleaved: both codes of a position, position by position.

    begin s0 a0 s1 a1 s2 a2 ... end

Without begin and end the ids of `Codes.interleaved()`.
"""

from __future__ import annotations

from dataclasses import dataclass

from semanticodec.lm.row_layout import RowLayout


@dataclass(frozen=True)
class Interleaved(RowLayout):
    """Semantic and acoustic code of one position after the other."""

    name = "interleaved"

    @property
    def pattern(self) -> tuple[int, ...]:
        """Semantic, acoustic."""
        return (0, 1)
