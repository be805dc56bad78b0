"""Sound that arrives over a pipe and may never end: raw PCM, or WAV whose header tells no length.

"RIFF" size32 "WAVE" (chunk: name size32 ...)* "data" size32 samples ...
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float

from semanticodec.audio.lengths import is_chunk
from semanticodec.errors import AudioError

# Programs that do not know how much will come say nothing, or what 31 or 32 bits hold at most,
# less a header.
LEAST_UNKNOWN = 0x7FFF_0000
MAX_HEADER_BYTES = 1 << 16
BLOCK_BYTES = 1 << 16
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")  # tag, channels, rate, bytes per second, bytes per frame, bits
_EXTENSIBLE = 0xFFFE
_SUBTYPE_OFFSET = 24  # of an extensible format: where its tag stands
_SUBTYPES = {
    (1, 8): "PCM_U8",
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
    (6, 8): "ALAW",
    (7, 8): "ULAW",
}


@dataclass(frozen=True, kw_only=True)
class RawFormat:
    """How samples lie in a stream of bytes, little-endian, channels side by side.

    Attributes:
        subtype: libsndfile's name of the sample's type.
        sample_bytes: bytes of one sample.
        channels: number of channels.
        sample_rate: Hz.
    """

    subtype: str = "PCM_16"
    sample_bytes: int = 2
    channels: int = 1
    sample_rate: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.sample_bytes * self.channels


def read_endless_wav_header(stream: BinaryIO) -> tuple[RawFormat | None, bytes]:
    """Read the header of a WAV stream of unknown length, if it is one.

    Args:
        stream: at its first byte; it need not be seekable.
    Returns:
        The format of the samples that follow, or None where it is something else: WAV of known
        length, another format, or a header without sense. And the bytes that were read and not
        used: the first ones of the samples, or all.
    """
    read = bytearray(_exactly(stream, 12))
    if read[:4] != b"RIFF" or read[8:12] != b"WAVE":
        return None, bytes(read)
    format = None
    while True:
        head = _exactly(stream, _CHUNK.size)
        read += head
        if len(head) < _CHUNK.size:
            return None, bytes(read)
        name, told = _CHUNK.unpack(head)
        if name == b"data":
            break
        padded = told + told % 2
        if len(read) + padded > MAX_HEADER_BYTES:
            return None, bytes(read)
        body = _exactly(stream, padded)
        read += body
        if name == b"fmt ":
            format = _format_of(body)
    start = _exactly(stream, _CHUNK.size) if told == 0 else b""  # one more chunk, if it is empty
    is_unknown = told >= LEAST_UNKNOWN or (told == 0 and not is_chunk(start))
    return (format, start) if format is not None and is_unknown else (None, bytes(read) + start)


def raw_blocks(
    stream: BinaryIO, format: RawFormat, start: bytes = b""
) -> Iterator[Float[np.ndarray, "C S"]]:
    """Yield the samples of a stream as they come, in blocks of any length.

    Args:
        stream: at the first sample; a last frame that is cut off is left out.
        format: how samples lie in it.
        start: bytes that come before those of the stream.
    Raises:
        AudioError: the stream cannot be read.
    """
    rest = b""
    for piece in chain([start], _pieces(stream)):
        data = rest + piece
        whole = len(data) - len(data) % format.frame_bytes
        rest = data[whole:]
        if whole:
            samples, _ = soundfile.read(
                io.BytesIO(data[:whole]),
                samplerate=format.sample_rate,
                channels=format.channels,
                subtype=format.subtype,
                format="RAW",
                endian="LITTLE",
                dtype="float32",
                always_2d=True,
            )
            yield np.ascontiguousarray(samples.T)  # S C -> C S


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what is there, rather than wait for as much as would be taken."""
    read = getattr(stream, "read1", stream.read)
    try:
        while piece := read(BLOCK_BYTES):
            yield piece
    except OSError as error:
        raise AudioError(f"the stream cannot be read to its end ({error}); try again") from error


def _format_of(chunk: bytes) -> RawFormat | None:
    if len(chunk) < _FORMAT.size:
        return None
    tag, channels, sample_rate, _, _, bits = _FORMAT.unpack_from(chunk)
    if tag == _EXTENSIBLE and len(chunk) >= _SUBTYPE_OFFSET + 2:
        tag = int.from_bytes(chunk[_SUBTYPE_OFFSET : _SUBTYPE_OFFSET + 2], "little")
    subtype = _SUBTYPES.get((tag, bits))
    if subtype is None or not channels or not sample_rate:
        return None
    return RawFormat(
        subtype=subtype, sample_bytes=bits // 8, channels=channels, sample_rate=sample_rate
    )


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """Return as many bytes, or fewer at the end of the stream."""
    data = bytearray()
    while len(data) < size:  # a pipe may bring less than asked
        piece = stream.read(size - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)
