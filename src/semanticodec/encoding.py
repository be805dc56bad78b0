"""The left half of the codec over whole recordings: samples -> windows -> Encoder -> codes.

    recordings (blocks of samples) -> windows -> fbank -> batches -> Encoder -> RecordingCodes

Windows of one or many recordings go through the encoder together; codes never depend on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from semanticodec.audio.fbank import FRAME_LENGTH, Fbank, window_fbank
from semanticodec.audio.windows import encode_windows
from semanticodec.encoder.encoder import Encoder
from semanticodec.errors import AudioError
from semanticodec.layers.stacking import num_positions

# More bring nothing: the recurrence, which gains most, advances as many at once
# (`runtimes.onednn.lstm`).
WINDOWS_AT_ONCE = 8


class WindowFbank(NamedTuple):
    """A window as the encoder takes it.

    Attributes:
        fbank: normalised filter bank.
        num_positions: that hold samples; those behind are padding.
        num_samples: of the recording in this window.
        is_last: of its recording.
    """

    fbank: Float[Tensor, "1 T M"]
    num_positions: int
    num_samples: int
    is_last: bool


class RecordingCodes(NamedTuple):
    """The codes of one recording."""

    semantic: Int[Tensor, "1 L"]
    acoustic: Int[Tensor, "1 L"]
    num_samples: int


@dataclass(frozen=True, kw_only=True)
class RecordingEncoder:
    """Encodes recordings of any length, in memory that their length does not change.

    Attributes:
        fbank: filter bank.
        encoder: on any device.
        vocab_size: semantic vocabulary.
        pads_windows: see `CodecConfig`.
    """

    fbank: Fbank
    encoder: Encoder
    vocab_size: int
    pads_windows: bool

    def encode(self, recordings: Iterable[Iterable[np.ndarray]]) -> Iterator[RecordingCodes]:
        """Yield the codes of every recording, in order, on the CPU.

        Args:
            recordings: blocks of mono samples at 16 kHz.
        Raises:
            AudioError: a recording shorter than a frame (25 ms).
        """
        semantic, acoustic, num_samples = [], [], 0
        windows = (window for blocks in recordings for window in self.windows(blocks))
        for batch in _batches(windows):
            fbanks = torch.cat([window.fbank for window in batch])
            codes = self.encoder.encode(fbanks, self.vocab_size)
            for window, *rows in zip(batch, *(stream.cpu().split(1) for stream in codes)):
                semantic.append(rows[0][:, : window.num_positions])
                acoustic.append(rows[1][:, : window.num_positions])
                num_samples += window.num_samples
                if window.is_last:
                    yield RecordingCodes(
                        torch.cat(semantic, dim=1), torch.cat(acoustic, dim=1), num_samples
                    )
                    semantic, acoustic, num_samples = [], [], 0

    def features(self, blocks: Iterable[np.ndarray], layers: str) -> Float[Tensor, "L D"]:
        """Return the features of a recording's positions, float32 on the CPU.

        Args:
            blocks: mono samples at 16 kHz.
            layers: as `Encoder.layer_features` takes it.
        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        rows = (
            self.encoder.layer_features(window.fbank, self.vocab_size, layers)[0][
                : window.num_positions
            ]
            for window in self.windows(blocks)
        )
        return torch.cat([features.float().cpu() for features in rows])

    def windows(self, blocks: Iterable[np.ndarray]) -> Iterator[WindowFbank]:
        """Yield the windows of a recording; holds one at a time.

        Raises:
            AudioError: shorter than a frame (25 ms).
        """
        total = 0
        positions = self.encoder.audiomae.positions
        for window in encode_windows(blocks, self.pads_windows):
            total += window.num_samples
            if total < FRAME_LENGTH:
                break
            yield WindowFbank(
                window_fbank(self.fbank, window.wav.to(positions.device)).to(positions.dtype),
                num_positions(window.num_samples, self.encoder.config.stack_factor),
                window.num_samples,
                window.is_last,
            )
        if total < FRAME_LENGTH:
            needed = f"at least {FRAME_LENGTH} (25 ms) are needed"
            raise AudioError(f"the audio has {total} samples at 16 kHz; {needed}")


def _batches(windows: Iterable[WindowFbank]) -> Iterator[list[WindowFbank]]:
    """Yield runs of windows of one size, `WINDOWS_AT_ONCE` at most."""
    batch: list[WindowFbank] = []
    for window in windows:
        is_other = bool(batch) and batch[0].fbank.shape != window.fbank.shape
        if is_other or len(batch) == WINDOWS_AT_ONCE:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch
