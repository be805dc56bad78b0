"""Sound files as libsndfile reads them to their end: one part, or several one after the other.

chained Ogg (a stream of several recordings)   a part for each link
MPEG audio, whatever stands before or between  a part for each run of frames
everything else                                the file, with a header that tells its length
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

import soundfile

from semanticodec.audio.lengths import with_true_length
from semanticodec.audio.mpeg import mpeg_parts
from semanticodec.streams import Pieces, size_of

MPEG = "MP3"
BUFFER_BYTES = 1 << 16
_PAGE = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, number, CRC, segments
OGG = b"OggS"
FIRST_PAGE = 2


class Sound(soundfile.SoundFile):
    """A sound file that is read once, from front to back, to where the decoder ends.

    Of files that can be read from any sample soundfile takes no more than the header tells, and
    looks for its place after each read, which fails where the header tells nothing.
    """

    def seekable(self) -> bool:
        """Return False."""
        return False


def open_parts(file: BinaryIO) -> Iterator[Sound]:
    """Yield the parts of a sound file, each open until the next is asked for.

    Args:
        file: seekable; it is read from its first byte.
    Raises:
        soundfile.SoundFileError: nothing that libsndfile reads.
    """
    file.seek(0)
    parts = _ogg_links(file) if file.read(len(OGG)) == OGG else _parts(file)
    for part in parts:
        with Sound(io.BufferedReader(part, BUFFER_BYTES)) as sound:
            yield sound


def _parts(file: BinaryIO) -> Iterator[Pieces]:
    whole = Pieces(file, with_true_length(file))
    refusal = None
    try:
        with Sound(whole) as sound:
            if sound.format != MPEG:
                whole.seek(0)
                return iter([whole])
    except soundfile.SoundFileError as error:
        refusal = error
    runs = mpeg_parts(file)
    first = next(runs, None)
    if first is not None:
        return chain([first], runs)
    if refusal is not None:
        raise refusal
    whole.seek(0)
    return iter([whole])


def _ogg_links(file: BinaryIO) -> Iterator[Pieces]:
    """Yield the links of an Ogg stream (RFC 3533); each begins with the first pages of its own."""
    size = size_of(file)
    reader = io.BufferedReader(Pieces(file, [range(size)]), BUFFER_BYTES)
    start = position = 0
    was_first = True
    while position < size:
        reader.seek(position)
        head = reader.read(_PAGE.size)
        if len(head) < _PAGE.size or head[:4] != OGG:
            position = _find(reader, OGG, position + 1)
            continue
        is_first = bool(head[5] & FIRST_PAGE)
        if is_first and not was_first:
            yield Pieces(file, [range(start, position)])
            start = position
        was_first = is_first
        position += _PAGE.size + head[-1] + sum(reader.read(head[-1]))
    yield Pieces(file, [range(start, size)])


def _find(file: BinaryIO, wanted: bytes, position: int) -> int:
    """Return the first byte from `position` on where `wanted` stands, or the size of the file."""
    while True:
        file.seek(position)
        block = file.read(BUFFER_BYTES)
        if (found := block.find(wanted)) >= 0:
            return position + found
        if len(block) < BUFFER_BYTES:
            return position + len(block)
        position += len(block) - len(wanted) + 1
