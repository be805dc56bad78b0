"""Semantic only: the stream that says what is heard, for a first model of two.

begin s0 s1 s2 ... end
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from semanticodec.lm.layout import Found
from semanticodec.lm.row_layout import RowLayout


@dataclass(frozen=True)
class SemanticOnly(RowLayout):
    """Semantic codes alone.

    Decoded codes have 0 for every acoustic code: a stand-in, not sound. `SemanticFirst.prompt`
    makes of them what a second model continues with the acoustic codes.
    """

    name = "semantic-only"

    @property
    def pattern(self) -> tuple[int, ...]:
        """Semantic."""
        return (0,)

    def _found(self, row: Int[Tensor, " N"]) -> Found:
        ids, _, problem = self._prefix(self._ended(self._body(row)), self.pattern)
        semantic = self.vocabulary.codes(ids, 0)
        return Found(torch.stack((semantic, torch.zeros_like(semantic))), problem)
