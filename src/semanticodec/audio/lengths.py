"""Headers of sound files that tell a wrong length, put right without a copy of the file.

Programs that write to a pipe cannot come back to the header: it says 0, or the largest number that
it can hold. And 32-bit sizes begin anew after 4 GiB.

    RIFF  size32 "WAVE" (chunk: name size32 ...)* "data" size32 samples      also RF64, with `ds64`
    .snd  offset32 size32 ... samples
    caff  version (chunk: name size64 ...)* "data" size64 samples
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from semanticodec.audio.mpeg import ID3V1_BYTES
from semanticodec.reading import Piece, size_of

_RIFF_CHUNK, _CAF_CHUNK = struct.Struct("<4sI"), struct.Struct(">4sq")
MAX_CHUNKS = 1000  # before the samples
WRAP = 1 << 32
UNKNOWN = WRAP - 1
RIFF_START = 12
CAF_START = 8


def with_true_length(file: BinaryIO) -> list[Piece]:
    """Return a file as pieces (see `reading.Pieces`): itself, or with a header that is right.

    Args:
        file: seekable, of any format.
    """
    size = size_of(file)
    file.seek(0)
    magic = file.read(4)
    if magic in (b"RIFF", b"RF64"):
        return _riff(file, size)
    if magic in (b".snd", b"dns."):
        return _au(file, size)
    if magic == b"caff":
        return _caf(file, size)
    if magic == b"fLaC":
        return _flac(file, size)
    return [range(size)]


def _chunks(
    file: BinaryIO, position: int, header: struct.Struct, alignment: int = 1
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, told size and first byte of the chunks; one of negative size is the last."""
    told = 0
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(header.size)
        if len(head) < header.size or told < 0:
            return
        name, told = header.unpack(head)
        start = position + header.size
        yield name, told, start
        position = start + told + told % alignment


def _riff(file: BinaryIO, size: int) -> list[Piece]:
    body, long_length = RIFF_START, 0
    for name, told, start in _chunks(file, RIFF_START, _RIFF_CHUNK, alignment=2):
        if name == b"data":
            break
        if name == b"ds64":
            file.seek(start + 8)
            body, long_length = start + told + told % 2, int.from_bytes(file.read(8), "little")
    else:
        return [range(size)]
    told = long_length if body > RIFF_START and told == UNKNOWN else told
    file.seek(start)
    true = _true_length(told, size - start, is_empty=not told and is_chunk(file.read(8)))
    if true == told or (told == UNKNOWN and true < WRAP):  # libsndfile knows that one
        return [range(size)]
    return [
        *_riff_start(true, size),
        range(body, start - _RIFF_CHUNK.size),
        b"data" + struct.pack("<I", min(true, UNKNOWN)),
        range(start, size),
    ]


def _true_length(told: int, rest: int, is_empty: bool) -> int:
    """Return how many of the `rest` bytes behind a data chunk's header are samples.

    `is_empty`: another chunk follows although `told` is 0.
    """
    if is_empty:
        return 0
    if told == 0 or told > rest or told == UNKNOWN:
        return rest
    # Chunks may follow the samples, though none of 4 GiB.
    return told + (rest - told) // WRAP * WRAP


def _riff_start(data_bytes: int, size: int) -> list[bytes]:
    """Return what stands before the first chunk; RF64 where 32 bits are too few."""
    if data_bytes < WRAP:
        return [b"RIFF" + struct.pack("<I", min(size, UNKNOWN)) + b"WAVE"]
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, size, data_bytes, 0, 0)
    return [b"RF64" + struct.pack("<I", UNKNOWN) + b"WAVE", sizes]


def is_chunk(head: bytes) -> bool:
    """Return whether eight bytes look like the head of a RIFF chunk."""
    return len(head) == 8 and head[:4].isalnum() and head[:4].isascii()


def _au(file: BinaryIO, size: int) -> list[Piece]:
    """AU: a length of 0 becomes the one that means `unknown`, which libsndfile knows."""
    file.seek(8)
    if any(file.read(4)):
        return [range(size)]
    return [range(8), struct.pack("<I", UNKNOWN), range(12, size)]


def _caf(file: BinaryIO, size: int) -> list[Piece]:
    """CAF: -1 is the length of samples that last to the end of the file."""
    for name, told, start in _chunks(file, CAF_START, _CAF_CHUNK):
        if name == b"data" and told == -1:
            return [range(start - 8), struct.pack(">q", size - start), range(start, size)]
    return [range(size)]


def _flac(file: BinaryIO, size: int) -> list[Piece]:
    """FLAC without a length: the decoder would take a tag at the end for a damaged frame."""
    file.seek(max(0, size - ID3V1_BYTES))
    return [range(size - ID3V1_BYTES if file.read(3) == b"TAG" else size)]
