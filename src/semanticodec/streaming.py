"""Decoding while codes arrive: a decoder that is given codes and gives samples.

The windows of a whole recording, those of `decode_stream` (k-th window, in codes):

    |------ 10.24 s ------|                    sounds until 0.64 s before its end,
                        |--|-----------------|   cross-faded with the next

Live windows, one for each window of `encode_stream`:

             |- context -|----- window k -----|  sounds from `overlap_s` before its own codes
                                                 until `overlap_s` before their end
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.audio.windows import (
    OVERLAP_FRACTION,
    OVERLAP_SAMPLES,
    cross_faded,
    steps_of,
)
from semanticodec.codec import SemantiCodec
from semanticodec.codes import Codes
from semanticodec.decoding import CodedRecording
from semanticodec.errors import CodesError, ConfigError, told
from semanticodec.layers.surroundings import trainable
from semanticodec.token_format import SAMPLE_RATE, WINDOW_SAMPLES, TokenGrid

CONTEXT_S = 0.64
OVERLAP_S = 0.08


@dataclass(frozen=True, kw_only=True)
class WindowGrid:
    """Where the windows of a stream lie.

    Attributes:
        hop: positions from one window to the next.
        context: positions of a window before its own.
        rest: positions of a window behind its own.
        overlap_samples: length of the cross-fade; as much of the last window is held back.
        lead_samples: how long before its own positions a window begins to sound.
    """

    hop: int
    context: int
    rest: int
    overlap_samples: int
    lead_samples: int

    @classmethod
    def of_recording(cls, grid: TokenGrid) -> WindowGrid:
        """Return the windows of `decode_stream`."""
        rest = grid.positions_per_window // OVERLAP_FRACTION
        return cls(
            hop=grid.positions_per_window - rest,
            context=0,
            rest=rest,
            overlap_samples=OVERLAP_SAMPLES,
            lead_samples=0,
        )

    @classmethod
    def live(
        cls, grid: TokenGrid, window_s: float, context_s: float, overlap_s: float
    ) -> WindowGrid:
        """Return windows that end with the codes of a window of `encode_stream`.

        Raises:
            ConfigError: times that are not allowed, or a window that is too long with its context.
        """
        window = steps_of("window_s", window_s)
        context = steps_of("context_s", context_s, least_samples=0)
        if window + context > WINDOW_SAMPLES:
            raise ConfigError(
                f"window_s {window_s!r} and context_s {context_s!r} together are longer than "
                f"{WINDOW_SAMPLES / SAMPLE_RATE:g} s; give less context, or window_s=None for the "
                "windows of decode_stream"
            )
        longest = min(window, context)
        if not isinstance(overlap_s, Real) or not 0 <= overlap_s <= longest / SAMPLE_RATE:
            raise ConfigError(
                f"overlap_s is {told(overlap_s)}; give 0 to {longest / SAMPLE_RATE:g}, as much as "
                "context and window hold"
            )
        overlap_samples = round(overlap_s * SAMPLE_RATE)
        return cls(
            hop=window // grid.samples_per_position,
            context=context // grid.samples_per_position,
            rest=0,
            overlap_samples=overlap_samples,
            lead_samples=overlap_samples,
        )


class StreamDecoder:
    """Decodes a stream of codes as they arrive, from its beginning or from where it is joined.

    After `push` of n whole windows of `window_s` from the beginning of a stream, n * window_s -
    overlap_s seconds have been returned: a constant latency. Without `window_s` the samples are
    those of `decode_stream` (`batch_size=1`: windows are computed one by one), and come as soon as
    a window of 10.24 s is full. How codes are split over calls changes no sample. Codes are held
    for one window, samples for one overlap.

    Attributes:
        next_sample: number, in the whole stream, of the sample that is returned next.
    """

    next_sample: int

    def __init__(
        self,
        codec: SemantiCodec,
        window_s: float | None = None,
        *,
        context_s: float = CONTEXT_S,
        overlap_s: float = OVERLAP_S,
        joined_at: int = 0,
        **options: Any,
    ) -> None:
        """Get ready for the first codes.

        Args:
            codec: codec of the codes.
            window_s: `window_s` of `encode_stream`, in seconds; None: windows of `decode_stream`.
            context_s: with `window_s`: codes before a window that are decoded with it, in seconds,
                a multiple of 0.32; more cost computation and no latency.
            overlap_s: with `window_s`: cross-fade of windows in seconds, up to `context_s`; it is
                part of the latency.
            joined_at: positions of the stream before the first codes that will be pushed. Samples
                begin with the next window and are those of a decoder that was there from the
                beginning, from the second window and its cross-fade on.
            options: `sampling`, `seed` and all other options of `decode`.
        Raises:
            ConfigError: no codec, or a setting out of its range.
        """
        if not isinstance(codec, SemantiCodec):
            raise ConfigError(f"codec is {told(codec)}; give a SemantiCodec")
        grid = codec.format
        column = grid.positions_per_column
        if not isinstance(joined_at, Integral) or joined_at < 0 or joined_at % column:
            raise ConfigError(
                f"joined_at is {told(joined_at)}; give whole columns, a multiple of {column} "
                "positions"
            )
        self._codec = codec
        self._decoder = codec.windows_decoder(**options)
        self._grid = (
            WindowGrid.of_recording(grid)
            if window_s is None
            else WindowGrid.live(grid, window_s, context_s, overlap_s)
        )
        self._index = -(-joined_at // self._grid.hop)  # of the next window
        self._first = joined_at  # position of the first codes held
        self._end = joined_at  # position behind the last codes that were pushed
        self._decoded = joined_at  # position behind the last codes that were decoded
        self._num_samples = joined_at * grid.samples_per_position
        self._held = torch.zeros(1, 2, 0, dtype=torch.int64)
        self._tail: Tensor | None = None
        self._is_finished = False
        own_start = self._index * self._grid.hop * grid.samples_per_position
        self.next_sample = max(self._num_samples, own_start - self._grid.lead_samples)

    def push(self, codes: Codes) -> Float[Tensor, "1 1 S"]:
        """Take the codes that follow, and return the samples that they complete.

        Args:
            codes: one item of any length; whole columns of samples, except for the last.
        Returns:
            float32 on the CPU; of length 0 while a window is not full.
        Raises:
            CodesError: several items, codes of another setting or model, or codes behind the end.
        """
        codes = self._codec.own_codes(codes, "stacked")
        if len(codes) != 1:
            raise CodesError(f"push takes one item, not {len(codes)}; pass codes[i]")
        samples_per_position = self._codec.format.samples_per_position
        if self._is_finished or self._num_samples != self._end * samples_per_position:
            raise CodesError(
                "the stream has ended, with `finish` or with codes whose samples do not fill their "
                "last column; make another StreamDecoder for another stream"
            )
        self._held = torch.cat([self._held, codes.stacked().cpu()], dim=2)
        self._end += codes.num_positions[0]
        self._num_samples += codes.num_samples[0]
        blocks = []
        while self._window_end() <= self._end:
            blocks.append(self._next_block(self._window_end()))
            self._forget()
        return self._returned(blocks)

    def finish(self) -> Float[Tensor, "1 1 S"]:
        """Return the samples up to the end of the codes; nothing can be pushed any more."""
        if self._is_finished:
            return self._returned([])
        blocks = []
        if self._end > max(self._decoded, self._window_start()):
            blocks.append(self._next_block(self._end))
        if self._tail is not None:
            blocks.append(self._tail)
        self._is_finished, self._tail = True, None
        return self._returned(blocks)

    def _window_start(self) -> int:
        """Return the first position of the next window, as far as codes were pushed."""
        return max(self._first, self._index * self._grid.hop - self._grid.context)

    def _window_end(self) -> int:
        return (self._index + 1) * self._grid.hop + self._grid.rest

    def _next_block(self, end: int) -> Float[Tensor, " S"]:
        """Return what sounds of the next window, less what is held back for the cross-fade."""
        start = self._window_start()
        window = self._decoder.window(
            self._item(), self._index, start - self._first, end - self._first
        )
        samples_per_position = self._codec.format.samples_per_position
        own_start = self._index * self._grid.hop - start
        silent = max(0, own_start * samples_per_position - self._grid.lead_samples)
        window = window[silent : (end - start) * samples_per_position]
        overlap = self._grid.overlap_samples
        if self._tail is not None:
            window = cross_faded(self._tail, window, overlap)
        held_back = max(len(window) - overlap, 0)
        self._tail = window[held_back:]
        self._index += 1
        self._decoded = end
        return window[:held_back]

    def _item(self) -> CodedRecording:
        """Return the codes that are held as something to decode."""
        return self._codec.coded_recording(
            Codes.from_stacked(self._held, format=self._codec.format)
        )

    def _forget(self) -> None:
        """Drop the codes that no later window has."""
        start = min(self._window_start(), self._end)
        self._held = self._held[:, :, start - self._first :]
        self._first = start

    def _returned(self, blocks: list[Float[Tensor, " _S"]]) -> Float[Tensor, "1 1 S"]:
        samples = torch.cat([torch.zeros(0), *blocks])[: self._num_samples - self.next_sample]
        self.next_sample += len(samples)
        return trainable(samples).view(1, 1, -1)
