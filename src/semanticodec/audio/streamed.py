"""Sound files as bytes, piece by piece, while their samples are being made: 16-bit wav and flac.

Nothing is corrected later, as a pipe or a network could not be.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import numpy as np
import soundfile
from torch import Tensor

PEAK = 32767
SAMPLE_BYTES = 2
# A wav's header has 32 bits for its size; players read on regardless.
LARGEST_NUM_SAMPLES = 0xFFFF_FF00 // SAMPLE_BYTES
# Where a FLAC tells its number of samples, in 36 bits (RFC 9639, Section 8.2).
FLAC_LENGTH = slice(21, 26)
FLAC_LENGTH_MASK = (1 << 36) - 1


def to_int16(block: Tensor) -> np.ndarray:
    """Return float samples [..., S] as 16-bit integers; what passes ±1 is clipped."""
    samples = block.detach().cpu().numpy().reshape(-1)
    return np.round(np.clip(samples, -1, 1) * PEAK).astype(np.int16)


def wav_bytes(blocks: Iterable[Tensor], num_samples: int, sample_rate: int) -> Iterator[bytes]:
    """Yield a mono wav file piece by piece, its header first.

    Args:
        blocks: consecutive blocks [..., S] of float samples in [-1, 1], `num_samples` in all.
        num_samples: length in the header.
        sample_rate: Hz.
    """
    memory = io.BytesIO()
    with wave.open(memory, "wb") as sound:
        sound.setparams((1, SAMPLE_BYTES, sample_rate, 0, "NONE", "not compressed"))
        sound.setnframes(min(num_samples, LARGEST_NUM_SAMPLES))
        sound.writeframesraw(b"")
        yield memory.getvalue()
    for block in blocks:
        yield to_int16(block).astype("<i2").tobytes()


def flac_bytes(blocks: Iterable[Tensor], num_samples: int, sample_rate: int) -> Iterator[bytes]:
    """Yield a mono flac file piece by piece; its checksum of all samples is left out.

    Args:
        blocks: consecutive blocks [..., S] of float samples in [-1, 1], `num_samples` in all.
        num_samples: length in the header.
        sample_rate: Hz.
    """
    sink = _Sink()
    is_first = True
    with soundfile.SoundFile(
        cast(BinaryIO, sink), "w", sample_rate, 1, subtype="PCM_16", format="FLAC"
    ) as sound:
        for block in blocks:
            sound.write(to_int16(block))  # the first one writes the header, too
            piece = sink.taken()
            yield _with_length(piece, num_samples) if is_first else piece
            is_first = False
    yield sink.taken()


def _with_length(start: bytes, num_samples: int) -> bytes:
    """Return the first bytes of a FLAC with its number of samples in them."""
    field = int.from_bytes(start[FLAC_LENGTH], "big") | (num_samples & FLAC_LENGTH_MASK)
    return start[: FLAC_LENGTH.start] + field.to_bytes(5, "big") + start[FLAC_LENGTH.stop :]


class _Sink(io.RawIOBase):
    """A file that gives away its bytes as they come; corrections of what is gone are dropped."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._position = self._size = 0

    def taken(self) -> bytes:
        """Return the bytes since the last call."""
        taken = bytes(self._pending)
        self._pending.clear()
        return taken

    def tell(self) -> int:
        """Return the current byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Append; what would change an earlier byte is dropped."""
        if self._position == self._size:
            self._pending += data
            self._size += len(data)
        self._position += len(data)
        return len(data)
