"""Delayed: streams side by side in rows, each some steps behind the first, as in MusicGen.

Two rows, a step is a position (delays 0 and 1):

    begin s0    s1 s2 s3  end pad
    begin empty a0 a1 a2  a3  end

Or a row for every band of both streams, a step is a column (`by_column`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from semanticodec.codes import UNKNOWN_FINGERPRINT
from semanticodec.errors import CodesError, ConfigError
from semanticodec.lm.layout import Found, Layout
from semanticodec.token_format import TokenFormat
from semanticodec.token_layouts import Ids, as_ids


@dataclass(frozen=True)
class Delayed(Layout):
    """Rows of ids [R, N] that a model reads and writes in step; each has its own embeddings.

    Attributes:
        delays: steps by which every row is late: two for semantic and acoustic, or one for each
            band of the semantic and then of the acoustic stream, low to high.
    Raises:
        ConfigError: another number of delays, or one below 0.
    Source: Copet et al., MusicGen (arXiv 2306.05284), Sec. 2.2.
    """

    name = "delayed"
    is_per_stream = True

    delays: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        numbers = (2, 2 * self.format.positions_per_column)
        if len(self.delays) not in numbers or min(self.delays) < 0:
            raise ConfigError(
                f"delays {self.delays}; give a number of steps from 0 for each of {numbers[0]} or "
                f"{numbers[1]} rows"
            )

    @classmethod
    def by_column(
        cls,
        format: TokenFormat,
        delay: int = 1,
        *,
        fingerprint: bytes = UNKNOWN_FINGERPRINT,
        first_id: int = 0,
    ) -> Delayed:
        """Return the layout of one step per column, with the acoustic rows late by `delay` steps.

        Args:
            format: token rate and vocabularies: a codec's `format`.
            delay: steps from the semantic codes of a column to its acoustic ones, from 0.
            fingerprint: 8 bytes that name the model; zeros: unknown.
            first_id: id of the first code of every row.
        """
        bands = format.positions_per_column
        delays = (0,) * bands + (delay,) * bands
        return cls(format, delays, fingerprint=fingerprint, first_id=first_id)

    @property
    def num_rows(self) -> int:
        """R, the rows of ids: 2, or 16 or 8 by column."""
        return len(self.delays)

    @property
    def steps_per_second(self) -> float:
        """Steps of a language model per second of sound, without special tokens."""
        return self.format.positions_per_second / self._rows_per_stream

    @property
    def _rows_per_stream(self) -> int:
        return self.num_rows // 2

    def _num_steps(self, num_positions: int) -> int:
        return num_positions // self._rows_per_stream

    def _row(self, streams: Int[Tensor, "2 L"]) -> Int[Tensor, "rows N"]:
        steps = streams.unflatten(1, (-1, self._rows_per_stream))  # 2 L -> 2 T r
        codes = steps.transpose(1, 2).flatten(0, 1)  # 2 T r -> R T
        num_rows, length = codes.shape
        known = self.vocabulary
        row = codes.new_full((num_rows, 1 + max(self.delays) + length + 1), known.pad)
        row[:, 0] = known.begin
        for index, delay in enumerate(self.delays):
            start = 1 + delay
            row[index, 1:start] = known.empty
            row[index, start : start + length] = codes[index]
            row[index, start + length] = known.end
        return row

    def _found(self, row: Int[Tensor, "rows N"]) -> Found:
        body = self._body(row)
        codes, problems = [], []
        for index, delay in enumerate(self.delays):
            stream = index // self._rows_per_stream
            ids, _, problem = self._prefix(self._ended(body[index, delay:]), (stream,))
            codes.append(self.vocabulary.codes(ids, stream))
            problems.append(problem)
        lengths = [len(each) for each in codes]
        problem = next(filter(None, problems), "")
        if min(lengths) != max(lengths) and not problem:
            problem = f"some rows have {max(lengths)} codes and others {min(lengths)}"
        steps = torch.stack([each[: min(lengths)] for each in codes])  # R T
        by_stream = steps.unflatten(0, (2, -1))  # R T -> 2 r T
        return Found(by_stream.transpose(1, 2).flatten(1), problem)  # 2 r T -> 2 L

    def _checked_row(self, row: Ids) -> Int[Tensor, "rows N"]:
        tensor = as_ids("ids", row)
        if tensor.ndim != 2 or len(tensor) != self.num_rows:
            raise CodesError(
                f"ids of shape {list(tensor.shape)} for one recording; this layout has "
                f"{self.num_rows} rows: give [B, {self.num_rows}, N]"
            )
        return tensor
