"""Layouts of one row in which the streams take turns."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from semanticodec.lm.layout import Found, Layout, paired


@dataclass(frozen=True)
class RowLayout(Layout):
    """A layout of one row in which the streams take turns in a fixed pattern."""

    @property
    @abstractmethod
    def pattern(self) -> tuple[int, ...]:
        """Streams whose codes follow each other, again and again: 0 semantic, 1 acoustic."""

    @property
    def steps_per_second(self) -> float:
        """Steps of a language model per second of sound, without special tokens."""
        return self.format.positions_per_second * len(self.pattern) / self.pattern.count(0)

    def _num_steps(self, num_positions: int) -> int:
        return num_positions * len(self.pattern) // self.pattern.count(0)

    def _row(self, streams: Int[Tensor, "2 L"]) -> Int[Tensor, " N"]:
        per_turn = self.pattern.count(0)
        turns = streams.unflatten(1, (-1, per_turn)).transpose(0, 1)  # 2 L -> C 2 p
        used = turns[:, : 1 + max(self.pattern)]
        return self._framed(used.flatten())  # C 2 p -> N

    def _found(self, row: Int[Tensor, " N"]) -> Found:
        ids, stream, problem = self._prefix(self._ended(self._body(row)), self.pattern)
        semantic = self.vocabulary.codes(ids[stream == 0], 0)
        acoustic = self.vocabulary.codes(ids[stream == 1], 1)
        return paired(semantic, acoustic, problem)
