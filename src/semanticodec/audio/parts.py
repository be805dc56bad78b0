"""Sound files as libsndfile reads them to their end: one part, or several one after the other.

chained Ogg (a stream of several recordings)   a part for each link
MPEG audio, whatever stands before or between  a part for each run of frames
everything else                                the file, with a header that tells its length
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, cast

import numpy as np
import soundfile
from jaxtyping import Float

from semanticodec.audio.lengths import with_true_length
from semanticodec.audio.mpeg import mpeg_parts
from semanticodec.audio.sound_file import KeptErrors
from semanticodec.reading import Pieces, size_of

MPEG = "MP3"
BUFFER_BYTES = 1 << 16
_PAGE = struct.Struct("<4sBBqIIIB")  # magic, version, flags, granule, serial, number, CRC, segments
OGG = b"OggS"
FIRST_PAGE = 2
SEARCHED_BYTES = 1 << 20
ARCHIVES = ((0, b"PK"), (257, b"ustar"))
# How files begin; long enough to stand nowhere else.
_STARTS = re.compile(
    rb"OggS\0\x02|fLaC\0\0\0\x22|(?:RIFF|RF64)....WAVE|FORM....AIF[FC]|caff\0\x01\0\0desc",
    re.DOTALL,
)


class Sound(soundfile.SoundFile):
    """A sound file that is read once, from front to back, to where the decoder ends.

    Of files that can be read from any sample soundfile takes no more than the header tells, and
    looks for its place after each read, which fails where the header tells nothing.

    Args:
        part: the file.
    Raises:
        soundfile.SoundFileError: not audio that libsndfile reads.
        BaseException: what reading `part` raises.
    """

    def __init__(self, part: Pieces) -> None:
        self._source = KeptErrors(io.BufferedReader(part, BUFFER_BYTES))
        try:
            super().__init__(cast(BinaryIO, self._source))  # as much of one as soundfile needs
        except soundfile.SoundFileError:
            self._raise_error()
            raise

    def seekable(self) -> bool:
        """Return False."""
        return False

    def next_block(self, num_frames: int) -> Float[np.ndarray, "S C"]:
        """Return the next samples as float32, fewer or none at the end."""
        block = self.read(num_frames, dtype="float32", always_2d=True)
        self._raise_error()
        return block

    def _raise_error(self) -> None:
        if self._source.error is not None:
            raise self._source.error


def open_parts(file: BinaryIO) -> Iterator[Sound]:
    """Yield the parts of a sound file, each open until the next is asked for.

    Args:
        file: seekable; it is read from its first byte.
    Raises:
        soundfile.SoundFileError: nothing that libsndfile reads.
        OSError: the file cannot be read.
    """
    for part in _parts(file):
        with Sound(part) as sound:
            yield sound


def _parts(file: BinaryIO) -> Iterator[Pieces]:
    file.seek(0)
    if file.read(len(OGG)) == OGG:
        return _ogg_links(file)
    pieces = with_true_length(file)
    try:
        with Sound(Pieces(file, pieces)) as sound:
            is_mpeg = sound.format == MPEG
    except soundfile.SoundFileError:
        later = _later_parts(file)
        first = next(later, None)
        if first is None:
            raise
        return chain([first], later)
    # No frames are found if they are of a free bitrate, since these do not tell their size.
    runs = mpeg_parts(file) if is_mpeg else iter(())
    return chain([next(runs, None) or Pieces(file, pieces)], runs)


def _later_parts(file: BinaryIO) -> Iterator[Pieces]:
    """Return the parts of a file that begins with other bytes, such as zeros or half a frame."""
    file.seek(0)
    start = file.read(SEARCHED_BYTES)
    if any(start[byte:].startswith(mark) for byte, mark in ARCHIVES):
        return iter(())  # its members are several recordings
    match = _STARTS.search(start, 1)
    if match is None:
        return mpeg_parts(file)
    return _parts(cast(BinaryIO, Pieces(file, [range(match.start(), size_of(file))])))


def _ogg_links(file: BinaryIO) -> Iterator[Pieces]:
    """Yield the links of an Ogg stream (RFC 3533); each begins with the first pages of its own.

    Links without sound, of which there is but the start, are left out.
    """
    size = size_of(file)
    reader = io.BufferedReader(Pieces(file, [range(size)]), BUFFER_BYTES)
    start = position = 0
    was_first, has_sound = True, False
    while position < size:
        reader.seek(position)
        head = reader.read(_PAGE.size)
        if len(head) < _PAGE.size or head[:4] != OGG:
            position = _find(reader, OGG, position + 1)
            continue
        _, _, flags, granule, _, _, _, num_segments = _PAGE.unpack(head)
        is_first = bool(flags & FIRST_PAGE)
        if is_first and not was_first:
            if has_sound:
                yield Pieces(file, [range(start, position)])
            start, has_sound = position, False
        was_first, has_sound = is_first, has_sound or granule > 0
        position += _PAGE.size + num_segments + sum(reader.read(num_segments))
    if has_sound or start == 0:
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
