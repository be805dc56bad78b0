"""Semantic first: the whole semantic stream, then the acoustic one, as in AudioLM.

    begin s0 s1 s2 ... acoustic a0 a1 a2 ... end

It starts as `SemanticOnly` does, with the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from semanticodec.codes import Codes
from semanticodec.lm.layout import Found, Layout, first_true, paired


@dataclass(frozen=True)
class SemanticFirst(Layout):
    """All semantic codes of a recording, a boundary, all its acoustic codes.

    Source: Borsos et al., AudioLM (arXiv 2209.03143), whose stages it puts into one row.
    """

    name = "semantic-first"

    @property
    def steps_per_second(self) -> float:
        """Steps of a language model per second of sound, without special tokens."""
        return 2 * self.format.positions_per_second

    def prompt(self, codes: Codes) -> Int[Tensor, "B ..."]:
        """Return all semantic codes of recordings and the boundary, for acoustic codes to follow.

        Args:
            codes: one or more recordings; their acoustic codes do not count.
        Returns:
            Ids [B, N], padded in front. Append acoustic codes of the start to keep its voice.
        Raises:
            CodesError: codes of another format or model.
        """
        return super().prompt(codes)

    def _row(self, streams: Int[Tensor, "2 L"]) -> Int[Tensor, " N"]:
        boundary = streams.new_tensor([self.vocabulary.acoustic])
        return self._framed(torch.cat((streams[0], boundary, streams[1])))

    def _num_steps(self, num_positions: int) -> int:
        return num_positions + 1

    def _found(self, row: Int[Tensor, " N"]) -> Found:
        body = self._ended(self._body(row))
        boundary = first_true(body == self.vocabulary.acoustic)
        semantic, _, semantic_problem = self._prefix(body[:boundary], (0,))
        acoustic, _, acoustic_problem = self._prefix(body[boundary + 1 :], (1,))
        return paired(
            self.vocabulary.codes(semantic, 0),
            self.vocabulary.codes(acoustic, 1),
            semantic_problem or acoustic_problem,
        )
